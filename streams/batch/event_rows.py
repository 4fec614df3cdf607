"""What rows does a record become whose events are flat? One row for each event, a column for each of its fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from streams import schemas
from streams.batch.tables import BatchTable, tables_of
from streams.feed_events import FeedPageServed
from streams.ports import Record
from streams.schemas import NoticesTaken, ProductsPut

HOUR_MS: Final = 3_600_000

# Columns by name, of equal length: lists, or arrays of numbers. `at` is left out: it is `at_ms` said otherwise.
Rows: TypeAlias = Mapping[str, Sequence[Any]]

_AT_OF: Final = (
    *("taken_at_ms", "changed_at_ms", "alerted_at_ms", "served_at_ms", "clicked_at_ms", "decided_at_ms"),
    "held_at_ms",
)


def event_rows(topic: str, record: Record) -> dict[str, Rows] | None:
    """Rows by table of a record of any topic but `auctions`; None when it cannot be read."""
    (table,) = tables_of(topic)
    event = schemas.decode(topic, record)
    if isinstance(event, schemas.Unreadable):
        return None
    columns: dict[str, list[Any]] = defaultdict(list)
    for at_ms, hour_ms, fields in _flat(event, record):
        own = {"record_offset": record.offset, "at_ms": at_ms, "hour": hour_ms // HOUR_MS}
        for column in table.columns:
            if column.name != "at":
                columns[column.name].append(own[column.name] if column.name in own else fields[column.name])
    return {table.name: columns} if columns else {}


def _flat(event: schemas.Event, record: Record) -> list[tuple[int, int, dict[str, Any]]]:
    """(when, the time that it is counted at, its fields) of each row."""
    if isinstance(event, NoticesTaken):
        return [
            (event.taken_at_ms, notice.corrects_taken_at_ms or event.taken_at_ms, msgspec.structs.asdict(notice))
            for notice in event.notices
        ]
    if isinstance(event, ProductsPut):
        # A record of products does not say when; the log does.
        at_ms = record.appended_at_ms
        return [(at_ms, at_ms, msgspec.structs.asdict(product)) for product in event.products]
    fields = msgspec.structs.asdict(event)
    if isinstance(event, FeedPageServed):
        fields["posts"] = len(event.post_ids)
    at_ms = next(fields[name] for name in _AT_OF if name in fields)
    return [(at_ms, at_ms, fields)]


def count_of(rows: Rows) -> int:
    """How many rows these columns are."""
    return len(next(iter(rows.values()), ()))


def without_personal(table: BatchTable, rows: Rows) -> Rows:
    """The rows with nothing in the columns that tell of a person."""
    empty = [""] * count_of(rows)
    return {name: empty if name in table.personal else values for name, values in rows.items()}
