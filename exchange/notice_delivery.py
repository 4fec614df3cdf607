"""When is an outside bidder called again, and when no more? Calls are bounded in number, in time and by host.

What failed waits twice as long each time, up to an hour; after a day, or so many tries, it is given up. A host that
fails again and again is left alone for a while, without that counting as tries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec

from common.clock import Clock
from exchange.outgoing import OutgoingState, OutgoingStore, Tried, Waiting

MOST_TRIES: Final = 20
MOST_AGE_MS: Final = 24 * 3_600_000
_FIRST_WAIT_MS: Final = 1_000
_LONGEST_WAIT_MS: Final = 3_600_000
AT_ONCE: Final = 32
AT_ONCE_BY_HOST: Final = 4
DUE_AT_ONCE: Final = 200
_FAILURES_TO_OPEN: Final = 5
_FIRST_REST_MS: Final = 5_000
_LONGEST_REST_MS: Final = 600_000


class Sent(msgspec.Struct, frozen=True):
    """How a call ended: the status of the answer, 0 without one; `refused` when its address may not be called."""

    status: int
    said: str
    refused: bool = False


Send = Callable[[str], Awaitable[Sent]]


class Breaker(msgspec.Struct):
    """One host: how often it failed in a row, and until when it is left alone."""

    failures: int = 0
    rests_until_ms: int = 0

    def heard(self) -> None:
        """It answered."""
        self.failures = 0

    def failed(self, now_ms: int) -> None:
        """It did not."""
        self.failures += 1
        if self.failures >= _FAILURES_TO_OPEN:
            rest_ms = _FIRST_REST_MS << min(self.failures - _FAILURES_TO_OPEN, 10)
            self.rests_until_ms = now_ms + min(rest_ms, _LONGEST_REST_MS)


def after(entry: Waiting, sent: Sent, now_ms: int, chance: Random) -> Tried:
    """What a try comes to. Only 2xx is an answer that it was heard."""
    attempts = entry.attempts + 1
    if sent.refused:
        return Tried(entry.number, OutgoingState.REFUSED, attempts, 0, now_ms, sent.said)
    if 200 <= sent.status < 300:
        return Tried(entry.number, OutgoingState.HEARD, attempts, 0, now_ms, sent.said)
    if attempts >= MOST_TRIES or now_ms - entry.enqueued_at_ms >= MOST_AGE_MS:
        return Tried(entry.number, OutgoingState.GIVEN_UP, attempts, 0, now_ms, sent.said)
    wait_ms = min(_FIRST_WAIT_MS << min(entry.attempts, 20), _LONGEST_WAIT_MS)
    # Somewhat earlier or later, so that what failed together does not come back together.
    due_at_ms = now_ms + round(wait_ms * (0.75 + 0.5 * chance.random()))
    return Tried(entry.number, OutgoingState.WAITING, attempts, due_at_ms, now_ms, sent.said)


class NoticeDelivery:
    """Calls what is due, a round at a time."""

    def __init__(self, *, store: OutgoingStore, send: Send, clock: Clock, chance: Random) -> None:
        self._store = store
        self._send = send
        self._clock = clock
        self._chance = chance
        self._breakers: dict[str, Breaker] = {}
        self.by_state: dict[str, int] = {}

    async def round(self) -> int:
        """Call what is due now and note what came of it; how many were tried. A round lasts as long as its slowest
        calls, which are bounded.
        """
        now_ms = self._clock.now_ms()
        due = await asyncio.to_thread(self._store.due, now_ms, DUE_AT_ONCE)
        if not due:
            return 0
        at_once = asyncio.Semaphore(AT_ONCE)
        by_host: dict[str, asyncio.Semaphore] = {}
        tried = await asyncio.gather(*(self._try(entry, at_once, by_host) for entry in due))
        await asyncio.to_thread(self._store.note, tried)
        for entry in tried:
            state = entry.state.name.lower()
            self.by_state[state] = self.by_state.get(state, 0) + 1
        self._breakers = {host: breaker for host, breaker in self._breakers.items() if breaker.failures}
        return len(tried)

    async def _try(self, entry: Waiting, at_once: asyncio.Semaphore, by_host: dict[str, asyncio.Semaphore]) -> Tried:
        host = urlsplit(entry.url).netloc.lower()
        breaker = self._breakers.setdefault(host, Breaker())
        async with by_host.setdefault(host, asyncio.Semaphore(AT_ONCE_BY_HOST)), at_once:
            now_ms = self._clock.now_ms()
            if now_ms < breaker.rests_until_ms:
                said = "its host is left alone for a while"
                return Tried(entry.number, OutgoingState.WAITING, entry.attempts, breaker.rests_until_ms, now_ms, said)
            sent = await self._send(entry.url)
        now_ms = self._clock.now_ms()
        if sent.status and sent.status < 500 and sent.status != 429:
            breaker.heard()
        elif not sent.refused:
            breaker.failed(now_ms)
        return after(entry, sent, now_ms, self._chance)
