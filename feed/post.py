"""What is a post? As it is stored, and as its creator sends it."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from feed.media.record import MediaKind, Rendition
from feed.verdict import Verdict


class PostState(IntEnum):
    """Numbers of haat.feed.v1.Post.State."""

    CLEAN = 1
    WITHDRAWN = 2
    DRAFT = 3
    CHECKING = 4
    LIMITED = 5
    REMOVED = 6
    APPEALED = 7


class Disclosure(IntEnum):
    """What a creator got for a post, said beside it. Numbers of haat.feed.v1.Post.Disclosure."""

    NONE = 0
    PAID_PARTNERSHIP = 1
    GIFTED = 2
    OWN_BRAND = 3
    # The creator earns a commission on what is bought.
    COMMISSION = 4


class ProductTag(msgspec.Struct, frozen=True, gc=False):
    """A product on picture `picture` (0 is the first); `x` and `y` are 0 to 1 from the left and from the top."""

    product_id: str
    x: float
    y: float
    picture: int = 0


class PostMedia(msgspec.Struct, frozen=True):
    """A photo or video of a post: what was uploaded (`media_id`), or a picture at an address elsewhere (`url`).

    The fields after `alt_text` are filled in from what was uploaded, so that a page is made without asking for it;
    `duration_ms` is 0 where it is not known.
    """

    media_id: str = ""
    url: str = ""
    alt_text: str = ""
    kind: MediaKind = MediaKind.IMAGE
    width: int = 0
    height: int = 0
    duration_ms: int = 0
    renditions: tuple[Rendition, ...] = ()


class Post(msgspec.Struct, frozen=True):
    """A post as it is stored. `likes` and `saves` count visitors' sessions; `revision` grows with each change.

    A draft's `published_at_ms` is when it was made; `publish_at_ms` above 0 is when a draft is to be published.
    `verdict` is why the post is in its state, `decided_by` who said so: `CHECKER`, or a person. `appeal` is what its
    creator said against it, once.
    """

    tenant_id: str
    post_id: str
    creator_id: str
    caption: str
    image_urls: tuple[str, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    published_at_ms: int
    state: PostState = PostState.CLEAN
    revision: int = 1
    likes: int = 0
    saves: int = 0
    media: tuple[PostMedia, ...] = ()
    paid: bool = False
    disclosure: Disclosure = Disclosure.NONE
    partner: str = ""
    publish_at_ms: int = 0
    verdict: Verdict | None = None
    decided_by: str = ""
    appeal: str = ""


class PostDraft(msgspec.Struct, frozen=True):
    """What a creator sends; nothing of it is checked yet. `published_at_ms` 0 is now.

    `draft` keeps it from being published; `publish_at_ms` above 0 publishes it then. Pictures come as addresses
    (`image_urls`) or as `media`, not as both. `claimed` names fields that were given though only the feed gives them:
    ids, states and counters.
    """

    creator_id: str
    caption: str = ""
    image_urls: tuple[str, ...] = ()
    product_tags: tuple[ProductTag, ...] = ()
    hashtags: tuple[str, ...] = ()
    published_at_ms: int = 0
    claimed: tuple[str, ...] = ()
    media: tuple[PostMedia, ...] = ()
    paid: bool = False
    disclosure: Disclosure = Disclosure.NONE
    partner: str = ""
    publish_at_ms: int = 0
    draft: bool = False
