"""Step 5: what does every bidder offer?

Outside bidders are asked first and read at the deadline; inside ones answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import BackendUnavailable
from exchange.bid_rows import InsideRows
from exchange.bidding import BidContext, Bidder, OutsideAnswer, OutsideBid, OutsideBidder
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import PageView

# Kept back of tmax for clearing, the answer and the way home (OpenRTB 2.6 §3.2.1: tmax includes the network).
HOP_MARGIN_MS = 10
LEAST_TIMEOUT_MS = 5


class Asked:
    """Outside bidders that are thinking; `answers` waits for them, no longer than the time that was given."""

    def __init__(self, tasks: dict[asyncio.Task[list[OutsideBid]], int], deadline_s: float) -> None:
        self._tasks = tasks
        self._deadline_s = deadline_s

    async def answers(self) -> list[OutsideAnswer]:
        """One for each bidder asked; whoever is not done by the deadline is late and is cancelled."""
        if not self._tasks:
            return []
        left = self._deadline_s - asyncio.get_running_loop().time()
        done, late = await asyncio.wait(self._tasks, timeout=max(left, 0.0))
        for task in late:
            task.cancel()
        return [self._answer(task) if task in done else self._late(task) for task in self._tasks]

    def _answer(self, task: asyncio.Task[list[OutsideBid]]) -> OutsideAnswer:
        try:
            return OutsideAnswer(self._tasks[task], task.result())
        except (TimeoutError, asyncio.CancelledError):
            return self._late(task)
        except BackendUnavailable:
            return OutsideAnswer(self._tasks[task], [], Refusal.BIDDER_FAILED)

    def _late(self, task: asyncio.Task[list[OutsideBid]]) -> OutsideAnswer:
        return OutsideAnswer(self._tasks[task], [], Refusal.BIDDER_LATE)


def ask_outside(
    bidders: Sequence[OutsideBidder], first_index: int, auction_ids: Sequence[str], views: Sequence[PageView]
) -> Asked:
    """Start asking the outside bidders; the batch waits as long as its most hurried page view allows.

    Bidders are numbered from `first_index` on, behind the inside ones.
    """
    if not bidders:
        return Asked({}, 0.0)
    loop = asyncio.get_running_loop()
    left_ms = max(min(view.tmax_ms for view in views) - HOP_MARGIN_MS, LEAST_TIMEOUT_MS)
    tasks = {
        loop.create_task(bidder.ask(auction_ids, views, min(left_ms, bidder.timeout_ms))): first_index + index
        for index, bidder in enumerate(bidders)
    }
    return Asked(tasks, loop.time() + left_ms / 1000)


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
