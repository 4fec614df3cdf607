"""What may each account still reserve? The budget book of one process: an array that auctions take from, kept filled
by leases out of the ledger.

For every account: leased = spent + reserved + available. Auctions move money from available to reserved in place,
notices move it from reserved to spent, leases and what is given back change leased and available together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from exchange.campaign_days import day_of
from exchange.ports import BudgetLedger

# Nobody has this much: a top-up asks for everything and is granted its share.
EVERYTHING_MICROS: Final = 1 << 60
# Accounts in one transaction of the ledger: others wait for it no longer than some milliseconds.
ACCOUNTS_PER_CALL: Final = 2_000
# After nothing was granted an account is asked for again this much later, and at most this much later.
FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 8_000
# A clock set back by less than this does not take billing back into a day that is over.
CLOCK_STEP_MS: Final = 3_600_000

T = TypeVar("T")


class Standing(msgspec.Struct, frozen=True):
    """One account of the book in micros, over the life of the process."""

    leased_micros: int
    spent_micros: int
    reserved_micros: int
    available_micros: int


class BudgetBook:
    """Reserve happens in `available`; the rest of reserve, settle and release happens here.

    Everything but the calls to the ledger runs on the event loop's thread. Read `available` afresh for each batch: it
    is another array after rows were added.
    """

    def __init__(self, ledger: BudgetLedger, holder: str, clock: Clock, *, share: int = 20) -> None:
        """`share`: a top-up takes one so-maniest of what remains of an account."""
        self.holder = holder
        self.available: NDArray[np.int64] = np.zeros(1024, np.int64)
        self._ledger = ledger
        self._clock = clock
        self._share = share
        self._latest_ms = 0
        self._rows: dict[int, int] = {}
        self._accounts: list[int] = []
        # Each account's time zone as an index into the names; 0 is not known yet.
        self._zones = [""]
        self._zone = np.zeros(1024, np.int64)
        self._leased = np.zeros(1024, np.int64)
        self._spent = np.zeros(1024, np.int64)
        # Below this an account is topped up.
        self._low = np.ones(1024, np.int64)
        # In milliseconds of the monotonic clock.
        self._ask_again_ms = np.zeros(1024, np.int64)
        self._pause_ms = np.zeros(1024, np.int64)
        # The day of the last lease; 0 before the first.
        self._day = np.zeros(1024, np.int64)
        self._one_at_a_time = asyncio.Lock()

    def row_of(self, account: int) -> int:
        """The row of a line item's or a campaign's account; the same for ever. New ones are empty until a top-up."""
        row = self._rows.get(account)
        if row is None:
            row = self._rows[account] = len(self._accounts)
            self._accounts.append(account)
            if row == len(self.available):
                self._grow()
        return row

    @property
    def leased(self) -> NDArray[np.int64]:
        """What is leased of each account, by row; less `available` it is what was committed. Not to be changed."""
        return self._leased

    def now_ms(self) -> int:
        """The time that goes with money: it does not go back by less than an hour, so a day that is over stays over."""
        now_ms = self._clock.now_ms()
        if not 0 < self._latest_ms - now_ms <= CLOCK_STEP_MS:
            self._latest_ms = now_ms
        return self._latest_ms

    def not_before(self, at_ms: int) -> None:
        """Money was moved at `at_ms` by the process before this one."""
        self._latest_ms = max(self._latest_ms, at_ms)

    def standing(self, account: int) -> Standing:
        """How an account stands; `reserved` is what auctions took and notices have not settled."""
        row = self.row_of(account)
        leased, spent, available = int(self._leased[row]), int(self._spent[row]), int(self.available[row])
        return Standing(leased, spent, leased - spent - available, available)

    def accounts(self) -> Iterator[int]:
        """All accounts that have a row, in the order of rows."""
        return iter(self._accounts)

    def release(
        self, line_item_rows: NDArray[np.int64], campaign_rows: NDArray[np.int64], micros: NDArray[np.int64]
    ) -> None:
        """Reserved money is free again, in both accounts; rows of -1 (outside bids) have none."""
        inside = line_item_rows >= 0
        np.add.at(self.available, line_item_rows[inside], micros[inside])
        np.add.at(self.available, campaign_rows[inside], micros[inside])

    def settle(self, freed: Mapping[int, int], spent: Mapping[int, int]) -> None:
        """What notices did to each row: `freed` is added to available (below zero takes away), `spent` was billed."""
        for row, micros in freed.items():
            self.available[row] += micros
        for row, micros in spent.items():
            self._spent[row] += micros

    def adopt(self, leases: Mapping[int, int], reserved: Mapping[int, int]) -> None:
        """Go on with the leases of the process before, out of which these accounts have `reserved` micros."""
        for account, micros in leases.items():
            row = self.row_of(account)
            self._leased[row] += micros
            self.available[row] += micros
            # How much a lease was is not known any more: what is left of it may be too little for one ad.
            self._low[row] = EVERYTHING_MICROS
        for account, micros in reserved.items():
            self.available[self.row_of(account)] -= micros

    async def top_up(self) -> None:
        """Lease for every account that is low, and anew for those whose day is over. BackendUnavailable."""
        await self._alone(self._top_up)

    async def renew(self, accounts: Iterable[int]) -> None:
        """Give back what is available and lease again: after limits were changed. BackendUnavailable."""
        rows = [self._rows[account] for account in accounts if account in self._rows]
        await self._alone(lambda: self._renew(rows))

    async def cover(self, missing: Mapping[int, int]) -> None:
        """Lease exactly what is missing, by row, as far as the limits allow. BackendUnavailable."""
        wanted = {self._accounts[row]: micros for row, micros in missing.items()}
        await self._alone(lambda: self._lease(wanted, 1))

    def cover_now(self, missing: Mapping[int, int]) -> None:
        """As `cover`, by account and without an event loop: at the start."""
        self._add(self._ledger.lease(self.holder, missing, self.now_ms(), share=1))

    async def give_back_all(self) -> None:
        """At the end: everything that is available goes back. What is reserved stays leased for the next process."""
        await self._alone(self._give_back_all)

    async def _alone(self, work: Callable[[], Any]) -> None:
        # A call that was begun is finished even when the caller is gone: its outcome must reach the arrays.
        async def alone() -> None:
            async with self._one_at_a_time:
                await work()

        await asyncio.shield(asyncio.ensure_future(alone()))

    async def _top_up(self) -> None:
        await self._learn_zones()
        now_ms, ticks_ms = self.now_ms(), self._clock.monotonic_ns() // 1_000_000
        count = len(self._accounts)
        days = np.array([day_of(now_ms, zone) if zone else 0 for zone in self._zones], np.int64)
        today = days[self._zone[:count]]
        leased_on = self._day[:count]
        over = (leased_on > 0) & (leased_on < today)
        self._day[:count] = today
        await self._renew(np.nonzero(over)[0].tolist())

        low = (self.available[:count] < self._low[:count]) & (self._ask_again_ms[:count] <= ticks_ms)
        for part in _parts(np.nonzero(low)[0].tolist()):
            wanted = {self._accounts[row]: EVERYTHING_MICROS - max(int(self.available[row]), 0) for row in part}
            await self._lease(wanted, self._share)

    async def _learn_zones(self) -> None:
        unknown = np.flatnonzero(self._zone[: len(self._accounts)] == 0).tolist()
        for part in _parts(unknown):
            accounts = [self._accounts[row] for row in part]
            zones = await asyncio.to_thread(self._ledger.time_zones, accounts)
            for row, account in zip(part, accounts, strict=True):
                zone = zones[account]
                if zone not in self._zones:
                    self._zones.append(zone)
                self._zone[row] = self._zones.index(zone)

    async def _renew(self, rows: list[int]) -> None:
        for part in _parts(rows):
            unused = self._take_out(part)
            # When this fails nobody knows whether the ledger has it back: it is not spent here, at the worst not at all
            # until the next start.
            if unused:
                await asyncio.to_thread(self._ledger.give_back, self.holder, unused)
            await self._lease({self._accounts[row]: EVERYTHING_MICROS for row in part}, self._share)

    async def _give_back_all(self) -> None:
        for part in _parts(list(range(len(self._accounts)))):
            await asyncio.to_thread(self._ledger.give_back, self.holder, self._take_out(part))

    def _take_out(self, rows: list[int]) -> dict[int, int]:
        unused = {}
        for row in rows:
            micros = int(self.available[row])
            if micros > 0:
                self.available[row] -= micros
                self._leased[row] -= micros
                unused[self._accounts[row]] = micros
        return unused

    async def _lease(self, wanted: Mapping[int, int], share: int) -> None:
        now_ms = self.now_ms()
        self._add(await asyncio.to_thread(self._ledger.lease, self.holder, wanted, now_ms, share=share))

    def _add(self, granted: Mapping[int, int]) -> None:
        ticks_ms = self._clock.monotonic_ns() // 1_000_000
        for account, micros in granted.items():
            row = self.row_of(account)
            self._leased[row] += micros
            self.available[row] += micros
            if micros:
                self._low[row] = max(int(self.available[row]) // 2, 1)
                self._pause_ms[row] = 0
            else:
                pause_ms = min(max(2 * int(self._pause_ms[row]), FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
                self._pause_ms[row] = pause_ms
            self._ask_again_ms[row] = ticks_ms + int(self._pause_ms[row])

    def _grow(self) -> None:
        more = len(self.available)
        for name in ("available", "_leased", "_spent", "_ask_again_ms", "_pause_ms", "_day", "_zone"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, np.int64)]))
        self._low = np.concatenate([self._low, np.ones(more, np.int64)])


def _parts(rows: list[T]) -> Iterator[list[T]]:
    for at in range(0, len(rows), ACCOUNTS_PER_CALL):
        yield rows[at : at + ACCOUNTS_PER_CALL]
