"""How are statistics kept in SQL? StatisticsStore: counts by line item and hour, and the offset they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, Select, Table, func, insert, select, update

from backends.added_rows_sql import add_up
from backends.sql import reading, writing
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, LINE_ITEMS
from backends.sql_tables_statistics import STATISTICS, STATISTICS_COUNTED
from common.nodes import ALL_NODES, DEFAULT_NODE
from exchange.statistics import HourCount, Totals

_SUMMED = ("impressions", "clicks", "conversions", "spend_micros")

_NUMBERS = select(LINE_ITEMS.c.number).select_from(LINE_ITEMS)
# Which line items belong to an id, by the table that the id is of.
_LINE_ITEMS_OF: list[tuple[Table, str, Select[Any]]] = [
    (LINE_ITEMS, "line_item_id", _NUMBERS),
    (CAMPAIGNS, "campaign_id", _NUMBERS.join(CAMPAIGNS)),
    (ADVERTISERS, "advertiser_id", _NUMBERS.join(CAMPAIGNS).join(ADVERTISERS)),
]


class SqlStatisticsStore:
    """StatisticsStore over an engine of backends.sql."""

    def __init__(self, engine: Engine, node: str = DEFAULT_NODE) -> None:
        self._engine = engine
        self._own = STATISTICS_COUNTED.c.node == node
        self._node = node

    def counted_upto(self) -> int:
        """The offset from which on nothing of the node is counted yet."""
        with reading(self._engine) as connection:
            counted: int | None = connection.execute(select(STATISTICS_COUNTED.c.upto_offset).where(self._own)).scalar()
        return counted or 0

    def add(self, counts: Sequence[HourCount], from_offset: int, upto_offset: int, as_of_ms: int) -> bool:
        """Add the counts and move the offset, or neither."""
        with writing(self._engine) as connection:
            mark = connection.execute(select(STATISTICS_COUNTED).where(self._own).with_for_update()).first()
            if (mark.upto_offset if mark else 0) != from_offset:
                return False
            moved = {"upto_offset": upto_offset, "as_of_ms": max(as_of_ms, mark.as_of_ms if mark else 0)}
            if mark is None:
                connection.execute(insert(STATISTICS_COUNTED).values(node=self._node, **moved))
            else:
                connection.execute(update(STATISTICS_COUNTED).where(self._own).values(moved))
            add_up(connection, STATISTICS, ("line_item_number", "hour"), _SUMMED, [asdict(count) for count in counts])
        return True

    def totals(self, tenant_id: str, id: str) -> Totals | None:
        """Sums over all hours."""
        with reading(self._engine) as connection:
            for table, id_name, line_items in _LINE_ITEMS_OF:
                own = (table.c[id_name] == id) & (table.c.tenant_id == tenant_id)
                if connection.execute(select(table.c.number).where(own)).first() is None:
                    continue
                sums = select(*(func.coalesce(func.sum(STATISTICS.c[name]), 0) for name in _SUMMED)).where(
                    STATISTICS.c.line_item_number.in_(line_items.where(own))
                )
                impressions, clicks, conversions, spend_micros = map(int, connection.execute(sums).one())
                as_of_ms: int | None = connection.execute(select(func.max(STATISTICS_COUNTED.c.as_of_ms))).scalar()
                return Totals(impressions, clicks, conversions, spend_micros, as_of_ms or 0)
        return None


def add_consumed(connection: Connection, counts: Sequence[HourCount], as_of_ms: int) -> None:
    """Add what a group of consumers counted, within the transaction that keeps how far it has read; the offsets of
    nodes' own logs stay where they are.
    """
    own = STATISTICS_COUNTED.c.node == ALL_NODES
    mark = connection.execute(select(STATISTICS_COUNTED).where(own).with_for_update()).first()
    if mark is None:
        connection.execute(insert(STATISTICS_COUNTED).values(node=ALL_NODES, upto_offset=0, as_of_ms=as_of_ms))
    elif mark.as_of_ms < as_of_ms:
        connection.execute(update(STATISTICS_COUNTED).where(own).values(as_of_ms=as_of_ms))
    add_up(connection, STATISTICS, ("line_item_number", "hour"), _SUMMED, [asdict(count) for count in counts])
