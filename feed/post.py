"""What is a post? As it is stored, and as its creator sends it."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class PostState(IntEnum):
    """Numbers of haat.feed.v1.Post.State."""

    PUBLISHED = 1
    WITHDRAWN = 2


class ProductTag(msgspec.Struct, frozen=True, gc=False):
    """A product on the picture; `x` and `y` are 0 to 1 from the left and from the top."""

    product_id: str
    x: float
    y: float


class Post(msgspec.Struct, frozen=True):
    """A post as it is stored. `likes` and `saves` count visitors' sessions; `revision` grows with each change."""

    tenant_id: str
    post_id: str
    creator_id: str
    caption: str
    image_urls: tuple[str, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    published_at_ms: int
    state: PostState = PostState.PUBLISHED
    revision: int = 1
    likes: int = 0
    saves: int = 0


class PostDraft(msgspec.Struct, frozen=True):
    """What a creator sends; nothing of it is checked yet. `published_at_ms` 0 is now.

    `claimed` names fields that were given though only the feed gives them: ids, states and counters.
    """

    creator_id: str
    caption: str = ""
    image_urls: tuple[str, ...] = ()
    product_tags: tuple[ProductTag, ...] = ()
    hashtags: tuple[str, ...] = ()
    published_at_ms: int = 0
    claimed: tuple[str, ...] = ()
