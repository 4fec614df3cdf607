"""What do groups of consumers make of auctions and notices? What reports and statistics count of a log, of all nodes'.

Both are sums, so it does not matter in which order partitions are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from exchange.report_counts import Counts
from exchange.statistics import HourCount, hour_counts, settled
from streams.ports import Record
from streams.schemas import NoticesTaken, Unreadable, decode
from streams.topics import AUCTIONS, NOTICES

REPORTS: Final = "reports"
STATISTICS: Final = "statistics"


class ReportProjection:
    """Projection of both topics into the counts of reports."""

    name = REPORTS
    topics = (AUCTIONS.name, NOTICES.name)

    def __init__(self, placements_of: Callable[[bytes], Sequence[str]]) -> None:
        self._placements_of = placements_of

    def fold(self, topic: str, records: Sequence[Record]) -> tuple[Counts, dict[int, str]]:
        """See Projection."""
        counts = Counts()
        if topic == NOTICES.name:
            events, unreadable = _notices(records)
            for event in events:
                counts.add_notices(event)
            return counts, unreadable
        payloads = [record.payload for record in records]
        if not counts.add_auctions(payloads, self._placements_of):
            return counts, {}
        # Some could not be read, and those that are left are counted together: which ones is asked one by one.
        bad = {at for at, payload in enumerate(payloads) if Counts().add_auctions([payload], self._placements_of)}
        return counts, {at: f"not auctions: {len(payloads[at])} bytes" for at in sorted(bad)}


class HourCounts(msgspec.Struct, frozen=True):
    """What is added to statistics, with the time of the newest notice in it."""

    counts: list[HourCount]
    as_of_ms: int


class StatisticsProjection:
    """Projection of notices into the counts of line items by hour."""

    name = STATISTICS
    topics = (NOTICES.name,)

    def fold(self, topic: str, records: Sequence[Record]) -> tuple[HourCounts, dict[int, str]]:
        """See Projection."""
        events, unreadable = _notices(records)
        # Their place in the log is the broker's matter: each record is folded once.
        notices = [notice for event in events for notice in settled(event, 0)]
        newest = max((event.taken_at_ms for event in events), default=0)
        return HourCounts(hour_counts(notices), newest), unreadable


def _notices(records: Sequence[Record]) -> tuple[list[NoticesTaken], dict[int, str]]:
    events, unreadable = [], {}
    for at, record in enumerate(records):
        event = decode(NOTICES.name, record)
        if isinstance(event, NoticesTaken):
            events.append(event)
        elif isinstance(event, Unreadable):
            unreadable[at] = event.reason
    return events, unreadable
