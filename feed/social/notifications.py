"""Who is told what, and what has been read?"""

from __future__ import annotations

import msgspec

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from feed.post import Post, PostState
from feed.social.calls import Person, view
from feed.social.calls_said import (
    ChooseNotificationsRequest,
    ListNotificationsRequest,
    MarkReadRequest,
    MarkReadResponse,
    Notification,
    NotificationList,
)
from feed.social.comment_rules import reasons_of
from feed.social.handles import skeleton
from feed.social.pages import FROM_THE_NEWEST, cursor_of, place_of, size_of
from feed.social.ports import NotificationStore, PeopleStore, Statements
from feed.social.profiles import PictureAddresses, own_card
from feed.social.sights import Sights
from feed.social.signed_in import SignedIn
from feed.social.words import OF_MODERATION, NotificationKind

MAX_STATEMENT_CHARS = 1_000

_OF_STATE = {
    PostState.CLEAN: NotificationKind.POST_CLEAN,
    PostState.LIMITED: NotificationKind.POST_LIMITED,
    PostState.REMOVED: NotificationKind.POST_REMOVED,
}


class Notifier:
    """Tells people what happened; blocks on the stores."""

    def __init__(self, *, store: NotificationStore, people: PeopleStore, sights: Sights, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._sights = sights
        self._clock = clock

    def tell(
        self,
        tenant_id: str,
        person_id: str,
        kind: NotificationKind,
        subject_id: str = "",
        *,
        text: str = "",
        actor_id: str = "",
        said: str = "",
    ) -> bool:
        """Tell a person; False when the person is not known, does not want it, or does not want to hear of the actor
        or of what the actor `said`.

        What several actors do to one subject is one notification until it is read.
        """
        person = self._people.get(tenant_id, person_id)
        if person is None or actor_id == person_id or kind in person.unwanted_notifications:
            return False
        if actor_id and not self._sights.of(tenant_id, person_id).sees(actor_id, said):
            return False
        self._store.add(
            tenant_id, person_id, kind, subject_id, text[:MAX_STATEMENT_CHARS], actor_id, self._clock.now_ms()
        )
        return True

    def tell_fate(self, post: Post, statements: Statements | None = None) -> NotificationKind | None:
        """Tell a creator what became of a post, once for each change of its state; what was told."""
        before = self._store.fate(post.tenant_id, post.post_id, int(post.state))
        kind = _OF_STATE.get(post.state)
        if post.state is PostState.CHECKING and post.verdict is not None:
            return self._tell_held(post, before)
        if post.state is PostState.APPEALED and before in _OF_STATE:
            # The decision on an appeal was taken back: what was told of it holds no more.
            appeal = NotificationKind.APPEAL_DECIDED
            self._store.take_back(post.tenant_id, post.creator_id, appeal, post.post_id)
        if kind is None or before == post.state:
            return None
        if before == PostState.APPEALED:
            kind = NotificationKind.APPEAL_DECIDED
        # Nothing was ever decided about what was clean from the first.
        always_clean = before == 0 and kind is NotificationKind.POST_CLEAN
        statement = "" if statements is None or always_clean else statements.statement(post.tenant_id, post.post_id)
        told = self.tell(post.tenant_id, post.creator_id, kind, post.post_id, text=statement)
        return kind if told else None

    def not_published(self, post: Post, why: str) -> None:
        """Tell a creator that the time of a draft came, and why it is a draft still."""
        self.tell(post.tenant_id, post.creator_id, NotificationKind.POST_NOT_PUBLISHED, post.post_id, text=why)

    def _tell_held(self, post: Post, before: int) -> NotificationKind | None:
        assert post.verdict is not None
        kind = NotificationKind.POST_HELD
        if before == post.state:
            return None
        text = " ".join(reasons_of(post.verdict))
        return kind if self.tell(post.tenant_id, post.creator_id, kind, post.post_id, text=text) else None


class Notifications:
    """The use cases of notifications; all of them block on the stores."""

    def __init__(
        self,
        *,
        store: NotificationStore,
        people: PeopleStore,
        signed_in: SignedIn,
        clock: Clock,
        addresses: PictureAddresses | None = None,
    ) -> None:
        self._store = store
        self._people = people
        self._signed_in = signed_in
        self._clock = clock
        self._addresses = addresses

    def list(self, tenant_id: str, request: ListNotificationsRequest) -> NotificationList:
        """The person's notifications, newest first."""
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        size, listed = size_of(request.page_size), f"notifications {person_id}"
        before = place_of(listed, request.cursor, FROM_THE_NEWEST)
        found = self._store.page(tenant_id, person_id, before, size)
        more = cursor_of(listed, found[-1].at_ms, found[-1].notification_id) if len(found) == size else ""
        unread = self._store.unread(tenant_id, person_id)
        return NotificationList(tuple(view(Notification, one) for one in found), unread, more)

    def mark_read(self, tenant_id: str, request: MarkReadRequest) -> MarkReadResponse:
        """All up to a moment are read."""
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        if request.until_ms < 0:
            raise InvalidInput([FieldError("until_ms", str(request.until_ms), "give ms since 1970, or 0 for now")])
        now_ms = self._clock.now_ms()
        return MarkReadResponse(self._store.mark_read(tenant_id, person_id, request.until_ms or now_ms, now_ms))

    def choose(self, tenant_id: str, request: ChooseNotificationsRequest) -> Person:
        """Which kinds the person does not want."""
        person = self._signed_in.require(tenant_id, request.person_id)
        errors = [
            FieldError(
                f"unwanted[{at}]",
                kind.name.lower(),
                "leave it out: what becomes of your posts and profile is always told",
            )
            for at, kind in enumerate(request.unwanted)
            if kind in OF_MODERATION
        ]
        if errors:
            raise InvalidInput(errors)
        unwanted = tuple(sorted(set(request.unwanted)))
        wishing = msgspec.structs.replace(person, unwanted_notifications=unwanted)
        edited = self._people.edit(wishing, skeleton(person.handle), person.revision)
        if edited is None:
            self._signed_in.refuse("person_id", request.person_id)
        return own_card(edited, self._addresses)
