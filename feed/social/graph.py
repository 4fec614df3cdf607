"""How does somebody begin to follow, block or mute another, and how does it end?"""

from __future__ import annotations

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from feed.actions import OF_CREATORS, UNDOES, ActionKind
from feed.actor import action_key
from feed.muting import plain_word
from feed.post_rules import is_id, shown
from feed.social.calls import ListRelationsRequest, Relate, RelateRequest, RelateResponse, RelationList, Which
from feed.social.notifications import Notifier
from feed.social.pages import cursor_of, place_of, size_of
from feed.social.ports import GraphStore
from feed.social.sights import Sights
from feed.social.signed_in import SignedIn
from feed.social.texts import text_errors
from feed.social.words import NotificationKind, Relation

MOST_MUTED_WORDS = 200
MAX_WORD_CHARS = 100

_OF_REQUEST = {
    Relate.FOLLOW: (Relation.FOLLOW, True), Relate.UNFOLLOW: (Relation.FOLLOW, False),
    Relate.BLOCK: (Relation.BLOCK, True), Relate.UNBLOCK: (Relation.BLOCK, False),
    Relate.MUTE: (Relation.MUTE, True), Relate.UNMUTE: (Relation.MUTE, False),
    Relate.MUTE_WORD: (Relation.MUTE_WORD, True), Relate.UNMUTE_WORD: (Relation.MUTE_WORD, False),
}  # fmt: skip
_OF_ACTION = {
    ActionKind.FOLLOW: Relation.FOLLOW,
    ActionKind.BLOCK: Relation.BLOCK,
    ActionKind.MUTE: Relation.MUTE,
}


class Graph:
    """The use cases of the graph; all of them block on the store."""

    def __init__(
        self, *, store: GraphStore, sights: Sights, people: SignedIn, notifier: Notifier, clock: Clock
    ) -> None:
        self._store = store
        self._sights = sights
        self._people = people
        self._notifier = notifier
        self._clock = clock

    def relate(self, tenant_id: str, request: RelateRequest) -> RelateResponse:
        """A person follows, blocks or mutes somebody, or no longer does. NotFound when the person did not sign up."""
        kind, on = _OF_REQUEST[request.kind]
        subject = plain_word(request.subject) if kind is Relation.MUTE_WORD else request.subject
        errors = _subject_errors(kind, subject, request)
        if not is_id(request.action_id):
            remedy = "give 1 to 64 printable characters, fresh for each action"
            errors.append(FieldError("action_id", shown(request.action_id), remedy))
        if errors:
            raise InvalidInput(errors)
        self._people.require(tenant_id, request.person_id)
        if kind is not Relation.MUTE_WORD and on:
            self._people.require(tenant_id, subject, field="subject")
        if kind is Relation.FOLLOW and on and subject in self._sights.of(tenant_id, request.person_id).blocked:
            self._people.refuse("subject", subject)
        if kind is Relation.MUTE_WORD and on:
            self._refuse_too_many_words(tenant_id, request.person_id)
        key = action_key(tenant_id, f"person {request.person_id}", request.action_id)
        return RelateResponse(self._relate(tenant_id, request.person_id, kind, subject, on, key))

    def act(self, tenant_id: str, person_id: str, kind: ActionKind, creator_id: str, key: bytes) -> bool:
        """Keep an action of the feed; of one who is blocked nothing is followed."""
        assert kind in OF_CREATORS, kind
        done = UNDOES.get(kind)
        relation = _OF_ACTION[done or kind]
        blocked = self._sights.of(tenant_id, person_id).blocked
        if person_id == creator_id or (kind is ActionKind.FOLLOW and creator_id in blocked):
            return False
        return self._relate(tenant_id, person_id, relation, creator_id, done is None, key)

    def list(self, tenant_id: str, request: ListRelationsRequest) -> RelationList:
        """Whom a person follows, is followed by, blocks, mutes, by id."""
        self._people.require(tenant_id, request.person_id)
        size, listed = size_of(request.page_size), f"{request.which.name} {request.person_id}"
        _, after = place_of(listed, request.cursor, (0, ""))
        if request.which is Which.FOLLOWERS:
            found = self._store.holders(tenant_id, Relation.FOLLOW, request.person_id, after, size)
        else:
            found = self._store.subjects(tenant_id, request.person_id, _KIND_OF[request.which], after, size)
        more = cursor_of(listed, 0, found[-1]) if len(found) == size else ""
        return RelationList(tuple(found), more)

    def _relate(self, tenant_id: str, person_id: str, kind: Relation, subject: str, on: bool, key: bytes) -> bool:
        now_ms = self._clock.now_ms()
        changed = self._store.relate(tenant_id, person_id, kind, subject, on=on, key=key, now_ms=now_ms)
        self._sights.changed(tenant_id, person_id, subject)
        if changed and on and kind is Relation.FOLLOW:
            self._notifier.tell(tenant_id, subject, NotificationKind.FOLLOW, actor_id=person_id)
        return changed

    def _refuse_too_many_words(self, tenant_id: str, person_id: str) -> None:
        if len(self._sights.of(tenant_id, person_id).muted_words) >= MOST_MUTED_WORDS:
            remedy = f"at most {MOST_MUTED_WORDS} words can be muted: unmute one first"
            raise InvalidInput([FieldError("subject", "one word more", remedy)])


_KIND_OF = {
    Which.FOLLOWED: Relation.FOLLOW, Which.BLOCKED: Relation.BLOCK, Which.MUTED: Relation.MUTE,
    Which.MUTED_WORDS: Relation.MUTE_WORD,
}  # fmt: skip


def _subject_errors(kind: Relation, subject: str, request: RelateRequest) -> list[FieldError]:
    if kind is Relation.MUTE_WORD:
        return text_errors("subject", subject, MAX_WORD_CHARS, least_chars=1)
    if not is_id(subject):
        return [FieldError("subject", shown(subject), "give the id of a person")]
    if subject == request.person_id:
        return [FieldError("subject", shown(subject), "give another person than the one who acts")]
    return []
