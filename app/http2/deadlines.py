"""Which calls are out of time? One timer for a connection, since most calls end long before their deadlines."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Container

# Entries of calls that have ended stay until they are this many more than those of open ones.
_SLACK = 256


class Deadlines:
    """Times by stream id; `passed(sid)` is called for each that is still among `open_ids` when its time comes."""

    __slots__ = ("_heap", "_loop", "_open_ids", "_passed", "_timer", "_timer_s")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, open_ids: Container[int], passed: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._open_ids = open_ids
        self._passed = passed
        self._heap: list[tuple[float, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at_s: float, sid: int, open_count: int) -> None:
        """Watch one call; `open_count` are open now."""
        heap = self._heap
        if len(heap) > 2 * open_count + _SLACK:
            heap[:] = [entry for entry in heap if entry[1] in self._open_ids]
            heapq.heapify(heap)
        heapq.heappush(heap, (at_s, sid))
        if self._timer is None or at_s < self._timer_s:
            self._arm()

    def stop(self) -> None:
        """Watch nothing any more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = self._heap[0][0]
        self._timer = self._loop.call_at(self._timer_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        heap = self._heap
        # Event loops round their timers to the millisecond.
        now_s = self._loop.time() + 0.001
        while heap and (heap[0][0] <= now_s or heap[0][1] not in self._open_ids):
            _, sid = heapq.heappop(heap)
            if sid in self._open_ids:
                self._passed(sid)
        if heap:
            self._arm()
