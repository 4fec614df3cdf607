"""Step 5: what does every bidder offer?

Outside bidders are asked first and read at the deadline, or before it when no answer that is missing could matter;
inside ones answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.errors import BackendUnavailable
from exchange.bid_rows import InsideRows
from exchange.bidding import BidContext, Bidder, OutsideAnswer, OutsideBid
from exchange.callout import Callout
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import PageView

# Kept back of tmax for clearing, the answer and the way home (OpenRTB 2.6 §3.2.1: tmax includes the network).
HOP_MARGIN_MS = 10
LEAST_TIMEOUT_MS = 5


class Call(NamedTuple):
    """One call that is under way: who, as which bidder, about which page views of the batch."""

    callout: Callout
    bidder: int
    rows: list[int]


class Asked:
    """Outside bidders that are thinking; `answers` waits for them, no longer than the time that was given."""

    def __init__(self, calls: dict[asyncio.Task[list[OutsideBid]], Call], deadline_s: float) -> None:
        self._calls = calls
        self._deadline_s = deadline_s

    async def answers(self, least_to_matter: Callable[[], int]) -> list[OutsideAnswer]:
        """One for each bidder that answered or was waited for in vain; whoever is not done by the deadline is late.

        `least_to_matter` says what a bid must be above to win or to set a price, in micros per thousand impressions;
        it is asked once, when somebody is waited for. A bidder that never bids so much is not waited for.
        """
        if not self._calls:
            return []
        await asyncio.sleep(0)
        waiting = {task for task in self._calls if not task.done()}
        if any(self._calls[task].callout.terms.bid_cap_micros for task in waiting):
            waiting -= self._leave(waiting, least_to_matter())
        if waiting:
            left_s = self._deadline_s - asyncio.get_running_loop().time()
            await asyncio.wait(waiting, timeout=max(left_s, 0.0))
        return [self._answer(task, call) for task, call in self._calls.items()]

    def _leave(
        self, waiting: set[asyncio.Task[list[OutsideBid]]], bar_micros: int
    ) -> set[asyncio.Task[list[OutsideBid]]]:
        left = {task for task in waiting if 0 < self._calls[task].callout.terms.bid_cap_micros <= bar_micros}
        for task in left:
            task.cancel()
            self._calls.pop(task).callout.left()
        return left

    def _answer(self, task: asyncio.Task[list[OutsideBid]], call: Call) -> OutsideAnswer:
        trouble = Refusal.WON
        bids: list[OutsideBid] = []
        if not task.done():
            task.cancel()
            trouble = Refusal.BIDDER_LATE
        else:
            try:
                bids = task.result()
            except (TimeoutError, asyncio.CancelledError):
                trouble = Refusal.BIDDER_LATE
            except BackendUnavailable:
                trouble = Refusal.BIDDER_FAILED
        call.callout.saw(trouble is Refusal.WON)
        return OutsideAnswer(call.bidder, call.rows, bids, trouble, call.callout.terms.seats)


def ask_outside(
    callouts: Sequence[Callout], first_index: int, auction_ids: Sequence[str], views: Sequence[PageView]
) -> Asked:
    """Start asking the outside bidders; the batch waits as long as its most hurried page view allows.

    Bidders are numbered from `first_index` on, behind the inside ones. Each gets the page views that it could bid on
    and that its gate lets through.
    """
    if not callouts:
        return Asked({}, 0.0)
    loop = asyncio.get_running_loop()
    left_ms = max(min(view.tmax_ms for view in views) - HOP_MARGIN_MS, LEAST_TIMEOUT_MS)
    calls: dict[asyncio.Task[list[OutsideBid]], Call] = {}
    for index, callout in enumerate(callouts):
        rows = callout.rows(views)
        if not rows:
            continue
        timeout_ms = min(left_ms, callout.timeout_ms)
        asked = callout.ask([auction_ids[row] for row in rows], [views[row] for row in rows], timeout_ms)
        callout.sent()
        task = loop.create_task(asked)
        task.add_done_callback(_seen)
        calls[task] = Call(callout, first_index + index, rows)
    return Asked(calls, loop.time() + left_ms / 1000)


def _seen(task: asyncio.Task[list[OutsideBid]]) -> None:
    """Nobody looks at a call any more that was left or was late: how it failed is no news to the log."""
    if not task.cancelled():
        task.exception()


def ask_inside(roster: Sequence[Bidder], snapshot: Snapshot, inside: InsideRows) -> NDArray[np.int64]:
    """The bid of each finalist in micros per unit of its pricing model; 0 where its bidder does not want it."""
    book = snapshot.book
    standing = book.item_bid[inside.item]
    strategy = book.item_bidder[inside.item]
    pricing = book.item_pricing[inside.item]
    prior = snapshot.prior[book.ad_product[inside.ad], 0]
    match_weight = inside.match_weight
    bid_micros = np.zeros(len(inside.ad), np.int64)
    for bidder in roster:
        (mine,) = np.nonzero(strategy == bidder.strategy)
        if len(mine):
            context = BidContext(standing[mine], pricing[mine], match_weight[mine], prior[mine])
            offered = bidder.bid(context)
            bid_micros[mine] = np.minimum(offered, context.standing_bid_micros)
    return bid_micros
