"""How do pacing and the budget book come together? Arrays by row of the book for the auction, a step every few seconds.

The controller knows accounts by position, the walk by row; this is the border. All of it runs on the event loop's
thread, but for reading the accounts from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from exchange.inventory import Snapshot
from exchange.pacing import PacingController
from exchange.pacing_draw import ALWAYS, NOBODY, Paces
from exchange.pacing_history import PacingHistory
from exchange.pacing_ports import PacedAccount, PacedAccounts
from exchange.spend_watch import SpendWatch

_LOW = (1 << 64) - 1
# Nobody is paced, and what was spent is not known.
_UNKNOWN = NOBODY._replace(spend_unknown=1)


class Money(Protocol):
    """The budget book as pacing sees it: arrays by row, and the row of an account."""

    available: NDArray[np.int64]

    @property
    def leased(self) -> NDArray[np.int64]:
        """By row; less `available` it is what was committed."""

    def row_of(self, account: int) -> int:
        """The same for ever."""


class PaceState(msgspec.Struct, frozen=True):
    """How one account stands in its day, in micros; `share` of the auctions in which it takes part."""

    account: int
    day_budget_micros: int
    planned_micros: int
    spent_micros: int
    share: float
    closed: bool


class Pacer:
    """Holds what the auction reads, and steps the controller."""

    def __init__(
        self,
        *,
        clock: Clock,
        book: Money,
        accounts: PacedAccounts,
        watch: SpendWatch,
        inventory: Callable[[], Snapshot | None],
    ) -> None:
        self._inventory = inventory
        self.controller = PacingController()
        self._clock = clock
        self._book = book
        self._accounts = accounts
        self._watch = watch
        self._rows = np.zeros(0, np.int64)
        self._committed = np.zeros(0, np.int64)
        self._stepped_ns = clock.monotonic_ns()
        self._units_of = (-1, 0)
        self._unit = np.zeros(0, np.int64)
        self._spend_unknown = 0
        self._history: PacingHistory | None = None
        self._threshold = np.zeros(0, np.uint32)
        self._ceiling, self._met, self._passed = (np.zeros(0, np.int64) for _ in range(3))

    def paces(self, auction_numbers: Sequence[int]) -> Paces:
        """What the walk needs for a batch of auctions with these ids."""
        if not len(self._rows):
            return _UNKNOWN if self._spend_unknown else NOBODY
        draw = np.array([number & _LOW for number in auction_numbers], np.uint64)
        return Paces(
            self._threshold, self._ceiling, self._book.leased, self._met, self._passed, draw, self._spend_unknown
        )

    async def refresh(self) -> None:
        """Read who is paced from the store, and follow them; BackendUnavailable leaves all as it was."""
        now_ms = self._clock.now_ms()
        accounts = await asyncio.to_thread(self._accounts.paced, now_ms)
        self.follow(accounts)

    def follow(self, accounts: Sequence[PacedAccount]) -> None:
        """From now on exactly these are paced."""
        paced = [account for account in accounts if account.has_a_pace]
        before = dict(zip(self._rows.tolist(), self._committed.tolist(), strict=True))
        rows = [self._book.row_of(account.account) for account in paced]
        self._grow()
        self._learn_units()
        committed = self._book.leased - self._book.available
        self.controller.follow(paced, [int(self._unit[row]) for row in rows], self._clock.now_ms())
        self._rows = np.array(rows, np.int64)
        self._committed = np.array([before.get(row, int(committed[row])) for row in rows], np.int64)
        unpaced = np.ones(len(self._threshold), bool)
        unpaced[self._rows] = False
        self._threshold[unpaced] = ALWAYS
        fresh = np.array([row not in before for row in rows], bool)
        self._believe(np.nonzero(fresh)[0].tolist())
        # One that is new may spend an impression at once; the next step gives it its pace.
        self._threshold[self._rows[fresh]] = ALWAYS - 1
        self._ceiling[self._rows[fresh]] = committed[self._rows[fresh]] + self._unit[self._rows[fresh]]

    def remember(self, history: PacingHistory) -> None:
        """What the record says of the traffic before this process began; later accounts are told of it too."""
        self._history = history
        self._believe(range(len(self.controller.accounts)))

    def _believe(self, positions: Iterable[int]) -> None:
        if self._history is None:
            return
        for at in positions:
            account = self.controller.accounts[at]
            curve = self._history.curve(account.account, account.time_zone)
            if curve is not None:
                self.controller.curves.believe(at, *curve)

    def step(self) -> None:
        """Take in what was spent and met since the last step, and set the pace of the next interval."""
        now_ns = self._clock.monotonic_ns()
        seconds, self._stepped_ns = (now_ns - self._stepped_ns) / 1e9, now_ns
        self._spend_unknown = int(self._watch.stale)
        rows = self._rows
        if not len(rows):
            return
        committed = (self._book.leased - self._book.available)[rows]
        controller = self.controller
        controller.step(self._clock.now_ms(), seconds, committed - self._committed, self._met[rows], self._passed[rows])
        self._committed = committed
        self._met[rows] = 0
        self._passed[rows] = 0
        self._threshold[rows] = controller.thresholds()
        self._ceiling[rows] = committed + controller.allowance_micros

    def states(self, most: int = 100) -> list[PaceState]:
        """How the paced accounts stand, the first so many."""
        controller = self.controller
        return [
            PaceState(
                account.account,
                int(controller.day_budget_micros[at]),
                int(controller.planned_micros[at]),
                int(controller.spent_today_micros[at]),
                round(float(controller.share[at]), 6),
                bool(controller.allowance_micros[at] == 0),
            )
            for at, account in enumerate(controller.accounts[:most])
        ]

    @property
    def paced(self) -> int:
        """How many accounts are paced."""
        return len(self._rows)

    @property
    def closed(self) -> int:
        """How many of them wait for their curve, or for their hours."""
        return int(np.count_nonzero(self.controller.allowance_micros == 0))

    def _grow(self) -> None:
        more = len(self._book.available) - len(self._threshold)
        if more <= 0:
            return
        self._threshold = np.concatenate([self._threshold, np.full(more, ALWAYS, np.uint32)])
        self._ceiling, self._met, self._passed = (
            np.concatenate([array, np.zeros(more, np.int64)]) for array in (self._ceiling, self._met, self._passed)
        )
        self._units_of = (-1, 0)

    def _learn_units(self) -> None:
        """What one impression of an account may cost: the dearest of its standing bids."""
        snapshot = self._inventory()
        if snapshot is None:
            self._unit = np.ones(len(self._threshold), np.int64)
            return
        held = (snapshot.sequence, len(snapshot.items))
        if held == self._units_of:
            return
        book = snapshot.book
        unit = np.ones(len(self._threshold), np.int64)
        for rows in (book.item_account, book.item_campaign_account):
            np.maximum.at(unit, rows[book.ad_item], book.ad_cost)
        self._unit, self._units_of = unit, held
