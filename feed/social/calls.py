"""What is asked of the social part, and what is answered? The values of its calls, alike over gRPC and REST.

Names and meanings are those of protos/social.proto; nothing in a request is checked yet but its types.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

import msgspec

from common.consent import Purpose
from feed.social.words import Disclosure, NotificationKind, SearchKind

_S = TypeVar("_S", bound=msgspec.Struct)


def view(answer_type: type[_S], thing: object, **more: object) -> _S:
    """An answer whose fields are those of `thing` that have the same names, and `more`."""
    shared = {name: getattr(thing, name) for name in answer_type.__struct_fields__ if hasattr(thing, name)}
    return answer_type(**{**shared, **more})


class Relate(IntEnum):
    """Numbers of haat.social.v1.RelateRequest.Kind."""

    FOLLOW = 1
    UNFOLLOW = 2
    BLOCK = 3
    UNBLOCK = 4
    MUTE = 5
    UNMUTE = 6
    MUTE_WORD = 7
    UNMUTE_WORD = 8


class Which(IntEnum):
    """Numbers of haat.social.v1.ListRelationsRequest.Which."""

    FOLLOWED = 1
    FOLLOWERS = 2
    BLOCKED = 3
    MUTED = 4
    MUTED_WORDS = 5


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What requests and answers have in common: nothing that is not named is taken."""


class Consent(Value, frozen=True):
    """What a person agreed to."""

    granted: tuple[Purpose, ...] = ()
    global_privacy_control: bool = False
    child_directed: bool = False


class Person(Value, frozen=True):
    """A person; `tracking_id`, `unwanted_notifications`, `picture_media_id`, `state` and `reasons` are told to the
    person alone, and others see of the words and the picture what moderation let through.
    """

    person_id: str
    handle: str
    display_name: str = ""
    bio: str = ""
    links: tuple[str, ...] = ()
    joined_at_ms: int = 0
    revision: int = 1
    followers: int = 0
    following: int = 0
    tracking_id: str = ""
    unwanted_notifications: tuple[NotificationKind, ...] = ()
    picture_url: str = ""
    picture_media_id: str = ""
    state: str = ""
    reasons: tuple[str, ...] = ()


class SignUpRequest(Value, frozen=True):
    """A person joins; an empty person_id has one made."""

    idempotency_key: str = ""
    consent: Consent = Consent()
    person_id: str = ""
    handle: str = ""
    display_name: str = ""
    bio: str = ""
    links: tuple[str, ...] = ()
    picture_media_id: str = ""


class EditPersonRequest(Value, frozen=True):
    """What a person says of itself, in place of before; `revision` is the one that was edited."""

    person_id: str = ""
    revision: int = 0
    handle: str = ""
    display_name: str = ""
    bio: str = ""
    links: tuple[str, ...] = ()
    picture_media_id: str = ""


class GetProfileRequest(Value, frozen=True):
    """One profile, by person_id or by handle."""

    viewer_id: str = ""
    person_id: str = ""
    handle: str = ""


class Profile(Value, frozen=True):
    """What a creator's page shows; product_ids are those of the newest posts, most often shown first."""

    person: Person
    posts: int = 0
    likes: int = 0
    product_ids: tuple[str, ...] = ()
    badge: str = ""
    followed_by_viewer: bool = False
    muted_by_viewer: bool = False


class PostCard(Value, frozen=True):
    """A post in a list; `state` is empty for all but its creator."""

    post_id: str
    creator_id: str
    caption: str = ""
    image_urls: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    published_at_ms: int = 0
    likes: int = 0
    saves: int = 0
    comments: int = 0
    shares: int = 0
    purchases: int = 0
    state: str = ""
    disclosure: str = ""


class ListPostsRequest(Value, frozen=True):
    """Posts of a creator, or under a hashtag."""

    viewer_id: str = ""
    creator_id: str = ""
    hashtag: str = ""
    page_size: int = 0
    cursor: str = ""


class PostList(Value, frozen=True):
    """Posts, newest first."""

    posts: tuple[PostCard, ...] = ()
    next_cursor: str = ""


class RelateRequest(Value, frozen=True):
    """A person follows, blocks or mutes somebody or a word, or no longer does."""

    kind: Relate
    person_id: str = ""
    subject: str = ""
    action_id: str = ""


class RelateResponse(Value, frozen=True):
    """Is anything other than before?"""

    changed: bool = False


class ListRelationsRequest(Value, frozen=True):
    """Whom a person follows, blocks and so on."""

    which: Which
    person_id: str = ""
    page_size: int = 0
    cursor: str = ""


class RelationList(Value, frozen=True):
    """Ids of people, or words, in their order."""

    subjects: tuple[str, ...] = ()
    next_cursor: str = ""


class SearchRequest(Value, frozen=True):
    """What is looked for; no kinds are all of them."""

    viewer_id: str = ""
    words: str = ""
    kinds: tuple[SearchKind, ...] = ()
    creator_id: str = ""
    hashtag: str = ""
    page_size: int = 0
    cursor: str = ""


class SearchHit(Value, frozen=True):
    """One hit; the two HTML fields hold `<mark>` and nothing else, all else is escaped."""

    kind: SearchKind
    id: str
    title_html: str
    snippet_html: str
    score: float


class SearchResults(Value, frozen=True):
    """Hits, best first."""

    hits: tuple[SearchHit, ...] = ()
    next_cursor: str = ""


class ShareLinkRequest(Value, frozen=True):
    """A link to a post's product, with what its reader is told of the one who shares."""

    disclosure: Disclosure
    idempotency_key: str = ""
    person_id: str = ""
    post_id: str = ""
    product_id: str = ""
    landing_url: str = ""


class SharedLink(Value, frozen=True):
    """A link that was shared."""

    share_id: str
    url: str
    post_id: str
    tracking_id: str
    landing_url: str
    disclosure: Disclosure
    clicks: int


class GetSharedLinkRequest(Value, frozen=True):
    """One link, by the one who shared it."""

    person_id: str = ""
    share_id: str = ""


class ErasePersonRequest(Value, frozen=True):
    """Everything of a person goes."""

    person_id: str = ""


class ErasedCount(Value, frozen=True):
    """How many of one thing went."""

    what: str
    count: int


class ErasedPerson(Value, frozen=True):
    """What went."""

    erased: tuple[ErasedCount, ...] = ()
