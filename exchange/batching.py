"""When does a single page view become part of a batch? When it comes while another batch is being held.

There is no timer: an idle server answers at once, and a busy one grows more efficient, since the page views that
arrived meanwhile are the next batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from exchange.answer import Answer
from exchange.request import PageView

BATCH_LIMIT = 256


class Batcher:
    """Collects page views that arrive in the same turn of the event loop."""

    def __init__(self, hold_auctions: Callable[[Sequence[PageView]], Awaitable[list[Answer]]]) -> None:
        self._hold_auctions = hold_auctions
        self._waiting: list[tuple[PageView, asyncio.Future[Answer]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, view: PageView) -> asyncio.Future[Answer]:
        """The answer to one page view, when its batch has been held."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((view, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting[:BATCH_LIMIT], self._waiting[BATCH_LIMIT:]
        if self._waiting:
            loop.call_soon(self._start)
        task = loop.create_task(self._hold(waiting))
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
