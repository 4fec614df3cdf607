"""How is kept what line items were billed and placements earned by day? Beside the spend, in its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, and_, bindparam, insert, select, tuple_, update

from backends.sql import chunks
from backends.sql_tables_money import BILLED_DAYS, PLACEMENT_DAYS
from exchange.settlement import Settlement

_COUNTS = ("impressions", "clicks", "conversions", "spend_micros")


def add(connection: Connection, settled: Settlement) -> None:
    """Add a step's counts to the rows of their days."""
    items = [msgspec.structs.asdict(key) | msgspec.structs.asdict(sale) for key, sale in settled.line_items.items()]
    add_up(connection, BILLED_DAYS, ("line_item_number", "day", "currency"), _COUNTS, items)
    places = [
        msgspec.structs.asdict(key) | msgspec.structs.asdict(sale) | {"revenue_micros": settled.revenue[key]}
        for key, sale in settled.placements.items()
    ]
    keys = ("publisher_id", "placement_id", "day", "currency")
    add_up(connection, PLACEMENT_DAYS, keys, (*_COUNTS, "revenue_micros"), places)


def add_up(
    connection: Connection, table: Table, keys: Sequence[str], sums: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add each row's `sums` to the row of the same `keys`, or put it in; no two of `rows` have the same keys."""
    of = table.c
    columns = [of[name] for name in keys]
    known: set[tuple[Any, ...]] = set()
    for some in chunks([tuple(row[name] for name in keys) for row in rows], 200):
        known.update(tuple(found) for found in connection.execute(select(*columns).where(tuple_(*columns).in_(some))))
    old = [row for row in rows if tuple(row[name] for name in keys) in known]
    if old:
        more = (
            update(table)
            .where(and_(*(of[name] == bindparam(f"of_{name}") for name in keys)))
            .values({name: of[name] + bindparam(f"more_{name}") for name in sums})
        )
        values = [
            {f"of_{name}": row[name] for name in keys} | {f"more_{name}": row[name] for name in sums} for row in old
        ]
        connection.execute(more, values)
    new = [dict(row) for row in rows if tuple(row[name] for name in keys) not in known]
    if new:
        connection.execute(insert(table), new)
