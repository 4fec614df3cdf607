"""What does somebody see of a post? Its public form, as it stands in JSON, and as gRPC's message is made of."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from feed.index import FeedIndex
from feed.media.addresses import MediaAddresses
from feed.media.record import Media, Rendition
from feed.media.withheld import Withheld
from feed.post import Post, PostMedia, PostState, ProductTag
from feed.post_states import Reach, reach_of
from feed.verdict import Outcome


class RenditionView(msgspec.Struct, frozen=True):
    """One file of a photo or video; sizes in pixels and bytes."""

    url: str
    content_type: str
    width: int
    height: int
    size_bytes: int


class MediaView(msgspec.Struct, frozen=True):
    """A photo or video; `url` is that of a picture elsewhere, `duration_ms` 0 where it is not known."""

    media_id: str
    url: str
    alt_text: str
    kind: str
    width: int
    height: int
    duration_ms: int
    renditions: tuple[RenditionView, ...]


class FindingView(msgspec.Struct, frozen=True):
    """One thing that moderation found: what, in which field, and what of it."""

    label: str
    where: str
    evidence: str


class VerdictView(msgspec.Struct, frozen=True):
    """Why others do not see a post, or not all of them; `outcome` is limited, held or removed."""

    outcome: str
    findings: tuple[FindingView, ...]


class PostView(msgspec.Struct, frozen=True):
    """A post. `state` is clean, withdrawn, draft, checking, limited, removed or appealed.

    `verdict` and `appeal` are shown to its creator alone. All texts are plain text and no markup.
    """

    post_id: str
    creator_id: str
    caption: str
    image_urls: tuple[str, ...]
    media: tuple[MediaView, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    paid: bool
    disclosure: str
    partner: str
    published_at_ms: int
    publish_at_ms: int
    state: str
    revision: int
    likes: int
    saves: int
    verdict: VerdictView | None = None
    appeal: str = ""


class PostViews:
    """Makes views; used from the index's thread, touches no disk. Of media that are `withheld` others see no file."""

    def __init__(self, index: FeedIndex, addresses: MediaAddresses, withheld: Withheld | None = None) -> None:
        self._index = index
        self._addresses = addresses
        self._withheld = withheld or Withheld()

    def of(self, post: Post, viewer_id: str = "") -> PostView:
        """The post as `viewer_id` (a creator, "" is anybody) sees it."""
        mine = bool(viewer_id) and viewer_id == post.creator_id
        likes, saves = self.counts(post)
        address = self._addresses.preview if reach_of(post) is Reach.AUTHOR else self._addresses.public
        return PostView(
            post_id=post.post_id,
            creator_id=post.creator_id,
            caption=post.caption,
            image_urls=post.image_urls,
            media=tuple(
                self._of_withheld(medium, mine=mine) if medium.media_id in self._withheld else _media(medium, address)
                for medium in post.media
            ),
            product_tags=post.product_tags,
            hashtags=post.hashtags,
            paid=post.paid,
            disclosure=post.disclosure.name.lower(),
            partner=post.partner,
            published_at_ms=0 if post.state is PostState.DRAFT else post.published_at_ms,
            publish_at_ms=post.publish_at_ms,
            state=post.state.name.lower(),
            revision=post.revision,
            likes=likes,
            saves=saves,
            verdict=_verdict(post) if mine else None,
            appeal=post.appeal if mine else "",
        )

    @property
    def version(self) -> int:
        """Another number when views of the same revisions may be other ones."""
        return self._withheld.version

    def counts(self, post: Post) -> tuple[int, int]:
        """Likes and saves by now."""
        shelf = self._index.shelf(post.tenant_id)
        # They are counted here as they come; a post that is not on the shelf yet is as the store has it.
        row = shelf.row_of.get(post.post_id)
        return (post.likes, post.saves) if row is None else (shelf.likes(row), shelf.saves(row))

    def of_media(self, media: Media) -> MediaView:
        """A medium that was just uploaded, as its creator sees it."""
        medium = PostMedia(
            media_id=media.media_id, kind=media.kind, width=media.width, height=media.height,
            duration_ms=media.duration_ms, renditions=media.renditions,
        )  # fmt: skip
        return _media(medium, self._addresses.preview)

    def of_recorded(self, medium: PostMedia) -> MediaView:
        """A medium of an older revision, as its creator sees it."""
        return _media(medium, self._addresses.preview)

    def _of_withheld(self, medium: PostMedia, *, mine: bool) -> MediaView:
        # Its place stays, since tags of products point at places by number.
        return _media(medium if mine else _NOTHING, self._addresses.preview)


_NOTHING = PostMedia()


def _media(medium: PostMedia, address: Callable[[str, str], str]) -> MediaView:
    return MediaView(
        media_id=medium.media_id,
        url=medium.url,
        alt_text=medium.alt_text,
        kind=medium.kind.name.lower(),
        width=medium.width,
        height=medium.height,
        duration_ms=medium.duration_ms,
        renditions=tuple(_rendition(one, address(medium.media_id, one.name)) for one in medium.renditions),
    )


def _rendition(rendition: Rendition, url: str) -> RenditionView:
    return RenditionView(url, rendition.content_type, rendition.width, rendition.height, rendition.size_bytes)


def _verdict(post: Post) -> VerdictView | None:
    if post.verdict is None or post.verdict.outcome is Outcome.CLEAN:
        return None
    findings = tuple(FindingView(str(found.label), found.where, found.evidence) for found in post.verdict.findings)
    return VerdictView(post.verdict.outcome.name.lower(), findings)
