"""How is taken back what was billed and turns out to be invalid? Once, by a notice of its own in the log.

Nothing is ever changed in the log: a correction says which notice it takes back, when that was taken and what it had
billed, below zero. The ledger, the statistics and the reports subtract it from the day and the hour of the original.
What an outside bidder was told stays told; its refund is a matter of its invoice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec.structs import replace

from common.clock import Clock
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import made_at_ms, number_of
from exchange.billing import Kind, Verdict
from exchange.invalid_traffic import Validity
from streams.ports import EventLog
from streams.schemas import NoticesTaken, NoticeTaken, decode
from streams.topics import NOTICES

_CORRECTABLE = frozenset({Kind.IMPRESSION, Kind.CLICK, Kind.CONVERSION, Kind.VIEWABLE})
_SLACK_MS = 3_600_000


class Correction(msgspec.Struct, frozen=True):
    """What a correction came to; `taken_back` is False when it was taken back before."""

    taken_back: bool
    refunded_micros: int
    currency: str


class TakesBack(Protocol):
    """Who takes a notice back, wherever its ad was sold."""

    async def take_back(self, impression_id: str, kind: int, order_id: str = "") -> Correction:
        """See Corrections."""


class Corrections:
    """`record` appends to topic `notices`; what it raises leaves everything as it was."""

    def __init__(self, *, log: EventLog, clock: Clock, record: Callable[[NoticesTaken], None]) -> None:
        self._log = log
        self._clock = clock
        self._record = record
        # Looking whether it was done and doing it must not be two at once.
        self._one_at_a_time = asyncio.Lock()

    async def take_back(self, impression_id: str, kind: int, order_id: str = "") -> Correction:
        """Take a notice back. NotFound when none was counted; InvalidInput; BackendUnavailable."""
        if kind not in _CORRECTABLE:
            raise InvalidInput([FieldError("kind", str(kind), "give impression, click, conversion or viewable")])
        try:
            made_ms = made_at_ms(number_of(impression_id[:32]))
        except ValueError:
            remedy = "give the id of an ad"
            raise InvalidInput([FieldError("impression_id", repr(impression_id[:40]), remedy)]) from None
        async with self._one_at_a_time:
            original, before = await asyncio.to_thread(self._find, impression_id, kind, order_id, made_ms)
            if before is not None:
                return Correction(False, -before.billed_micros, before.currency)
            if original is None:
                raise NotFound(f"no such notice was counted for {impression_id[:40]!r}")
            taken_at_ms, notice = original
            correction = replace(
                notice,
                kind=Kind.CORRECTION,
                verdict=Verdict.ACCEPTED,
                billed_micros=-notice.billed_micros,
                validity=int(Validity.FOUND_LATER),
                billing_url="",
                corrects_kind=kind,
                corrects_taken_at_ms=taken_at_ms,
            )
            self._record(NoticesTaken(self._clock.now_ms(), (correction,)))
            await asyncio.to_thread(self._log.sync)
            return Correction(True, notice.billed_micros, notice.currency)

    def _find(
        self, impression_id: str, kind: int, order_id: str, made_ms: int
    ) -> tuple[tuple[int, NoticeTaken] | None, NoticeTaken | None]:
        """(when the notice was taken and what it was, its correction)."""
        original: tuple[int, NoticeTaken] | None = None
        offset = self._log.first_offset_at(NOTICES.name, made_ms - _SLACK_MS)
        while records := self._log.read(NOTICES.name, offset, 256):
            offset = records[-1].offset + 1
            for record in records:
                event = decode(NOTICES.name, record)
                if not isinstance(event, NoticesTaken):
                    continue
                for notice in event.notices:
                    if notice.impression_id != impression_id or notice.order_id != order_id or notice.test:
                        continue
                    if notice.kind == Kind.CORRECTION and notice.corrects_kind == kind:
                        return original, notice
                    if notice.kind == kind and notice.verdict in (Verdict.ACCEPTED, Verdict.BEYOND_BUDGET):
                        original = (event.taken_at_ms, notice)
        return original, None
