"""When does a single page view become part of a batch? When it comes while the exchange is busy.

An idle server answers at once. A busy one, which has held a batch within the last few milliseconds, waits until nobody
has come for two milliseconds: grpcio takes calls in one at a time, some hundred microseconds apart, so those that came
together are still on their way in. What that costs in latency is far less than what the larger batch saves.

The clock is the system's: an event loop's own stands still while a batch is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from exchange.answer import Answer
from exchange.request import PageView

BATCH_LIMIT = 256
# After a batch of several the server counts as busy for so long; after a single page view, when the next is as close.
BUSY_S = 0.008
CLOSE_BEHIND_S = 0.00015
# In a busy server a batch starts when nobody has come for so long, and at the latest after LONGEST_WAIT_S.
QUIET_S = 0.002
LONGEST_WAIT_S = 0.016


class Batcher:
    """Collects page views that arrive together."""

    def __init__(self, hold_auctions: Callable[[Sequence[PageView]], Awaitable[list[Answer]]]) -> None:
        self._hold_auctions = hold_auctions
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
                loop.call_later(QUIET_S, self._look_again, 1, now_s + LONGEST_WAIT_S)
            else:
                loop.call_soon(self._start)
        elif len(self._waiting) == BATCH_LIMIT:
            self._start()
        return future

    def _look_again(self, known: int, latest_s: float) -> None:
        """Has anybody come since the last look? Then wait once more."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) > known and monotonic() < latest_s:
            loop.call_later(QUIET_S, self._look_again, len(self._waiting), latest_s)
        else:
            self._start()

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            task = asyncio.get_running_loop().create_task(self._hold(waiting))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _hold(self, batch: list[tuple[PageView, asyncio.Future[Answer]]]) -> None:
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
        # A caller that asks again only when it was answered needs longer than this to come back.
        busy_s = BUSY_S if len(batch) > 1 else CLOSE_BEHIND_S
        self._busy_until_s = monotonic() + busy_s
