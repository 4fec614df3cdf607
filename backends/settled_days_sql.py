"""How is kept what line items were billed and placements earned by day? Beside the spend, in its transaction."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from backends.added_rows_sql import add_up
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
