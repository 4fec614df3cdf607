"""What does the social part need from outside: records of people and what they say, a judge of texts, a search?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from feed.media.record import Media
from feed.post import Post
from feed.social.words import (
    Comment,
    CommentState,
    Document,
    Found,
    Notification,
    NotificationKind,
    Person,
    ProfileState,
    Query,
    Relation,
    SearchKind,
    SharedLink,
    Tallies,
)
from feed.verdict import Verdict


class SocialChecker(Protocol):
    """Moderation: what is found in what people write, before anybody but its author sees it."""

    def check_text(self, fields: Mapping[str, str], *, tenant_id: str, author_id: str) -> Verdict:
        """Judge a comment's texts by their fields' names; under 50 ms. BackendUnavailable: it is asked again later."""

    def check_profile(
        self, fields: Mapping[str, str], links: Sequence[str], picture_id: str, person: Person
    ) -> Verdict:
        """Judge what a person says of itself, likewise; `picture_id` is a medium of the person's, or empty."""


class PeoplesMedia(Protocol):
    """What was uploaded."""

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> Sequence[Media | None]:
        """One entry for each id: the tenant's medium when it is ready, else None."""


class Badges(Protocol):
    """Reputation, as far as it is shown."""

    def badge(self, tenant_id: str, person_id: str) -> str:
        """What the person's reputation is called; empty without one."""


class Statements(Protocol):
    """Why moderation decided as it did."""

    def statement(self, tenant_id: str, post_id: str) -> str:
        """The statement of reasons for the newest decision on a post; empty without one."""


class PeopleStore(Protocol):
    """Who signed up. Handles that look alike are the same one."""

    def sign_up(self, person: Person, skeleton: str, key: str, digest: str) -> Person:
        """Store a person under the tenant's idempotency key, with the followers that the id has already.

        Gives the person of an earlier call with the same key and digest. Conflict when the digest is another, when
        the id has signed up, or when somebody's handle looks like this one.
        """

    def get(self, tenant_id: str, person_id: str) -> Person | None:
        """The person; None when nobody signed up under this id."""

    def looking_like(self, tenant_id: str, skeletons: Sequence[str]) -> dict[str, Person]:
        """Who has these handles, by what the handles look like."""

    def known(self, tenant_id: str, person_ids: Sequence[str]) -> set[str]:
        """Those of the ids that signed up."""

    def some(self, tenant_id: str, person_ids: Sequence[str]) -> dict[str, Person]:
        """Those of the ids that signed up, by their ids."""

    def in_state(self, state: ProfileState, after: tuple[str, str], limit: int) -> list[Person]:
        """People of every tenant in this state, by (tenant, id), beginning after one."""

    def edit(self, person: Person, skeleton: str, revision: int) -> Person | None:
        """Replace what a person says, its wishes, and what moderation made of it at this revision; None when nobody has
        the id.

        Conflict when the revision is another, or when somebody's handle looks like this one.
        """

    def all(self) -> Iterator[Person]:
        """Everybody of every tenant, read in bounded portions."""


class GraphStore(Protocol):
    """Who follows, blocks and mutes whom. Counters of people are exact, whoever else writes."""

    def relate(
        self, tenant_id: str, person_id: str, kind: Relation, subject: str, *, on: bool, key: bytes, now_ms: int
    ) -> bool:
        """Begin or end a relation; False when nothing is other than before, or the action `key` was taken before.

        A block ends what the two follow of one another.
        """

    def subjects(self, tenant_id: str, person_id: str, kind: Relation, after: str, limit: int) -> list[str]:
        """To whom the person has this relation, by id, beginning after `after`."""

    def holders(self, tenant_id: str, kind: Relation, subject: str, after: str, limit: int) -> list[str]:
        """Who has this relation to the subject, by id, beginning after `after`."""


class PostReader(Protocol):
    """Posts as they are now, and what is counted beside them."""

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post in whichever state; None when it has no such post."""

    def newest_of(self, tenant_id: str, creator_id: str, before: tuple[int, str], limit: int) -> list[Post]:
        """The creator's posts in whichever state that come before (published_at_ms, post id), newest first."""

    def newest_tagged(self, tenant_id: str, tag: str, before: tuple[int, str], limit: int) -> list[Post]:
        """Posts under a hashtag, likewise."""

    def totals(self, tenant_id: str, creator_id: str) -> tuple[int, int]:
        """How many posts of the creator everybody can see, and the likes of them."""

    def tallies(self, tenant_id: str, post_ids: Sequence[str]) -> dict[str, Tallies]:
        """What is counted beside these posts; a post without an entry has counted nothing."""

    def all(self) -> Iterator[Post]:
        """Every post of every tenant, read in bounded portions."""


class CommentStore(Protocol):
    """What is said of posts. Counters of posts and threads are exact, whoever else writes."""

    def add(self, comment: Comment, key: str, digest: str) -> Comment:
        """Store a comment under the tenant's idempotency key, as PeopleStore.sign_up does.

        Conflict also when the post's comments were turned off meanwhile.
        """

    def written(self, tenant_id: str, key: str, digest: str) -> Comment | None:
        """What `key` wrote, as it is now; None when it wrote nothing. Conflict when the digest is another."""

    def get(self, tenant_id: str, comment_id: str) -> Comment | None:
        """The tenant's comment in whichever state."""

    def change(self, comment: Comment, revision: int) -> Comment:
        """Replace text, state, reasons and the rest at this revision, counters move along. Conflict when it changed."""

    def page(self, tenant_id: str, post_id: str, parent_id: str, after: str, limit: int) -> list[Comment]:
        """Comments of a post or replies to one, in whichever state, in order of their ids, beginning after one."""

    def in_state(self, state: CommentState, after: str, limit: int) -> list[Comment]:
        """Comments of every tenant in this state, by id, beginning after one."""

    def like(
        self, tenant_id: str, actor_key: bytes, comment_id: str, action_key: bytes, now_ms: int, *, on: bool
    ) -> int:
        """Like or no longer like a comment, each action once; by what its likes moved: -1, 0 or 1."""

    def allow(self, tenant_id: str, post_id: str, *, allowed: bool) -> None:
        """Turn the comments of a post on or off."""


class TagStore(Protocol):
    """Which posts stand under a hashtag, and who is mentioned where."""

    def tag(self, tenant_id: str, post_id: str, tags: Sequence[str]) -> None:
        """The hashtags of a post, in place of those it had."""

    def mention(self, tenant_id: str, source_id: str, person_ids: Sequence[str]) -> list[str]:
        """Who is mentioned in a post or comment, in place of before; those who were not mentioned in it before."""


class NotificationStore(Protocol):
    """What people are told. The newest of each person are kept, at most a bounded number; who blocks or mutes somebody
    is no longer told what that one did before (GraphStore).
    """

    def add(
        self,
        tenant_id: str,
        person_id: str,
        kind: NotificationKind,
        subject_id: str,
        text: str,
        actor_id: str,
        at_ms: int,
    ) -> None:
        """Tell a person. With an actor, an unread notification of the same kind and subject takes the actor in."""

    def page(self, tenant_id: str, person_id: str, before: tuple[int, str], limit: int) -> list[Notification]:
        """The person's notifications that come before (at_ms, id), newest first."""

    def unread(self, tenant_id: str, person_id: str) -> int:
        """How many are not read."""

    def mark_read(self, tenant_id: str, person_id: str, until_ms: int, now_ms: int) -> int:
        """All up to a moment are read; how many were not."""

    def take_back(self, tenant_id: str, person_id: str, kind: NotificationKind, subject_id: str) -> bool:
        """Remove the newest notification about a subject where it is of this kind; False when it is not."""

    def fate(self, tenant_id: str, post_id: str, state: int) -> int:
        """Note the state of a post that is told now; the one that was told before, 0 at first."""


class Search(Protocol):
    """Finds documents by their words. May be lost and made again from the records."""

    def put(self, documents: Sequence[Document]) -> None:
        """Add or replace documents by tenant, kind and id."""

    def forget(self, tenant_id: str, kind: SearchKind, ids: Sequence[str]) -> int:
        """Remove documents; how many there were."""

    def forget_person(self, tenant_id: str, person_id: str) -> int:
        """Remove all documents of a person, so that nothing of them stays in the index; how many there were."""

    def find(self, query: Query) -> list[Found]:
        """Documents that hold all words, by relevance and recency, then by id: pages of one `now_ms` fit together."""

    def count(self) -> int:
        """How many documents there are."""


class ShareStore(Protocol):
    """Links that were shared."""

    def add(self, link: SharedLink, key: str, digest: str) -> SharedLink:
        """Store a link under the tenant's idempotency key, as PeopleStore.sign_up does."""

    def get(self, share_id: str) -> SharedLink | None:
        """The link with its clicks."""

    def count_click(self, share_id: str, click_key: bytes, now_ms: int) -> bool:
        """Count a click; False when this one was counted before."""


class PendingErasures(Protocol):
    """Which erasures were begun and are not finished."""

    def begin(self, tenant_id: str, person_id: str) -> None:
        """Note that a person is being erased."""

    def done(self, tenant_id: str, person_id: str) -> None:
        """Nothing is left of the person, this note neither."""

    def all(self) -> list[tuple[str, str]]:
        """(tenant, person) of erasures that were begun and not finished."""


class ErasureHook(Protocol):
    """Where something of a person is kept, and how it is forgotten. One for each place; app/ lists them."""

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """Remove everything of the person; how many of each thing. Doing it again removes nothing."""
