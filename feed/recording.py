"""What changes when a visitor acts?"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence

import msgspec

from common.clock import Clock
from common.consent import Permission
from common.errors import BackendUnavailable, FieldError, InvalidInput
from feed.actions import WORTH, Action, ActionKind
from feed.index import FeedIndex, Kind, Shelf, Term
from feed.ports import Count, PostStore, Profiles, SessionStore
from feed.post_rules import shown
from feed.sessions import Session
from streams import schemas
from streams.schemas import FeedActionTaken
from streams.topics import FEED_ACTIONS

_log = logging.getLogger(__name__)

# Appends records to a topic of the event log.
Publish = Callable[[str, Sequence[bytes]], object]


class Actor(msgspec.Struct, frozen=True):
    """In whose session something was done; `visitor_id` is empty unless the visitor may be remembered.

    `learn` False draws no taste from it (pages for children).
    """

    tenant_id: str
    session_id: str
    permissions: Permission = Permission.NONE
    visitor_id: str = ""
    learn: bool = True


class Recorded(msgspec.Struct, frozen=True):
    """How many actions were new, and how many had been recorded before."""

    recorded: int
    duplicates: int


class Recorder:
    """Takes actions: into the session at once, into the posts' counters, the visitor's profile and the event log."""

    def __init__(
        self,
        *,
        index: FeedIndex,
        sessions: SessionStore,
        store: PostStore,
        profiles: Profiles,
        clock: Clock,
        publish: Publish,
    ) -> None:
        self._index = index
        self._sessions = sessions
        self._store = store
        self._profiles = profiles
        self._clock = clock
        self._publish = publish
        # Profiles that could not be written; the session knows the taste all the same.
        self.profile_failures = 0
        # Actions that were taken and could not be told to the event log.
        self.actions_untold = 0

    async def record(self, actor: Actor, actions: Sequence[Action]) -> Recorded:
        """Take all actions or none. InvalidInput names those whose subject is unknown; each `action_id` counts once."""
        now_ms = self._clock.now_ms()
        shelf = self._index.shelf(actor.tenant_id)
        if errors := _unknown_subjects(shelf, actions):
            raise InvalidInput(errors)
        session = self._sessions.read(actor.tenant_id, actor.session_id, now_ms)
        counts = _counts(actor, session, actions)
        counted: dict[bytes, bool] = {}
        if counts:
            # The store has the last word: it remembers what a session of an earlier process did.
            answers = await asyncio.to_thread(self._store.count, actor.tenant_id, counts, now_ms)
            counted = dict(zip((one.action_key for one in counts), answers, strict=True))
            session = self._sessions.read(actor.tenant_id, actor.session_id, now_ms)
        new = self._take(actor, session, shelf, actions, counted, now_ms)
        self._sessions.keep(actor.tenant_id, actor.session_id, session, now_ms)
        if new:
            self._tell(actor, new, now_ms)
            await self._remember(actor, shelf, new, now_ms)
        return Recorded(len(new), len(actions) - len(new))

    def _take(
        self,
        actor: Actor,
        session: Session,
        shelf: Shelf,
        actions: Sequence[Action],
        counted: dict[bytes, bool],
        now_ms: int,
    ) -> list[Action]:
        new = []
        for action in actions:
            changes = session.changes(action)
            is_new = session.take(action, _terms(shelf, action), learn=actor.learn)
            was_counted = counted.get(_action_key(actor, action))
            if not is_new or was_counted is False:
                continue
            new.append(action)
            if changes and action.kind is not ActionKind.FOLLOW:
                shelf.count_action(
                    shelf.row_of[action.subject_id],
                    WORTH[action.kind],
                    now_ms,
                    likes=bool(was_counted and action.kind is ActionKind.LIKE),
                    saves=bool(was_counted and action.kind is ActionKind.SAVE),
                )
        return new

    def _tell(self, actor: Actor, new: Sequence[Action], now_ms: int) -> None:
        visitor_id = actor.visitor_id if Permission.REMEMBER in actor.permissions else ""
        payloads = [
            schemas.encode(
                FeedActionTaken(
                    taken_at_ms=now_ms,
                    tenant_id=actor.tenant_id,
                    session_id=actor.session_id,
                    visitor_id=visitor_id,
                    kind=int(action.kind),
                    subject_id=action.subject_id,
                    action_id=action.action_id,
                )
            )
            for action in new
        ]
        try:
            self._publish(FEED_ACTIONS.name, payloads)
        except BackendUnavailable as error:
            # The actions are taken; saying no now would make the caller send them again.
            self.actions_untold += len(new)
            _log.warning("actions were not told to the event log: %s", error)

    async def _remember(self, actor: Actor, shelf: Shelf, new: Sequence[Action], now_ms: int) -> None:
        if not actor.visitor_id or Permission.REMEMBER not in actor.permissions:
            return
        weights: dict[str, float] = {}
        for action in new:
            for kind, name in _terms(shelf, action):
                if kind is Kind.PRODUCT:
                    weights[name] = weights.get(name, 0.0) + WORTH[action.kind]
        if not weights:
            return
        try:
            await asyncio.to_thread(self._profiles.remember, actor.tenant_id, actor.visitor_id, weights, now_ms)
        except BackendUnavailable as error:
            self.profile_failures += 1
            _log.warning("affinities were not remembered: %s", error)


def _unknown_subjects(shelf: Shelf, actions: Sequence[Action]) -> list[FieldError]:
    errors = []
    for at, action in enumerate(actions):
        if action.kind is ActionKind.FOLLOW:
            known, what = shelf.code((Kind.CREATOR, action.subject_id)) >= 0, "creator"
        else:
            known, what = action.subject_id in shelf.row_of, "post"
        if not known:
            remedy = f"give the id of a {what} of this feed"
            errors.append(FieldError(f"actions[{at}].subject_id", f"unknown {what} {shown(action.subject_id)}", remedy))
    return errors


def _counts(actor: Actor, session: Session, actions: Sequence[Action]) -> list[Count]:
    # A post that is liked twice in one request counts once.
    first: dict[tuple[ActionKind, str], Count] = {}
    for action in actions:
        if (
            action.kind in (ActionKind.LIKE, ActionKind.SAVE)
            and session.changes(action)
            and not session.has_taken(action.action_id)
        ):
            count = Count(
                action.subject_id,
                _action_key(actor, action),
                likes=int(action.kind is ActionKind.LIKE),
                saves=int(action.kind is ActionKind.SAVE),
            )
            first.setdefault((action.kind, action.subject_id), count)
    return list(first.values())


def _action_key(actor: Actor, action: Action) -> bytes:
    named = f"{actor.tenant_id}\0{actor.session_id}\0{action.action_id}".encode()
    return hashlib.blake2b(named, digest_size=16).digest()


def _terms(shelf: Shelf, action: Action) -> list[Term]:
    if action.kind is ActionKind.FOLLOW:
        return [(Kind.CREATOR, action.subject_id)]
    return shelf.terms(shelf.row_of[action.subject_id])
