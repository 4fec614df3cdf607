"""Sessions of the feed in Redis, for all nodes: a hash a session, compared and set, that goes with the session's time.

A node knows its sessions by itself too, so that pages go on while Redis is away. What was done to a session since Redis
took it is kept beside it: where another node has changed the session meanwhile, it is done again to that state. So
nodes that serve one session in the same moment lose nothing, and neither does one that Redis did not answer.

Keys are digests, so nobody is named in them. Used from one thread, which waits for `hot` no longer than a page may.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from backends.redis_connection import Call, RedisConnection
from common.errors import BackendUnavailable
from feed.actor import session_key
from feed.session_state import pages_of, session_of, state_of
from feed.sessions import MAX_SESSIONS, SESSION_TTL_MS, InProcessSessions, Session, Shown

_MARK_BYTES: Final = 8
# So often a session may change under one who keeps it, before that is left for later.
_MOST_TURNS: Final = 4
# Of what Redis did not take, so many sessions are brought to it in one round trip.
_LATER_AT_ONCE: Final = 64

# Tenant and session.
_Name = tuple[str, str]


class RedisSessions:
    """SessionStore. `counts`: sessions that were read or kept without Redis (`unasked`, `unsaved`), were changed by
    another node meanwhile (`merged`), brought to Redis later (`later`), or not understood (`unreadable`).
    """

    def __init__(self, hot: RedisConnection, *, ttl_ms: int = SESSION_TTL_MS, limit: int = MAX_SESSIONS) -> None:
        self.counts: Counter[str] = Counter()
        self._hot = hot
        self._ttl_ms = ttl_ms
        self._prefix = f"{hot.prefix}:session:"
        # As this node knows them.
        self._near = InProcessSessions(ttl_ms=ttl_ms, limit=limit)
        # Those of which Redis does not have everything.
        self._behind: dict[_Name, None] = {}

    def read(self, tenant_id: str, session_id: str, now_ms: int) -> Session:
        """See SessionStore; one call. As this node knows it while Redis does not answer."""
        known = self._near.read(tenant_id, session_id, now_ms)
        key = self._key((tenant_id, session_id))
        try:
            (held,) = self._hot.run("session_read", [((key,), (known.mark,))])
        except BackendUnavailable:
            self.counts["unasked"] += 1
            return known
        if held is None:
            known.mark = b""
        elif isinstance(held, list):
            known = self._merged(key, known, held, now_ms)
            self._near.hold(tenant_id, session_id, known, known.touched_at_ms)
        return known

    def keep(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None:
        """See SessionStore; one call, and more where others change the session in the same moment."""
        self._near.hold(tenant_id, session_id, session, now_ms)
        self._save({(tenant_id, session_id): session}, now_ms)

    def bring_later(self, now_ms: int) -> int:
        """What Redis did not take while it was away, some sessions at a time; how many are left."""
        if self._behind and self._hot.breaker.closed:
            names = list(islice(self._behind, _LATER_AT_ONCE))
            found = {name: self._near.read(*name, now_ms) for name in names}
            for name in names:
                del self._behind[name]
            # What is over meanwhile, or was pushed out, has nothing unsaved.
            waiting = {name: session for name, session in found.items() if session.unsaved}
            self.counts["later"] += len(waiting)
            self._save(waiting, now_ms)
        return len(self._behind)

    def forget(self, tenant_id: str, session_id: str) -> bool:
        """Forget one session at once; False when it was not known. BackendUnavailable."""
        near = self._near.forget(tenant_id, session_id)
        self._behind.pop((tenant_id, session_id), None)
        return bool(self._hot.ask([("DEL", self._key((tenant_id, session_id)))])[0]) or near

    def _save(self, waiting: dict[_Name, Session], now_ms: int) -> None:
        for _ in range(_MOST_TURNS):
            if not waiting:
                return
            marks = {name: os.urandom(_MARK_BYTES) for name in waiting}
            try:
                replies = self._hot.run(
                    "session_keep", [self._call(name, session, marks[name]) for name, session in waiting.items()]
                )
            except BackendUnavailable:
                break
            changed: dict[_Name, Session] = {}
            for (name, session), reply in zip(waiting.items(), replies, strict=True):
                if isinstance(reply, list):
                    self.counts["merged"] += 1
                    merged = changed[name] = self._merged(self._key(name), session, reply, now_ms)
                    self._near.hold(*name, merged, merged.touched_at_ms)
                else:
                    session.mark = marks[name]
                    session.unsaved.clear()
                    self._behind.pop(name, None)
            waiting = changed
        self.counts["unsaved"] += len(waiting)
        self._behind.update(dict.fromkeys(waiting))
        while len(self._behind) > MAX_SESSIONS:
            del self._behind[next(iter(self._behind))]

    def _call(self, name: _Name, session: Session, mark: bytes) -> Call:
        paged = not session.mark or any(isinstance(done, Shown) for done in session.unsaved)
        pages = pages_of(session) if paged else b""
        return (self._key(name),), (session.mark, mark, state_of(session), pages, self._ttl_ms)

    def _merged(self, key: str, known: Session, held: Sequence[Any], now_ms: int) -> Session:
        """The state that Redis holds, with what was done here and is not in it."""
        mark, state, pages = held
        if mark is None:
            # Redis has lost it, or its time was over: what is known here is all there is.
            known.mark = b""
            return known
        try:
            session = session_of(state, pages or b"\x90")
        except (ValueError, TypeError):
            self.counts["unreadable"] += 1
            with suppress(BackendUnavailable):
                self._hot.ask([("DEL", key)])
            known.mark = b""
            return known
        if now_ms - session.touched_at_ms > self._ttl_ms:
            session = Session(now_ms)
        session.mark = mark
        if known.unsaved:
            session.touched_at_ms = max(session.touched_at_ms, known.touched_at_ms)
        session.do_again(tuple(known.unsaved))
        return session

    def _key(self, name: _Name) -> str:
        return self._prefix + session_key(*name).hex()
