"""When does a single page view become part of a batch? When it comes while the exchange is busy.

An idle server answers at once. A busy one, which has held a batch within the last few milliseconds, waits until a turn
of the event loop brings nobody: what was read together is one batch. grpcio takes calls in one at a time, some hundred
microseconds apart, so those that came together are still on their way in, and two milliseconds must bring nobody: what
that costs in latency is far less than what the larger batch saves.

The clock is the system's: an event loop's own stands still while a batch is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from exchange.answer import Answer
from exchange.request import PageView

BATCH_LIMIT = 256
# After a batch of several the server counts as busy for so long.
BUSY_S = 0.008
# After a single page view it does when the next comes within this share of the time that it took: somebody who asks
# again only when he was answered needs longer than that to come back.
CLOSE_BEHIND = 0.75
# In a busy server a batch starts at the latest after so long.
LONGEST_WAIT_S = 0.016
# How long nobody must have come where grpcio takes the calls in.
GRPCIO_QUIET_S = 0.002


class Batcher:
    """Collects page views that arrive together; a busy server waits until nobody has come for `quiet_s`, with 0.0 for
    one turn of the event loop.
    """

    def __init__(
        self, hold_auctions: Callable[[Sequence[PageView]], Awaitable[list[Answer]]], *, quiet_s: float = 0.0
    ) -> None:
        self._hold_auctions = hold_auctions
        self._quiet_s = quiet_s
        self._waiting: list[tuple[PageView, asyncio.Future[Answer]]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._busy_until_s = 0.0

    def submit(self, view: PageView) -> asyncio.Future[Answer]:
        """The answer to one page view, when its batch has been held."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((view, future))
        if len(self._waiting) == 1:
            now_s = monotonic()
            if now_s < self._busy_until_s:
                self._wait(1, now_s, now_s + LONGEST_WAIT_S)
            else:
                loop.call_soon(self._start)
        elif len(self._waiting) == BATCH_LIMIT:
            self._start()
        return future

    def _look_again(self, known: int, since_s: float, latest_s: float) -> None:
        """Has anybody come since the last look? Then wait once more."""
        now_s = monotonic()
        if now_s - since_s < self._quiet_s / 2:
            # Timers run from the start of their turn of the loop, and a long turn makes them fire at once.
            self._wait(known, since_s, latest_s)
        elif len(self._waiting) > known and now_s < latest_s:
            self._wait(len(self._waiting), now_s, latest_s)
        else:
            self._start()

    def _wait(self, known: int, since_s: float, latest_s: float) -> None:
        asyncio.get_running_loop().call_later(self._quiet_s, self._look_again, known, since_s, latest_s)

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            task = asyncio.get_running_loop().create_task(self._hold(waiting))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _hold(self, batch: list[tuple[PageView, asyncio.Future[Answer]]]) -> None:
        started_s = monotonic()
        try:
            answers = await self._hold_auctions([view for view, _ in batch])
        except Exception as error:
            # Each caller is told; a caller that has gone away has cancelled its future.
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        now_s = monotonic()
        self._busy_until_s = now_s + (BUSY_S if len(batch) > 1 else CLOSE_BEHIND * (now_s - started_s))
