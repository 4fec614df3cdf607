"""What are people, comments and notifications? The values of the social part, as they are stored."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class NotificationKind(IntEnum):
    """Numbers of haat.social.v1.NotificationKind."""

    POST_CLEAN = 1
    POST_LIMITED = 2
    POST_REMOVED = 3
    APPEAL_DECIDED = 4
    COMMENT = 5
    REPLY = 6
    MENTION = 7
    FOLLOW = 8
    LIKE = 9
    COMMENT_LIKE = 10
    PROFILE_DECIDED = 11
    POST_HELD = 12
    POST_NOT_PUBLISHED = 13


# What becomes of a person's own words is always told.
OF_MODERATION = frozenset(
    {
        NotificationKind.POST_CLEAN, NotificationKind.POST_LIMITED, NotificationKind.POST_REMOVED,
        NotificationKind.APPEAL_DECIDED, NotificationKind.PROFILE_DECIDED, NotificationKind.POST_HELD,
        NotificationKind.POST_NOT_PUBLISHED,
    }
)  # fmt: skip


class ProfileState(IntEnum):
    """What moderation made of what a person says of itself."""

    CLEAN = 1
    # Not yet checked, or held until a person has looked: others see what was let through before.
    CHECKING = 2
    # Seen by who comes to it, found by nobody who searches.
    LIMITED = 3
    REMOVED = 4


class ProfilePicture(msgspec.Struct, frozen=True):
    """A person's picture: the medium, and the file of it that is shown."""

    media_id: str
    file: str


class Shown(msgspec.Struct, frozen=True):
    """What others see of what a person says of itself: what moderation last let through."""

    handle: str
    display_name: str
    bio: str = ""
    links: tuple[str, ...] = ()
    picture: ProfilePicture | None = None
    findable: bool = True


class Person(msgspec.Struct, frozen=True):
    """Somebody who signed up. `followers` and `following` are exact; `revision` grows with each change.

    `tracking_id` is what share links carry of this person. `shown` is None while nothing was let through; `reasons` are
    sentences of moderation, for the person; `decided_by` is "checker" or who moderated, "" before anybody did.
    """

    tenant_id: str
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
    picture: ProfilePicture | None = None
    state: ProfileState = ProfileState.CHECKING
    reasons: tuple[str, ...] = ()
    decided_by: str = ""
    shown: Shown | None = None


class Relation(IntEnum):
    """What one person has to another, or to a word."""

    FOLLOW = 1
    BLOCK = 2
    MUTE = 3
    MUTE_WORD = 4


class CommentState(IntEnum):
    """Numbers of haat.social.v1.Comment.State."""

    CLEAN = 1
    CHECKING = 2
    LIMITED = 3
    REMOVED = 4
    DELETED = 5


class Comment(msgspec.Struct, frozen=True):
    """A comment as it is stored; `reasons` are sentences of moderation, for its author."""

    tenant_id: str
    comment_id: str
    post_id: str
    parent_id: str
    depth: int
    author_id: str
    text: str
    state: CommentState
    written_at_ms: int
    hidden: bool = False
    edited_at_ms: int = 0
    revision: int = 1
    likes: int = 0
    replies: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Is it one of the comments that everybody sees?"""
        return self.state in (CommentState.CLEAN, CommentState.LIMITED) and not self.hidden


class Tallies(msgspec.Struct, frozen=True):
    """What is counted of a post beside its likes and saves; whether it may be commented."""

    comments: int = 0
    shares: int = 0
    reports: int = 0
    hides: int = 0
    purchases: int = 0
    comments_off: bool = False


class Notification(msgspec.Struct, frozen=True):
    """Something that a person is told; `actor_ids` are the newest three of `actor_count` people."""

    notification_id: str
    kind: NotificationKind
    subject_id: str
    text: str
    at_ms: int
    read: bool
    actor_count: int = 0
    actor_ids: tuple[str, ...] = ()


class SearchKind(IntEnum):
    """Numbers of haat.social.v1.SearchKind."""

    POST = 1
    PRODUCT = 2
    PERSON = 3


class Document(msgspec.Struct, frozen=True):
    """What can be found: `person_id` is whose it is, `tags` are hashtags, `at_ms` its age (0: ageless)."""

    tenant_id: str
    kind: SearchKind
    id: str
    title: str
    body: str = ""
    tags: tuple[str, ...] = ()
    person_id: str = ""
    at_ms: int = 0


class Query(msgspec.Struct, frozen=True):
    """What is looked for: `words` are plain tokens, all of which must be met, the last one as a beginning."""

    tenant_id: str
    words: tuple[str, ...]
    kinds: tuple[SearchKind, ...]
    now_ms: int
    person_id: str = ""
    tag: str = ""
    offset: int = 0
    limit: int = 20


class Found(msgspec.Struct, frozen=True):
    """One hit: title and snippet with MARK_BEGIN and MARK_END around what was met, not escaped yet."""

    kind: SearchKind
    id: str
    title: str
    snippet: str
    score: float


# Characters of private use: no document holds them.
MARK_BEGIN = "\ue000"
MARK_END = "\ue001"


class Disclosure(IntEnum):
    """Numbers of haat.social.v1.Disclosure: what a reader is told of the one who shares."""

    AFFILIATE = 1
    PAID_PARTNERSHIP = 2
    GIFTED = 3
    OWN_BRAND = 4


class SharedLink(msgspec.Struct, frozen=True):
    """A link to a post's product; `tracking_id` is that of the post's author, `person_id` is who shared it."""

    share_id: str
    tenant_id: str
    post_id: str
    person_id: str
    tracking_id: str
    landing_url: str
    disclosure: Disclosure
    made_at_ms: int
    clicks: int = 0
