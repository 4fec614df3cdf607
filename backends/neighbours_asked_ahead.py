"""How is a network asked for neighbours by somebody who may not wait? Ahead of time: what came in time is looked up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backends.neighbours_elasticsearch import ElasticsearchNeighbours
from common.errors import BackendUnavailable

# After a failure nobody is asked for so long.
PAUSE_S: Final = 1.0
# With more under way, Elasticsearch is slower than pages are made, and the next one would wait for nothing.
_MOST_ASKING: Final = 8
# Answers of pages that are being made.
_MOST_KEPT: Final = 1_000

_Found = tuple[NDArray[np.int64], NDArray[np.float32]]
_log = logging.getLogger(__name__)


class AskedAheadNeighbours:
    """Neighbours that never block: all work is done in a thread of its own, in order.

    `nearest` knows what `ask` was told in time, each answer once, and finds nothing for anything else. What cannot be
    written is written when it can be: nothing here raises. `written` is called, in that thread, when vectors are put.
    """

    def __init__(
        self,
        neighbours: ElasticsearchNeighbours,
        *,
        wait_s: float,
        now_s: Callable[[], float] = time.monotonic,
        written: Callable[[], object] = lambda: None,
    ) -> None:
        self._written = written
        self._neighbours = neighbours
        self._wait_s = wait_s
        self._now_s = now_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="neighbours")
        self._answers: OrderedDict[bytes, _Found] = OrderedDict()
        self._unwritten: list[Callable[[], None]] = []
        self._failed_at_s = -PAUSE_S
        self._asking = 0
        # Pages by what became of their question.
        self.asked = {"in time": 0, "late": 0, "failed": 0, "not asked": 0}

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """As feed.recommender.ports.Neighbours, a little later."""
        rows, vectors = rows.copy(), vectors.copy()
        self._later(lambda: self._put(rows, vectors))

    def remove(self, rows: NDArray[np.int64]) -> None:
        """As feed.recommender.ports.Neighbours, a little later."""
        rows = rows.copy()
        self._later(lambda: self._neighbours.remove(rows))

    def nearest(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As feed.recommender.ports.Neighbours, of what was asked ahead with this limit."""
        rows = np.full((len(queries), limit), -1, np.int64)
        products = np.full((len(queries), limit), -np.inf, np.float32)
        for at, query in enumerate(queries):
            found = self._answers.pop(_key(query, limit), None)
            if found is not None:
                rows[at], products[at] = found
        return rows, products

    async def ask(self, queries: NDArray[np.float32], limit: int) -> bool:
        """Ask for what `nearest` will be asked; did it come in time? What comes late is kept all the same."""
        if not len(queries):
            return True
        if self._asking >= _MOST_ASKING or self._now_s() - self._failed_at_s < PAUSE_S:
            self.asked["not asked"] += 1
            return False
        self._asking += 1
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ask, queries.copy(), limit)
        asked.add_done_callback(self._answered)
        done, _ = await asyncio.wait([asked], timeout=self._wait_s)
        how = "late" if not done else "in time" if asked.result() else "failed"
        self.asked[how] += 1
        return how == "in time"

    def _answered(self, _: asyncio.Future[bool]) -> None:
        self._asking -= 1

    def _ask(self, queries: NDArray[np.float32], limit: int) -> bool:
        if not self._write():
            return False
        try:
            rows, products = self._neighbours.nearest(queries, limit)
        except BackendUnavailable as error:
            self._failed(error)
            return False
        for query, found, inner in zip(queries, rows, products, strict=True):
            self._answers[_key(query, limit)] = (found, inner)
        while len(self._answers) > _MOST_KEPT:
            self._answers.popitem(last=False)
        return True

    def _later(self, write: Callable[[], None]) -> None:
        self._thread.submit(self._keep_and_write, write)

    def _keep_and_write(self, write: Callable[[], None]) -> None:
        self._unwritten.append(write)
        self._write()

    def _write(self) -> bool:
        while self._unwritten:
            try:
                self._unwritten[0]()
            except BackendUnavailable as error:
                self._failed(error)
                return False
            del self._unwritten[0]
        return True

    def _put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        # The vectors of a version never change: another process may have put them all.
        if not self._neighbours.holds(len(rows)):
            self._neighbours.put(rows, vectors)
        self._written()

    def _failed(self, error: BackendUnavailable) -> None:
        self._failed_at_s = self._now_s()
        _log.warning("the recommender does without neighbours for now: %s", error)


def _key(query: NDArray[np.float32], limit: int) -> bytes:
    return limit.to_bytes(4, "little") + query.astype(np.float32).tobytes()
