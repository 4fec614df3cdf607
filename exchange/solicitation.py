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
from exchange.bidding import BidContext, Bidder, OutsideAnswer, OutsideBid, Replies
from exchange.callout import Callout
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import PageView

# Kept back of tmax for clearing, the answer and the way home (OpenRTB 2.6 §3.2.1: tmax includes the network).
HOP_MARGIN_MS = 10
LEAST_TIMEOUT_MS = 5
# A bidder that was answered in part must tell of it before the deadline, or all of its answers are lost.
_READING_MS = 1
# Of the event loop: one for the call, one for its requests.
_TURNS_TO_SEND = 2

Task = asyncio.Task[list[OutsideBid] | Replies]


class Call(NamedTuple):
    """One call that is under way: who, as which bidder, about which page views of the batch."""

    callout: Callout
    bidder: int
    rows: list[int]


class Asked:
    """Outside bidders that are thinking; `answers` waits for them, no longer than the time that was given."""

    def __init__(self, calls: dict[Task, Call], deadline_s: float) -> None:
        self._calls = calls
        self._deadline_s = deadline_s
        self._read: dict[Task, OutsideAnswer] = {}

    async def begun(self) -> None:
        """Return when the requests are on their way: a task begins only when others give way, and so do the requests of
        one that makes a task for each.
        """
        for _ in range(_TURNS_TO_SEND if self._calls else 0):
            await asyncio.sleep(0)

    async def answers(self, least_to_matter: Callable[[Sequence[OutsideAnswer]], int]) -> list[OutsideAnswer]:
        """One for each bidder that answered or was waited for in vain, in the order in which they were asked; whoever
        is not done by the deadline is late.

        `least_to_matter` says what a bid must be above to win or to set a price beside those of the answers that are
        there, in micros per thousand impressions. It is asked when only bidders with a cap are missing, and again with
        each answer that comes: as soon as none of the missing ones can bid so much, nobody is waited for.
        """
        if self._calls:
            await asyncio.sleep(0)
        while missing := [task for task in self._calls if not task.done()]:
            waiting = self._who_matters(missing, least_to_matter)
            if not waiting:
                self._leave(missing)
                break
            left_s = self._deadline_s - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(waiting, timeout=max(left_s, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        return [self._answer(task) for task in self._calls]

    def _who_matters(
        self, missing: Sequence[Task], least_to_matter: Callable[[Sequence[OutsideAnswer]], int]
    ) -> list[Task]:
        """Those that are worth waiting for; who may bid anything comes first, and the bar is not asked for then."""
        caps_micros = [self._calls[task].callout.terms.bid_cap_micros for task in missing]
        if not all(caps_micros):
            return [task for task, cap in zip(missing, caps_micros, strict=True) if not cap]
        bar_micros = least_to_matter([self._answer(task) for task in self._calls if task.done()])
        return [task for task, cap in zip(missing, caps_micros, strict=True) if cap > bar_micros]

    def _leave(self, missing: Sequence[Task]) -> None:
        for task in missing:
            task.cancel()
            self._calls.pop(task).callout.left()

    def _answer(self, task: Task) -> OutsideAnswer:
        answer = self._read.get(task)
        if answer is None:
            answer = self._read[task] = self._read_now(task, self._calls[task])
        return answer

    def _read_now(self, task: Task, call: Call) -> OutsideAnswer:
        trouble = Refusal.WON
        said: list[OutsideBid] | Replies = []
        if not task.done():
            task.cancel()
            trouble = Refusal.BIDDER_LATE
        else:
            try:
                said = task.result()
            except (TimeoutError, asyncio.CancelledError):
                trouble = Refusal.BIDDER_LATE
            except BackendUnavailable:
                trouble = Refusal.BIDDER_FAILED
        if isinstance(said, Replies):
            bids = said.bids
            unanswered = [(row, why) for row, why in zip(call.rows, said.troubles, strict=True) if why]
            call.callout.saw(len(call.rows) - len(unanswered), len(unanswered))
        else:
            bids = said
            unanswered = [(row, trouble) for row in call.rows] if trouble else []
            call.callout.saw(int(not trouble), int(bool(trouble)))
        return OutsideAnswer(call.bidder, call.rows, bids, unanswered, call.callout.terms.seats)


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
    now_s = loop.time()
    left_ms = max(min(view.tmax_ms for view in views) - HOP_MARGIN_MS, LEAST_TIMEOUT_MS)
    calls: dict[Task, Call] = {}
    for index, callout in enumerate(callouts):
        rows = callout.rows(views)
        if not rows:
            continue
        deadline_s = now_s + min(left_ms, callout.timeout_ms) / 1000
        asked = _ask(callout, [auction_ids[row] for row in rows], [views[row] for row in rows], deadline_s)
        callout.sent()
        task = loop.create_task(asked)
        task.add_done_callback(_seen)
        calls[task] = Call(callout, first_index + index, rows)
    return Asked(calls, now_s + left_ms / 1000)


async def _ask(
    callout: Callout, auction_ids: Sequence[str], views: Sequence[PageView], deadline_s: float
) -> list[OutsideBid] | Replies:
    """Ask, with the time that is left when the call starts: it ends a little before nobody listens any more."""
    left_ms = int((deadline_s - asyncio.get_running_loop().time()) * 1000) - _READING_MS
    return await callout.ask(auction_ids, views, max(left_ms, 1))


def _seen(task: Task) -> None:
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
