"""What changes when a visitor acts?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from common.clock import Clock
from common.consent import Permission
from common.errors import BackendUnavailable, FieldError, InvalidInput
from feed.actions import OF_CREATORS, OF_PRODUCTS, UNDOES, WORTH, Action, ActionKind
from feed.actor import action_key, person_key, session_key
from feed.index import FeedIndex, Kind, Shelf, Term
from feed.ports import Listener, Profiles, Reacted, Reaction, ReactionStore, SessionStore, SocialRecord
from feed.post_rules import shown
from feed.sessions import Session
from streams import schemas
from streams.feed_events import FeedActionTaken
from streams.topics import FEED_ACTIONS

_log = logging.getLogger(__name__)

# What reaches a creator, or speaks for a post to others.
_TOWARDS_CREATORS = frozenset({ActionKind.LIKE, ActionKind.SAVE, ActionKind.SHARE})
# What a person does once and for all, in this session and those that come.
_LASTING = frozenset({ActionKind.HIDE, ActionKind.REPORT, ActionKind.PURCHASE})

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

    @property
    def person_id(self) -> str:
        """Under whose name something may be kept; empty for strangers."""
        return self.visitor_id if Permission.REMEMBER in self.permissions else ""

    @property
    def teaches(self) -> bool:
        """May what is done be learned from beyond the post's own counters?"""
        return self.learn and Permission.PERSONALISE_CONTENT in self.permissions

    @property
    def key(self) -> bytes:
        """What reactions are kept under: the person's where there is one, else the session's."""
        if self.person_id:
            return person_key(self.tenant_id, self.person_id)
        return session_key(self.tenant_id, self.session_id)


class Recorded(msgspec.Struct, frozen=True):
    """How many actions were new, and how many had been recorded before."""

    recorded: int
    duplicates: int


class Recorder:
    """Takes actions: into the session at once, into the posts' counters, the graph and profile of those who agreed to
    be remembered, and the event log.
    """

    def __init__(
        self,
        *,
        index: FeedIndex,
        sessions: SessionStore,
        reactions: ReactionStore,
        profiles: Profiles,
        clock: Clock,
        publish: Publish,
        social: SocialRecord | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._index = index
        self._sessions = sessions
        self._reactions = reactions
        self._profiles = profiles
        self._clock = clock
        self._publish = publish
        self._social = social
        self._listener = listener
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
        if errors := await self._out_of_sight(actor, shelf, actions):
            raise InvalidInput(errors)
        session = self._sessions.read(actor.tenant_id, actor.session_id, now_ms)
        fresh = _fresh(session, actions)
        await self._relate(actor, fresh, now_ms)
        reactions = [_reaction(actor, action) for action in fresh if _is_kept(action)]
        reacted: dict[bytes, Reacted] = {}
        if reactions:
            # The store has the last word: it remembers what was done in an earlier process, or on another device.
            answers = await asyncio.to_thread(self._reactions.react, actor.tenant_id, actor.key, reactions, now_ms)
            reacted = dict(zip((one.action_key for one in reactions), answers, strict=True))
            await self._choose(actor, reactions)
        # Meanwhile others may have changed it, here or on another node.
        session = self._sessions.read(actor.tenant_id, actor.session_id, now_ms)
        new = self._take(actor, session, shelf, actions, dict(reacted), now_ms)
        self._sessions.keep(actor.tenant_id, actor.session_id, session, now_ms)
        if new:
            self._tell(actor, new, now_ms)
            await self._remember(actor, shelf, new, now_ms)
            await self._tell_creators(actor, shelf, new, reacted, now_ms)
        return Recorded(len(new), len(actions) - len(new))

    def _take(
        self,
        actor: Actor,
        session: Session,
        shelf: Shelf,
        actions: Sequence[Action],
        reacted: dict[bytes, Reacted],
        now_ms: int,
    ) -> list[Action]:
        new = []
        for action in actions:
            changes = session.changes(action)
            is_new = session.take(action, _terms(shelf, action), learn=actor.learn)
            # Of two calls with the same action the session may see the one first that the store saw second, so where
            # the store was asked its word alone counts; what stands twice in one call was asked once.
            kept = reacted.pop(_action_key(actor, action), None)
            if not (is_new if kept is None else kept.new):
                continue
            new.append(action)
            if action.kind in OF_CREATORS or not (changes if kept is None else kept.moved):
                continue
            if self._listener is not None and actor.teaches:
                self._listener.acted(actor.key, action, session, shelf, now_ms)
            done, row = UNDOES.get(action.kind, action.kind), shelf.row_of[action.subject_id]
            if WORTH[action.kind] > 0 and action.kind not in UNDOES:
                shelf.companions.note(row, [shelf.row_of[post_id] for post_id in session.engaged], now_ms)
            shelf.count_action(
                row,
                WORTH[action.kind],
                now_ms,
                likes=kept.moved if kept is not None and done is ActionKind.LIKE else 0,
                saves=kept.moved if kept is not None and done is ActionKind.SAVE else 0,
            )
        return new

    async def _relate(self, actor: Actor, actions: Sequence[Action], now_ms: int) -> None:
        """What is done to creators lasts where the visitor may be remembered; else the session alone knows it."""
        if self._social is None or not actor.person_id:
            return
        for action in actions:
            if action.kind in OF_CREATORS:
                key = _action_key(actor, action)
                await asyncio.to_thread(
                    self._social.relate, actor.tenant_id, actor.person_id, action.kind, action.subject_id, key, now_ms
                )

    async def _out_of_sight(self, actor: Actor, shelf: Shelf, actions: Sequence[Action]) -> list[FieldError]:
        """Nobody likes, saves or shares a post of whom they blocked, or of who blocked them."""
        towards = {
            at: shelf.posts[shelf.row_of[action.subject_id]].creator_id
            for at, action in enumerate(actions)
            if action.kind in _TOWARDS_CREATORS
        }
        if self._social is None or not actor.person_id or not towards:
            return []
        creators, blocked_by = set(towards.values()), partial(self._social.blocked, actor.tenant_id, actor.person_id)
        blocked = await asyncio.to_thread(lambda: set(filter(blocked_by, creators)))
        return [
            _unknown(at, "post", actions[at].subject_id) for at, creator_id in towards.items() if creator_id in blocked
        ]

    async def _choose(self, actor: Actor, reactions: Sequence[Reaction]) -> None:
        """What a person hides, reports or buys holds in every session from now on."""
        if self._social is not None and actor.person_id and any(one.kind in _LASTING for one in reactions):
            await asyncio.to_thread(self._social.chosen, actor.tenant_id, actor.person_id)

    async def _tell_creators(
        self, actor: Actor, shelf: Shelf, new: Sequence[Action], reacted: dict[bytes, Reacted], now_ms: int
    ) -> None:
        if self._social is None or not actor.person_id:
            return
        for action in new:
            if action.kind is ActionKind.LIKE and reacted[_action_key(actor, action)].moved:
                creator_id = shelf.posts[shelf.row_of[action.subject_id]].creator_id
                try:
                    await asyncio.to_thread(
                        self._social.liked, actor.tenant_id, actor.person_id, creator_id, action.subject_id, now_ms
                    )
                except BackendUnavailable as error:
                    # The like stands; that nobody was told of it is no reason to send it again.
                    _log.warning("a creator was not told of a like: %s", error)

    def _tell(self, actor: Actor, new: Sequence[Action], now_ms: int) -> None:
        payloads = [
            schemas.encode(
                FeedActionTaken(
                    taken_at_ms=now_ms,
                    tenant_id=actor.tenant_id,
                    session_id=actor.session_id,
                    visitor_id=actor.person_id,
                    kind=int(action.kind),
                    subject_id=action.subject_id,
                    action_id=action.action_id,
                    detail=action.detail,
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
        if not actor.person_id:
            return
        weights: dict[str, float] = {}
        for action in new:
            for kind, name in _terms(shelf, action):
                if kind is Kind.PRODUCT and (action.kind not in OF_PRODUCTS or action.detail in ("", name)):
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
        if action.kind in OF_CREATORS:
            known, what = shelf.code((Kind.CREATOR, action.subject_id)) >= 0, "creator"
        else:
            known, what = action.subject_id in shelf.row_of, "post"
        if not known:
            errors.append(_unknown(at, what, action.subject_id))
        elif action.kind in OF_PRODUCTS and action.detail:
            products = [name for kind, name in _terms(shelf, action) if kind is Kind.PRODUCT]
            if action.detail not in products:
                remedy = "give a product that the post shows, or none"
                errors.append(FieldError(f"actions[{at}].detail", shown(action.detail), remedy))
    return errors


def _unknown(at: int, what: str, subject_id: str) -> FieldError:
    remedy = f"give the id of a {what} of this feed"
    return FieldError(f"actions[{at}].subject_id", f"unknown {what} {shown(subject_id)}", remedy)


def _fresh(session: Session, actions: Sequence[Action]) -> list[Action]:
    """Actions that this session has not taken, each once."""
    by_id = {action.action_id: action for action in reversed(actions) if not session.has_taken(action.action_id)}
    return list(reversed(by_id.values()))


def _is_kept(action: Action) -> bool:
    return action.kind not in OF_CREATORS and action.kind is not ActionKind.CLICK


def _reaction(actor: Actor, action: Action) -> Reaction:
    done = UNDOES.get(action.kind)
    return Reaction(done or action.kind, action.subject_id, _action_key(actor, action), on=done is None)


def _action_key(actor: Actor, action: Action) -> bytes:
    return action_key(actor.tenant_id, actor.session_id, action.action_id)


def _terms(shelf: Shelf, action: Action) -> list[Term]:
    if action.kind in OF_CREATORS:
        return [(Kind.CREATOR, action.subject_id)]
    return shelf.terms(shelf.row_of[action.subject_id])
