"""How did it go, by whom and when? Reports over the counts of the log: asked for, checked, in pages or as CSV."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from common.errors import FieldError, InvalidInput
from exchange.invalid_traffic import MEANINGS as INVALID_MEANINGS
from exchange.invalid_traffic import Validity
from exchange.refusals import MEANINGS, Refusal
from exchange.report_counts import HOUR_MS, INVALID_FROM, METRICS, Counts
from exchange.report_rates import RATES, rates_of
from streams.ports import EventLog
from streams.schemas import NoticesTaken, decode
from streams.topics import AUCTIONS, NOTICES

DIMENSIONS: Final = (
    *("hour", "day", "advertiser", "campaign", "line_item", "creative", "placement", "publisher", "bidder"),
)
# With this one the report says how often each reason was met, and nothing else.
REASON: Final = "reason"
MOST_ROWS: Final = 10_000
_DEFAULT_ROWS: Final = 1_000
_LONGEST_MS: Final = 800 * 24 * HOUR_MS
_RECORDS_PER_STEP: Final = 1024


class ReportAsk(msgspec.Struct, frozen=True):
    """What is asked. Times are UTC, from the hour of `from_ms` to before that of `to_ms`.

    `advertiser_tenant` and `publisher_tenant` are whose rows may be seen, empty for everybody's. `filters` maps a
    dimension to the values of which one must match.
    """

    dimensions: tuple[str, ...]
    from_ms: int
    to_ms: int
    filters: Mapping[str, tuple[str, ...]] = {}
    advertiser_tenant: str = ""
    publisher_tenant: str = ""
    page_size: int = 0
    page_token: str = ""


class ReportRow(msgspec.Struct, frozen=True):
    """One row: a key and a name for each dimension, and METRICS in their order, or one count by reason."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[int, ...]


class Report(msgspec.Struct, frozen=True):
    """`columns` are the dimensions and then what is counted. `as_of_ms` is up to when the log was counted.

    `counted_apart` are bids in the asked time that the log counts by reason and not by line item.
    """

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    next_page_token: str
    as_of_ms: int
    counted_apart: int

    @property
    def rates(self) -> tuple[str, ...]:
        """What `rates_of` a row are called; none by reason."""
        return RATES if self.metrics == METRICS else ()

    def rates_of(self, row: ReportRow) -> tuple[float | None, ...]:
        """One for each of `rates`."""
        return rates_of(row.values) if self.rates else ()


class ReportStore(Protocol):
    """Counts by place, and how far each topic is counted; both change in one transaction."""

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is counted yet."""

    def as_of_ms(self) -> int:
        """Up to when both topics are counted."""

    def add(self, topic: str, counts: Counts, from_offset: int, upto_offset: int) -> bool:
        """Add the counts of these offsets; False, and nothing is added, when it is not counted exactly so far."""

    def rows(self, ask: ReportAsk, offset: int, limit: int) -> list[ReportRow]:
        """At most `limit` rows from `offset` on, in the order of their keys."""

    def counted_apart(self, ask: ReportAsk) -> int:
        """Bids without a line item in the asked time."""


class Reports:
    """A projection of the log: it can be counted again from its beginning and comes to the same."""

    def __init__(self, store: ReportStore, placements_of: Callable[[bytes], Sequence[str]]) -> None:
        self._store = store
        self._placements_of = placements_of
        self._one_at_a_time = threading.Lock()
        self.unreadable = 0

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is counted yet."""
        return self._store.read_upto(topic)

    def count_once(self, log: EventLog) -> int:
        """Count some of what is new of each topic; how many records. Blocks: call it in a thread."""
        with self._one_at_a_time:
            return sum(self._step(log, topic) for topic in (AUCTIONS.name, NOTICES.name))

    def _step(self, log: EventLog, topic: str) -> int:
        offset = self._store.read_upto(topic)
        records = log.read(topic, offset, _RECORDS_PER_STEP)
        if not records:
            return 0
        counts = Counts()
        if topic == AUCTIONS.name:
            self.unreadable += counts.add_auctions((record.payload for record in records), self._placements_of)
        else:
            for record in records:
                event = decode(topic, record)
                if isinstance(event, NoticesTaken):
                    counts.add_notices(event)
                else:
                    self.unreadable += 1
        self._store.add(topic, counts, offset, records[-1].offset + 1)
        return len(records)

    def report(self, ask: ReportAsk) -> Report:
        """The report; InvalidInput names every field that is wrong."""
        offset = _check(ask)
        limit = min(ask.page_size or _DEFAULT_ROWS, MOST_ROWS)
        rows = self._store.rows(ask, offset, limit + 1)
        return Report(
            dimensions=ask.dimensions,
            metrics=("count",) if REASON in ask.dimensions else METRICS,
            rows=tuple(rows[:limit]),
            next_page_token=str(offset + limit) if len(rows) > limit else "",
            as_of_ms=self._store.as_of_ms(),
            counted_apart=self._store.counted_apart(ask),
        )


def _check(ask: ReportAsk) -> int:
    """The row that the page token stands for."""
    errors = []
    known = (*DIMENSIONS, REASON)
    for at, name in enumerate(ask.dimensions):
        if name not in known:
            errors.append(FieldError(f"dimensions[{at}]", repr(name[:40]), f"give some of {', '.join(known)}"))
    if len(set(ask.dimensions)) < len(ask.dimensions):
        errors.append(FieldError("dimensions", "some are named twice", "name each once"))
    for name, values in ask.filters.items():
        if name not in DIMENSIONS or name in ("hour", "day"):
            errors.append(
                FieldError("filters", repr(name[:40]), "filter by who or where; the time has fields of its own")
            )
        elif not 1 <= len(values) <= 100:
            errors.append(FieldError(f"filters[{name}]", f"{len(values)} values", "give 1 to 100"))
    if not 0 <= ask.from_ms < ask.to_ms:
        errors.append(FieldError("to_ms", str(ask.to_ms), "give a time after from_ms, in ms since 1970"))
    elif ask.to_ms - ask.from_ms > _LONGEST_MS:
        errors.append(FieldError("from_ms", str(ask.from_ms), "ask for at most 800 days"))
    if not 0 <= ask.page_size <= MOST_ROWS:
        errors.append(FieldError("page_size", str(ask.page_size), f"give 0 (a thousand) to {MOST_ROWS}"))
    if ask.page_token and not (ask.page_token.isascii() and ask.page_token.isdigit() and len(ask.page_token) < 10):
        errors.append(
            FieldError("page_token", repr(ask.page_token[:40]), "give the next_page_token of the page before")
        )
    if errors:
        raise InvalidInput(errors)
    return int(ask.page_token or 0)


def meaning_of(code: int) -> str:
    """What a reason means, whether it is why a bid did not win or why a notice did not count."""
    if code >= INVALID_FROM:
        number = code - INVALID_FROM
        return INVALID_MEANINGS[Validity(number)] if number in Validity._value2member_map_ else "not known"
    return MEANINGS[Refusal(code)] if code in Refusal._value2member_map_ else "not known"


def csv_of(report: Report) -> str:
    """RFC 4180, with a heading; no cell begins as a spreadsheet's formula does."""
    text = io.StringIO()
    writer = csv.writer(text)
    heads = [head for name in report.dimensions for head in (name, f"{name}_name")]
    writer.writerow([*heads, *report.metrics, *report.rates])
    for row in report.rows:
        keys = [_harmless(cell) for pair in zip(row.keys, row.names, strict=True) for cell in pair]
        rates = ["" if rate is None else f"{rate:.6f}" for rate in report.rates_of(row)]
        writer.writerow([*keys, *row.values, *rates])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
