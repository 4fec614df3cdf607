"""How does a campaign change go live? Seen, compiled beside the running snapshot, swapped in whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.able_bids import able_bids, with_runs_of
from exchange.inventory import InventoryCompiler, Snapshot
from exchange.ports import LineItemRecord, LineItemSource

# Changes of other processes are seen this much later at most; changes of this process wake the follower at once.
POLL_S = 0.25

_log = logging.getLogger(__name__)


class InventoryFollower:
    """Holds the current snapshot. When the source is gone the last snapshot serves on, and its age says so."""

    def __init__(
        self,
        source: LineItemSource,
        compiler: InventoryCompiler,
        clock: Clock,
        *,
        before_swap: Callable[[Sequence[LineItemRecord]], Awaitable[None]] | None = None,
        in_stock: Callable[[str], bool] = lambda _: True,
        available: Callable[[], NDArray[np.int64]] | None = None,
    ) -> None:
        self._source = source
        self._compiler = compiler
        self._clock = clock
        # Whoever must be ready for changed line items (the budget book) is told of them before they run.
        self._before_swap = before_swap
        self._in_stock = in_stock
        # The budget book's array; without it, what cannot pay stays in the runs and is refused in each walk.
        self._available = available
        # Which standing bids the snapshot's runs hold; None while they hold all of them.
        self._able: NDArray[np.bool_] | None = None
        self._wake = asyncio.Event()
        self._products_changed = False
        self._one_at_a_time = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        # When the source was last seen to have nothing newer than the snapshot.
        self.fresh_at_ms = 0

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that auctions ask; RuntimeError before `load`."""
        if self._snapshot is None:
            raise RuntimeError("the inventory has not been loaded yet")
        return self._snapshot

    @property
    def newest(self) -> Snapshot | None:
        """The snapshot, None before `load`."""
        return self._snapshot

    def load(self) -> Snapshot:
        """Read all line items and compile the first snapshot; blocking, for the start."""
        sequence = self._source.sequence()
        self._compiler.put(self._source.active())
        self._snapshot = self._compiler.compile(sequence, self._clock.now_ms())
        self.fresh_at_ms = self._clock.now_ms()
        return self._snapshot

    def changed(self) -> None:
        """Something was changed in this process: look at once."""
        self._wake.set()

    def products_changed(self) -> None:
        """The catalogue changed in what the click model knows: compute that part again."""
        self._products_changed = True
        self._wake.set()

    def stock_changed(self, product_ids: Iterable[str]) -> None:
        """These products may have come into stock or gone out: the next auction knows."""
        snapshot = self._snapshot
        if snapshot is None:
            # The first snapshot asks for the stock itself.
            return
        for product_id in product_ids:
            row = snapshot.product_rows.get(product_id)
            if row is not None:
                snapshot.book.product_in_stock[row] = self._in_stock(product_id)

    def leave_out_exhausted(self) -> int:
        """Take what cannot pay, or is out of its dates, out of the snapshot's runs, and back in what can again; how
        many standing bids are left out now. Costs nanoseconds for each standing bid: call it a few times a second.
        """
        if self._available is None or self._snapshot is None:
            return 0
        able = able_bids(self._snapshot.book, self._available(), self._clock.now_ms())
        if self._able is None or not np.array_equal(able, self._able):
            self._snapshot = with_runs_of(self._snapshot, able)
            self._able = able
        return int(len(able) - np.count_nonzero(able))

    async def follow(self) -> None:
        """Until cancelled: take in changes as they come. A source that fails is asked again, and auctions go on."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            self._wake.clear()
            try:
                await self.catch_up()
            except BackendUnavailable as error:
                _log.warning("the inventory cannot be followed, the last snapshot serves on: %s", error)

    async def catch_up(self) -> bool:
        """Take in what has changed since the snapshot; False when nothing has."""
        async with self._one_at_a_time:
            current = self.snapshot
            sequence, put, gone = await asyncio.to_thread(self._source.changed_since, current.sequence)
            if sequence == current.sequence and not self._products_changed:
                self.fresh_at_ms = self._clock.now_ms()
                return False
            await self._swap(sequence, put, gone)
            self.fresh_at_ms = self._clock.now_ms()
            return True

    async def take_in(self, found: Callable[[], tuple[Sequence[LineItemRecord], Sequence[str]]]) -> None:
        """Line items that were found apart from the source's changes, and the ids of some that are to be let go of;
        `found` is called when no change is being taken in, and sees the snapshot as it then is.
        """
        async with self._one_at_a_time:
            put, gone = found()
            if put or gone:
                await self._swap(self.snapshot.sequence, put, gone)

    async def _swap(self, sequence: int, put: Sequence[LineItemRecord], gone: Sequence[str]) -> None:
        if self._products_changed:
            self._products_changed = False
            self._compiler.forget_products()
        self._compiler.put(put)
        self._compiler.remove(gone)
        if self._before_swap is not None:
            await self._before_swap(put)
        self._snapshot = await asyncio.to_thread(self._compiler.compile, sequence, self._clock.now_ms())
        if self._able is not None:
            self._able = None
            self.leave_out_exhausted()
        # Stock may have changed while the snapshot was compiled.
        self.stock_changed(self._snapshot.product_ids)
