"""What became of the ads? Notices are decided in groups, recorded, and only then answered.

Deciding, recording and applying a group is one step of the event loop, so no two groups can bill the same ad. The
disk is waited for in a thread; notices that arrive meanwhile form the next group.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from exchange.billing import SAYABLE, Decision, Kind, Known, Notice, NoticeOutcome, Verdict, decide
from exchange.budgets import BudgetBook
from exchange.holds import Hold, Holds
from streams.schemas import NoticesTaken

__all__ = ["Kind", "Notice", "NoticeOutcome", "Notices", "Verdict"]

# Notices in one record of the log.
MAX_GROUP: Final = 4_096
MAX_ORDER_ID: Final = 128
# Ads whose invalid traffic is remembered, so that it is recorded once.
MOST_INVALID: Final = 100_000

_Waiting = tuple[Sequence[Notice], "asyncio.Future[list[NoticeOutcome]]"]


class Notices:
    """Takes notices: each is billed once, whoever says it how often.

    `record` appends to topic `notices` and raises BackendUnavailable when it cannot; `sync` returns when what was
    appended would survive the death of the machine; `remember(hold, at_ms)` counts an impression of one of our line
    items for frequency caps; `carried` are the remainders by payer, as recovery found them.
    """

    def __init__(
        self,
        *,
        holds: Holds,
        book: BudgetBook,
        clock: Clock,
        record: Callable[[NoticesTaken], None],
        sync: Callable[[], None],
        remember: Callable[[Hold, int], None],
        carried: Mapping[int | str, int],
    ) -> None:
        self._holds = holds
        self._book = book
        self._clock = clock
        self._record = record
        self._sync = sync
        self._remember = remember
        self._carried = dict(carried)
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None
        # Newest last, so that the oldest leave when there are too many.
        self._invalid: dict[tuple[str, int], None] = {}
        # Something was recorded and a sync has not returned since.
        self._unsynced = False

    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """One outcome for each notice, in order; what was accepted is billed and on disk.

        InvalidInput when a kind or an order id cannot be taken. BackendUnavailable when the log cannot be written or
        synced, or the ledger does not answer when it is needed: say it again later, it is billed once in any case.
        """
        check(notices)
        if not notices:
            return []
        outcome: asyncio.Future[list[NoticeOutcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((notices, outcome))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await outcome

    def expire(self) -> int:
        """Release what was reserved for ads whose time is over; how many. Call it several times a second."""
        released = self._holds.expire(self._clock.now_ms())
        if not len(released.micros):
            return 0
        self._book.release(released.line_item_rows, released.campaign_rows, released.micros)
        return len(released.micros)

    async def drain(self) -> None:
        """Return when every notice that was taken so far is answered."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                outcomes = await self._take_group([notice for notices, _ in group for notice in notices])
            except Exception as error:
                for _, answer in group:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            at = 0
            for notices, answer in group:
                if not answer.done():  # its caller may be gone
                    answer.set_result(outcomes[at : at + len(notices)])
                at += len(notices)

    def _next_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        size = len(group[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= MAX_GROUP:
            group.append(self._waiting.popleft())
            size += len(group[-1][0])
        return group

    async def _take_group(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        decision = self._decide(notices)
        if decision.missing:
            # Leased money does not cover it all; the ledger may have more. What else happens meanwhile, happens
            # before this group: it is decided anew.
            await self._book.cover(self._decide(notices, lend=True).missing)
            decision = self._decide(notices)
        if decision.taken:
            self._record(NoticesTaken(decision.taken_at_ms, tuple(decision.taken)))
            # It stands in the log, so it has happened, whatever becomes of the sync.
            self._unsynced = True
            self._apply(decision)
        if self._unsynced:
            await asyncio.to_thread(self._sync)
            self._unsynced = False
        return decision.outcomes

    def _decide(self, notices: Sequence[Notice], *, lend: bool = False) -> Decision:
        available = self._book.available
        known = Known(
            find=self._holds.find,
            terms=self._holds.terms,
            carried=self._carried,
            available=lambda row: int(available[row]),
            invalid=self._invalid,
        )
        return decide(notices, known, now_ms=self._clock.now_ms(), taken_at_ms=self._book.now_ms(), lend=lend)

    def _apply(self, decision: Decision) -> None:
        for hold in decision.holds.values():
            self._holds.keep(hold)
        self._carried.update(decision.carried)
        self._book.settle(decision.freed, decision.spent)
        for hold in decision.impressions:
            if hold.line_item_number and (hold.visitor_id or hold.session_key):
                self._remember(hold, decision.taken_at_ms)
        self._invalid.update(dict.fromkeys(decision.invalid))
        while len(self._invalid) > MOST_INVALID:
            del self._invalid[next(iter(self._invalid))]


def check(notices: Sequence[Notice]) -> None:
    """InvalidInput when a kind or an order id cannot be taken, or there are too many."""
    errors = []
    for at, notice in enumerate(notices):
        if notice.kind not in SAYABLE:
            remedy = "give impression, viewable, click, conversion or a part of a video"
            errors.append(FieldError(f"notices[{at}].kind", str(notice.kind), remedy))
        if len(notice.order_id) > MAX_ORDER_ID:
            length = f"{len(notice.order_id)} characters"
            errors.append(FieldError(f"notices[{at}].order_id", length, f"give at most {MAX_ORDER_ID}"))
    if len(notices) > MAX_GROUP:
        errors = [FieldError("notices", f"{len(notices)} of them", f"send at most {MAX_GROUP} at once")]
    if errors:
        raise InvalidInput(errors)
