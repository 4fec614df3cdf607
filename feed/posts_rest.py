"""How are posts and uploads called over HTTP in JSON? Their lines of the table in feed/rest.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from common.errors import FieldError, InvalidInput
from feed import post_rules
from feed.media.library import UploadStarted
from feed.post import Disclosure, Post, PostDraft, PostMedia, ProductTag
from feed.post_pages import MAX_PAGE, cursor_after
from feed.post_text import shown
from feed.post_view import MediaView, PostView, PostViews
from feed.posts import MAX_APPEAL_CHARS, Posts
from feed.posts_server import PostCalls
from feed.rest import Asked, Endpoint


def _most(chars: int) -> Any:
    """Told in the schema, and checked with everything else, so that all bad fields are named at once."""
    return msgspec.Meta(extra_json_schema={"maxLength": chars})


def _at_most(entries: int) -> Any:
    return msgspec.Meta(extra_json_schema={"maxItems": entries})


CreatorId = Annotated[str, _most(post_rules.MAX_ID_CHARS)]
PageSize = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": MAX_PAGE}, description="0 is 20")]
Label = Literal["none", "paid_partnership", "gifted", "own_brand", "commission"]


class MediaGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A photo or video of a post: `media_id` of an upload, or `url` of a picture elsewhere."""

    media_id: str = ""
    url: Annotated[str, _most(post_rules.MAX_URL_CHARS)] = ""
    alt_text: Annotated[str, _most(post_rules.MAX_ALT_CHARS)] = ""


class PostGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A post as its creator writes it. `draft` keeps it unpublished; `publish_at_ms` publishes it then."""

    creator_id: CreatorId
    caption: Annotated[str, _most(post_rules.MAX_CAPTION_CHARS)] = ""
    image_urls: Annotated[tuple[str, ...], _at_most(post_rules.MAX_IMAGES)] = ()
    media: Annotated[tuple[MediaGiven, ...], _at_most(post_rules.MAX_IMAGES)] = ()
    product_tags: Annotated[tuple[ProductTag, ...], _at_most(post_rules.MAX_PRODUCT_TAGS)] = ()
    hashtags: Annotated[tuple[str, ...], _at_most(post_rules.MAX_HASHTAGS)] = ()
    paid: bool = False
    disclosure: Label = "none"
    partner: Annotated[str, _most(post_rules.MAX_PARTNER_CHARS)] = ""
    publish_at_ms: int = 0
    draft: bool = False

    def as_draft(self) -> PostDraft:
        """In the feed's own words."""
        return PostDraft(
            creator_id=self.creator_id,
            caption=self.caption,
            image_urls=self.image_urls,
            media=tuple(PostMedia(media_id=one.media_id, url=one.url, alt_text=one.alt_text) for one in self.media),
            product_tags=self.product_tags,
            hashtags=self.hashtags,
            paid=self.paid,
            disclosure=Disclosure[self.disclosure.upper()],
            partner=self.partner,
            publish_at_ms=self.publish_at_ms,
            draft=self.draft,
        )


class PostEdited(PostGiven, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands in a post from now on; 409 when it is at another revision than its creator saw."""

    expected_revision: int


class Publishing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose draft, at which revision."""

    creator_id: CreatorId
    expected_revision: int


class Withdrawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose post."""

    creator_id: CreatorId


class Appeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What its creator says against the decision."""

    creator_id: CreatorId
    text: Annotated[str, _most(MAX_APPEAL_CHARS)]


class Viewer(msgspec.Struct, frozen=True):
    """The creator who looks; "" is anybody."""

    viewer_creator_id: str = ""


class PostsAsked(msgspec.Struct, frozen=True):
    """A creator's posts, as the viewer sees them."""

    creator_id: str
    viewer_creator_id: str = ""
    page_size: PageSize = 0
    cursor: str = ""


class PostList(msgspec.Struct, frozen=True):
    """Newest publication first; an empty cursor is the end."""

    posts: tuple[PostView, ...]
    next_cursor: str


class PastAsked(msgspec.Struct, frozen=True):
    """`before` goes on before that number; 0 begins with the newest."""

    creator_id: str
    page_size: PageSize = 0
    before: int = 0


class RevisionView(msgspec.Struct, frozen=True):
    """What stood in a post from `at_ms` on."""

    revision: int
    at_ms: int
    caption: str
    image_urls: tuple[str, ...]
    media: tuple[MediaView, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    paid: bool
    disclosure: str
    partner: str


class RevisionList(msgspec.Struct, frozen=True):
    """Newest first."""

    revisions: tuple[RevisionView, ...]


class StepView(msgspec.Struct, frozen=True):
    """One line of a post's history; `state_before` is "" for a post that was just made."""

    number: int
    at_ms: int
    actor: str
    state_before: str
    state_after: str
    why: str
    revision: int


class History(msgspec.Struct, frozen=True):
    """Newest first."""

    steps: tuple[StepView, ...]


class UploadAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be uploaded: image/jpeg, image/png, image/webp, image/gif, video/mp4 or video/webm."""

    creator_id: CreatorId
    content_type: str
    size_bytes: int


class UploadView(msgspec.Struct, frozen=True):
    """PUT the bytes to `url` with these headers, once, before it expires; then finish with the ticket."""

    ticket: str
    url: str
    headers: dict[str, str]
    expires_at_ms: int


class Finishing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ticket of an upload whose bytes are there."""

    ticket: str


class PostEndpoints:
    """What the endpoints do, over the same use cases as gRPC's calls."""

    def __init__(self, calls: PostCalls, views: PostViews) -> None:
        self._calls = calls
        self._views = views

    @property
    def _posts(self) -> Posts:
        return self._calls.posts

    def table(self) -> list[Endpoint]:
        """The lines of posts and uploads."""
        post = "/v1/posts/{post_id}"
        return [
            Endpoint("POST", "/v1/posts", "Publish a post, or keep a draft", PostView, self.create_post,
                     body=PostGiven, writes=True, status=201),
            Endpoint("GET", "/v1/posts", "A creator's posts", PostList, self.list_posts, query=PostsAsked),
            Endpoint("GET", post, "One post", PostView, self.get_post, query=Viewer),
            Endpoint("PUT", post, "Edit a post", PostView, self.edit_post, body=PostEdited, writes=True),
            Endpoint("POST", post + "/publish", "Publish a draft now", PostView, self.publish_post, body=Publishing,
                     writes=True),
            Endpoint("POST", post + "/withdraw", "Withdraw a post", PostView, self.withdraw_post, body=Withdrawing,
                     writes=True),
            Endpoint("POST", post + "/appeal", "Ask that a person looks again", PostView, self.appeal_post,
                     body=Appeal, writes=True),
            Endpoint("GET", post + "/revisions", "What stood in a post", RevisionList, self.list_revisions,
                     query=PastAsked),
            Endpoint("GET", post + "/history", "What became of a post", History, self.list_history, query=PastAsked),
            Endpoint("POST", "/v1/uploads", "Start an upload", UploadView, self.start_upload, body=UploadAsked,
                     status=201),
            Endpoint("POST", "/v1/uploads/finish", "Finish an upload", MediaView, self.finish_upload, body=Finishing),
        ]  # fmt: skip

    async def create_post(self, asked: Asked) -> PostView:
        """POST /v1/posts."""
        draft = asked.body.as_draft()
        return await self._written(draft.creator_id, self._posts.create, asked.tenant_id, asked.idempotency_key, draft)

    async def edit_post(self, asked: Asked) -> PostView:
        """PUT /v1/posts/{post_id}."""
        draft = asked.body.as_draft()
        return await self._written(
            draft.creator_id, self._posts.edit, asked.tenant_id, asked.idempotency_key, asked.path["post_id"], draft,
            asked.body.expected_revision,
        )  # fmt: skip

    async def publish_post(self, asked: Asked) -> PostView:
        """POST /v1/posts/{post_id}/publish."""
        body: Publishing = asked.body
        return await self._written(
            body.creator_id, self._posts.publish, asked.tenant_id, asked.idempotency_key, asked.path["post_id"],
            body.creator_id, body.expected_revision,
        )  # fmt: skip

    async def withdraw_post(self, asked: Asked) -> PostView:
        """POST /v1/posts/{post_id}/withdraw."""
        creator_id = _named(asked.body.creator_id)
        return await self._written(
            creator_id, self._posts.withdraw, asked.tenant_id, asked.idempotency_key, asked.path["post_id"], creator_id
        )

    async def appeal_post(self, asked: Asked) -> PostView:
        """POST /v1/posts/{post_id}/appeal."""
        creator_id, key = _named(asked.body.creator_id), asked.idempotency_key
        if not key:
            raise InvalidInput([FieldError("idempotency_key", "''", "give the header Idempotency-Key")])

        def appeal() -> Post:
            return self._posts.appeal(
                asked.tenant_id, asked.path["post_id"], asked.body.text, creator_id=creator_id, key=key
            )

        return await self._written(creator_id, appeal)

    async def get_post(self, asked: Asked) -> PostView:
        """GET /v1/posts/{post_id}."""
        viewer = asked.query.viewer_creator_id
        post = await asyncio.to_thread(self._posts.seen_by, asked.tenant_id, asked.path["post_id"], viewer)
        return self._views.of(post, viewer)

    async def list_posts(self, asked: Asked) -> PostList:
        """GET /v1/posts."""
        query: PostsAsked = asked.query
        viewer = query.viewer_creator_id
        posts = await asyncio.to_thread(
            self._posts.by_creator, asked.tenant_id, query.creator_id, viewer, query.cursor, query.page_size
        )
        full = len(posts) == (query.page_size or 20)
        return PostList(tuple(self._views.of(post, viewer) for post in posts), cursor_after(posts[-1]) if full else "")

    async def list_revisions(self, asked: Asked) -> RevisionList:
        """GET /v1/posts/{post_id}/revisions."""
        query: PastAsked = asked.query
        found = await asyncio.to_thread(
            self._posts.revisions, asked.tenant_id, asked.path["post_id"], query.creator_id, query.before,
            query.page_size,
        )  # fmt: skip
        return RevisionList(
            tuple(
                RevisionView(
                    one.revision, one.at_ms, one.caption, one.image_urls,
                    tuple(self._views.of_recorded(medium) for medium in one.media),
                    one.product_tags, one.hashtags, one.paid, one.disclosure.name.lower(), one.partner,
                )
                for one in found
            )
        )  # fmt: skip

    async def list_history(self, asked: Asked) -> History:
        """GET /v1/posts/{post_id}/history. Who moderated is not told."""
        query: PastAsked = asked.query
        found = await asyncio.to_thread(
            self._posts.history, asked.tenant_id, asked.path["post_id"], query.creator_id, query.before,
            query.page_size,
        )  # fmt: skip
        return History(
            tuple(
                StepView(
                    number, step.at_ms, str(step.actor), step.before.name.lower() if step.before else "",
                    step.after.name.lower(), step.why, step.revision,
                )
                for number, step in found
            )
        )  # fmt: skip

    async def start_upload(self, asked: Asked) -> UploadView:
        """POST /v1/uploads."""
        body: UploadAsked = asked.body
        started: UploadStarted = await asyncio.to_thread(
            self._calls.media.start, asked.tenant_id, body.creator_id, body.content_type, body.size_bytes
        )
        return UploadView(started.ticket, started.address.url, started.address.headers, started.expires_at_ms)

    async def finish_upload(self, asked: Asked) -> MediaView:
        """POST /v1/uploads/finish."""
        media = await asyncio.to_thread(self._calls.media.finish, asked.tenant_id, asked.body.ticket)
        return self._views.of_media(media)

    async def _written(self, viewer_id: str, write: Callable[..., Post], *args: object) -> PostView:
        post = await asyncio.to_thread(write, *args)
        self._calls.catch_up()
        return self._views.of(post, viewer_id)


def _named(creator_id: str) -> str:
    if not post_rules.is_id(creator_id):
        raise InvalidInput([FieldError("creator_id", shown(creator_id), "give 1 to 64 printable characters")])
    return creator_id
