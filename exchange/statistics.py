"""What came of a line item? Impressions, clicks, conversions and spend by the hour, counted from topic `notices`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from common.errors import FieldError, InvalidInput, NotFound
from exchange.billing import Kind, Verdict
from streams import schemas
from streams.ports import EventLog
from streams.topics import NOTICES

_HOUR_MS = 3_600_000
# A notice beyond the budget is an impression or a click all the same; doubles and unknown ones are none.
_COUNTED = frozenset({Verdict.ACCEPTED, Verdict.BEYOND_BUDGET})
_KINDS = frozenset({Kind.IMPRESSION, Kind.CLICK, Kind.CONVERSION})


class SettledNotice(msgspec.Struct, frozen=True, gc=False):
    """One notice of the log, at `offset` of its topic; the numbers are those of exchange.billing."""

    offset: int
    taken_at_ms: int
    kind: int
    verdict: int
    line_item_number: int
    billed_micros: int
    # Of a correction: the kind that is taken back.
    corrects_kind: int = 0


class HourCount(msgspec.Struct, frozen=True):
    """What is added to one line item and hour (hours since 1970 UTC)."""

    line_item_number: int
    hour: int
    impressions: int
    clicks: int
    conversions: int
    spend_micros: int


class Totals(msgspec.Struct, frozen=True):
    """What came of a line item, a campaign or an advertiser, counted up to `as_of_ms`."""

    impressions: int
    clicks: int
    conversions: int
    spend_micros: int
    as_of_ms: int


class StatisticsStore(Protocol):
    """The counts, and how far the topic is counted; both change in one transaction."""

    def counted_upto(self) -> int:
        """The offset of topic `notices` from which on nothing is counted yet."""

    def add(self, counts: Sequence[HourCount], from_offset: int, upto_offset: int, as_of_ms: int) -> bool:
        """Add the counts of the offsets from `from_offset` (inclusive) to `upto_offset` (exclusive).

        False, and nothing is added, when the topic is not counted exactly up to `from_offset`.
        """

    def totals(self, tenant_id: str, id: str) -> Totals | None:
        """Of a line item, a campaign or an advertiser; None when the id is unknown or another tenant's."""


class Statistics:
    """A projection of the log: it can be counted again from its beginning and comes to the same."""

    def __init__(self, store: StatisticsStore) -> None:
        self._store = store

    def counted_upto(self) -> int:
        """The offset of topic `notices` from which on nothing is counted yet."""
        return self._store.counted_upto()

    def apply(self, notices: Sequence[SettledNotice], upto_offset: int) -> bool:
        """Count the notices below `upto_offset` that are not counted yet; said twice, they count once.

        `notices` must hold everything from `counted_upto()` on. False when another counted meanwhile.
        """
        counted = self._store.counted_upto()
        if upto_offset <= counted:
            return False
        fresh = [notice for notice in notices if counted <= notice.offset < upto_offset]
        as_of_ms = max((notice.taken_at_ms for notice in fresh), default=0)
        return self._store.add(hour_counts(fresh), counted, upto_offset, as_of_ms)

    def count_once(self, log: EventLog, limit: int = 1000) -> int:
        """Count at most `limit` records of the log from where counting stopped; how many there were."""
        records = log.read(NOTICES.name, self._store.counted_upto(), limit)
        if not records:
            return 0
        notices: list[SettledNotice] = []
        for record in records:
            event = schemas.decode(NOTICES.name, record)
            if isinstance(event, schemas.NoticesTaken):
                notices += settled(event, record.offset)
        self.apply(notices, records[-1].offset + 1)
        return len(records)

    def totals(self, tenant_id: str, id: str) -> Totals:
        """What came of a line item, a campaign or an advertiser; NotFound when it is not the tenant's."""
        if not id:
            raise InvalidInput([FieldError("id", "is empty", "name an advertiser, a campaign or a line item")])
        found = self._store.totals(tenant_id, id)
        if found is None:
            raise NotFound(f"there is no advertiser, campaign or line item {id[:40]!r}")
        return found


def settled(event: schemas.NoticesTaken, offset: int) -> list[SettledNotice]:
    """The notices of one record of the log."""
    return [
        SettledNotice(
            offset,
            # What is taken back is taken back from the hour that it was counted in.
            notice.corrects_taken_at_ms or event.taken_at_ms,
            notice.kind,
            notice.verdict,
            notice.line_item_number,
            notice.billed_micros,
            notice.corrects_kind,
        )
        for notice in event.notices
        if not notice.test
    ]


def hour_counts(notices: Iterable[SettledNotice]) -> list[HourCount]:
    """The notices added up by line item and hour; outside bids, which have no line item, are left out."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for notice in notices:
        if not notice.line_item_number:
            continue
        counts = sums[notice.line_item_number, notice.taken_at_ms // _HOUR_MS]
        if notice.verdict in _COUNTED and notice.kind in _KINDS:
            counts[notice.kind - 1] += 1
        elif notice.corrects_kind in _KINDS:
            counts[notice.corrects_kind - 1] -= 1
        counts[3] += notice.billed_micros
    return [
        HourCount(number, hour, impressions, clicks, conversions, spend_micros)
        for (number, hour), (impressions, clicks, conversions, spend_micros) in sums.items()
    ]
