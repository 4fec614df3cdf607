"""What does a publisher earn, and where? Offers counted from topic `auctions`, sales and revenue from the ledger.

Revenue is the publisher's part as it was posted, so a report adds up to its account, to the micro. Days are UTC.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import FieldError, InvalidInput
from exchange.campaign_pages import Page, asked_page
from exchange.settlement import UNKNOWN_PUBLISHER
from streams.auction_reader import AuctionReader
from streams.ports import EventLog
from streams.topics import AUCTIONS

MAX_DAYS: Final = 400
# Records in one transaction; each is a batch of up to a thousand page views.
RECORDS_PER_STEP: Final = 1_000
STEPS_AT_ONCE: Final = 8
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

# Publisher, placement, day (days since 1970).
PlacementKey = tuple[str, str, int]


class RevenueRow(msgspec.Struct, frozen=True):
    """What came of one placement on one day, or of all of either where it is empty (day -1)."""

    placement_id: str
    day: int
    offered: int
    sold: int
    impressions: int
    clicks: int
    conversions: int
    revenue_micros: int
    currency: str
    number: int = 0

    @property
    def fill(self) -> float:
        """The share of offered placements that were sold; 0 where none was offered."""
        return self.sold / self.offered if self.offered else 0.0

    @property
    def ecpm_micros(self) -> int:
        """Revenue for a thousand impressions, cut to whole micros; 0 without impressions."""
        return self.revenue_micros * 1000 // self.impressions if self.impressions else 0


class RevenueStore(Protocol):
    """What placements were offered, sold and brought."""

    def offers_counted_upto(self) -> int:
        """The offset of topic `auctions` from which on nothing is counted yet."""

    def add_offers(self, offers: Mapping[PlacementKey, tuple[int, int]], from_offset: int, upto_offset: int) -> bool:
        """Add (offered, sold) by placement and day; False, and nothing is added, unless counted up to `from_offset`."""

    def revenue(
        self, publisher_id: str, first_day: int, last_day: int, *, by_placement: bool, by_day: bool
    ) -> list[RevenueRow]:
        """One row for each placement and day, or summed over one of them, in the order of day and placement."""


class Revenue:
    """The projector of offers and the report."""

    def __init__(self, store: RevenueStore) -> None:
        self._store = store
        self._one_at_a_time = threading.Lock()

    def counted_upto(self) -> int:
        """The offset of topic `auctions` from which on nothing is counted yet."""
        return self._store.offers_counted_upto()

    def count_once(self, log: EventLog) -> int:
        """Count what is new, at most some thousand records; how many. Blocks on disk and SQL: call it in a thread."""
        counted = 0
        with self._one_at_a_time:
            for _ in range(STEPS_AT_ONCE):
                offset = self._store.offers_counted_upto()
                records = log.read(AUCTIONS.name, offset, RECORDS_PER_STEP)
                if not records:
                    break
                offers = offers_of([record.payload for record in records])
                self._store.add_offers(offers, offset, records[-1].offset + 1)
                counted += len(records)
        return counted

    def report(
        self,
        publisher_id: str,
        first: str,
        last: str,
        *,
        by_placement: bool = True,
        by_day: bool = True,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[RevenueRow]:
        """What a publisher's placements brought from `first` to `last` (2026-11-01), both of them within."""
        errors: list[FieldError] = []
        first_day, last_day = _checked_day("from", first, errors), _checked_day("to", last, errors)
        if not errors and not 0 <= last_day - first_day < MAX_DAYS:
            errors.append(FieldError("to", f"is {last}, from is {first}", f"ask for 1 to {MAX_DAYS} days"))
        if not by_placement and not by_day:
            errors.append(FieldError("by", "is empty", "ask by placement, by day or by both"))
        of = f"revenue {publisher_id} {first} {last} {by_placement} {by_day}"
        asked = asked_page(of, page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        rows = self._store.revenue(publisher_id, first_day, last_day, by_placement=by_placement, by_day=by_day)
        numbered = [msgspec.structs.replace(row, number=at) for at, row in enumerate(rows, 1)]
        return asked.cut(lambda after, limit: numbered[after : after + limit])


def offers_of(payloads: Iterable[bytes]) -> dict[PlacementKey, tuple[int, int]]:
    """(offered, sold) by placement in these records; those of before do not name them. Tests offer nothing, nor does
    what cannot be read.
    """
    spelled: dict[str, int] = {}
    parts: list[_Offers] = []
    for payload in payloads:
        with suppress(ValueError, IndexError):
            parts.append(_offers_in(AuctionReader(payload), spelled))
    if not parts:
        return {}
    days, publishers, placements, was_sold = (np.concatenate(column) for column in zip(*parts, strict=True))
    names, width = list(spelled), max(len(spelled), 1)
    distinct, row = np.unique((days * width + publishers) * width + placements, return_inverse=True)
    offered = np.bincount(row, minlength=len(distinct)).tolist()
    sold = np.bincount(row[was_sold], minlength=len(distinct)).tolist()
    return {
        (names[key // width % width] or UNKNOWN_PUBLISHER, names[key % width], key // width**2): (all_of, sold_of)
        for key, all_of, sold_of in zip(distinct.tolist(), offered, sold, strict=True)
    }


# Of each placement that was offered: its day, its publisher's and its own name, and whether it was sold.
_Offers = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]


def _offers_in(reader: AuctionReader, spelled: dict[str, int]) -> _Offers:
    """Names as numbers in `spelled`; ValueError or IndexError when the columns do not fit one another."""
    counts = reader.column("placement_count").astype(np.int64)
    was_sold = reader.column("winner_row_plus_one") != 0
    names = reader.names()
    publishers, placements = reader.column("publisher_name"), reader.column("placement_name")
    if not names:
        names, publishers, placements = [""], np.zeros(len(counts), np.uint32), np.zeros(len(was_sold), np.uint32)
    if len(publishers) != len(counts) or len(placements) != len(was_sold) or int(counts.sum()) != len(was_sold):
        raise ValueError("the placements do not add up")
    number_of = np.array([spelled.setdefault(name, len(spelled)) for name in names], np.int64)
    real = np.ones(len(counts), np.bool_)
    real[reader.column("test_page_view")] = False
    offered = real.repeat(counts)
    publisher, placement = number_of[publishers].repeat(counts)[offered], number_of[placements][offered]
    return np.full(len(placement), reader.held_at_ms // _DAY_MS), publisher, placement, was_sold[offered]


def day_text(day: int) -> str:
    """Days since 1970 as 2026-11-01; empty for a sum over days."""
    return date.fromordinal(_EPOCH + day).isoformat() if day >= 0 else ""


def merged(rows: Sequence[RevenueRow]) -> list[RevenueRow]:
    """Rows of the same placement and day as one, in the order of day and placement."""
    sums: dict[tuple[int, str], RevenueRow] = {}
    for row in rows:
        before = sums.get((row.day, row.placement_id))
        if before is not None:
            row = msgspec.structs.replace(
                row,
                currency=row.currency or before.currency,
                **{name: getattr(row, name) + getattr(before, name) for name in _SUMMED},
            )
        sums[row.day, row.placement_id] = row
    return [sums[key] for key in sorted(sums)]


_SUMMED: Final = ("offered", "sold", "impressions", "clicks", "conversions", "revenue_micros")


def _checked_day(field: str, text: str, errors: list[FieldError]) -> int:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        errors.append(FieldError(field, f"is {text[:20]!r}", "write a day as 2026-11-01"))
        return 0
