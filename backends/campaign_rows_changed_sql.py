"""What did campaign changes come to? The rows that events beyond a sequence touched, read in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, Select, func, select

from backends import outbox_sql
from backends.line_items_sql import ids_touched, line_items_touched, records_of
from backends.sql import chunks, reading
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, CREATIVES, LINE_ITEMS
from backends.sql_tables_outbox import OUTBOX
from exchange.ports import LineItemRecord

CAMPAIGN_ROWS = (
    select(CAMPAIGNS, ADVERTISERS.c.advertiser_id, ADVERTISERS.c.name.label("advertiser_name"))
    .select_from(CAMPAIGNS)
    .join(ADVERTISERS)
    .order_by(CAMPAIGNS.c.number)
)
CREATIVE_ROWS = (
    select(CREATIVES, ADVERTISERS.c.advertiser_id, ADVERTISERS.c.name.label("advertiser_name"))
    .select_from(CREATIVES)
    .join(ADVERTISERS)
    .order_by(CREATIVES.c.number)
)
# Line items that are read at once.
PORTION = 2_000


class Changed(msgspec.Struct, frozen=True):
    """Rows as they stand at `sequence`; a line item's row comes with its record."""

    sequence: int
    line_items: Sequence[tuple[Row[Any], LineItemRecord]] = ()
    campaigns: Sequence[Row[Any]] = ()
    creatives: Sequence[Row[Any]] = ()


class CampaignRows:
    """Reads what is to be indexed. Every call blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changed_since(self, sequence: int) -> Changed:
        """Everything that events beyond `sequence` touched, in all states."""
        with reading(self._engine) as connection:
            newest = outbox_sql.newest_sequence(connection)
            if newest <= sequence:
                return Changed(newest)
            ids = ids_touched(connection, sequence)
            return Changed(
                newest,
                records_of(connection, line_items_touched(connection, sequence)),
                _some(connection, CAMPAIGN_ROWS, [("campaign", ids["campaign"]), ("advertiser", ids["advertiser"])]),
                _some(connection, CREATIVE_ROWS, [("creative", ids["creative"]), ("advertiser", ids["advertiser"])]),
            )

    def reaches_back_to(self, sequence: int) -> bool:
        """Is every event beyond `sequence` still kept? Old ones are dropped in time."""
        with reading(self._engine) as connection:
            oldest = connection.execute(select(func.min(OUTBOX.c.sequence))).scalar()
        return oldest is None or oldest <= sequence + 1

    def newest_sequence(self) -> int:
        """The sequence of the newest event."""
        with reading(self._engine) as connection:
            return outbox_sql.newest_sequence(connection)

    def counts(self) -> dict[str, int]:
        """How many rows there are of each kind, by the name of their index."""
        with reading(self._engine) as connection:
            tables = (("line-items", LINE_ITEMS), ("campaigns", CAMPAIGNS), ("creatives", CREATIVES))
            return {name: connection.execute(select(func.count(table.c.number))).scalar_one() for name, table in tables}

    def all(self, portion: int = PORTION) -> Iterator[Changed]:
        """Everything, in portions. Each is at least as new as the sequence it names: what changes while it is read is
        read again by whoever follows from the sequence of the first.
        """
        sequence = self.newest_sequence()
        for table, rows in ((CAMPAIGNS, CAMPAIGN_ROWS), (CREATIVES, CREATIVE_ROWS)):
            last = 0
            while True:
                with reading(self._engine) as connection:
                    found = connection.execute(rows.where(table.c.number > last).limit(portion)).all()
                if not found:
                    break
                last = found[-1].number
                yield Changed(sequence, **{table.name: found})
        last = 0
        while True:
            with reading(self._engine) as connection:
                numbers = select(LINE_ITEMS.c.number).where(LINE_ITEMS.c.number > last).order_by(LINE_ITEMS.c.number)
                some = connection.execute(numbers.limit(portion)).scalars().all()
                records = records_of(connection, some)
            if not some:
                return
            last = some[-1]
            yield Changed(sequence, line_items=records)


def _some(connection: Connection, rows: Select[Any], asked: Sequence[tuple[str, set[str]]]) -> list[Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for kind, ids in asked:
        column = rows.selected_columns[f"{kind}_id"]
        for some in chunks(ids):
            found.update((row.number, row) for row in connection.execute(rows.where(column.in_(some))))
    return [found[number] for number in sorted(found)]
