"""Where is kept what placements brought? In SQL: offers beside what the ledger says of sales and revenue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Engine, Table, func, insert, literal, select, update

from backends.added_rows_sql import add_up
from backends.sql import reading, writing
from backends.sql_tables_money import OFFERS_COUNTED, PLACEMENT_DAYS, PLACEMENT_OFFERS
from common.nodes import DEFAULT_NODE
from exchange.revenue import PlacementKey, RevenueRow, merged

_SALES = ("impressions", "clicks", "conversions", "revenue_micros")
_OFFERS = ("offered", "sold")


class SqlRevenueStore:
    """RevenueStore over an engine of backends.sql."""

    def __init__(self, engine: Engine, node: str = DEFAULT_NODE) -> None:
        self._engine = engine
        self._node = node

    def offers_counted_upto(self) -> int:
        """The offset from which on nothing of the node is counted yet."""
        own = OFFERS_COUNTED.c.node == self._node
        with reading(self._engine) as connection:
            counted: int | None = connection.execute(select(OFFERS_COUNTED.c.upto_offset).where(own)).scalar()
        return counted or 0

    def add_offers(self, offers: Mapping[PlacementKey, tuple[int, int]], from_offset: int, upto_offset: int) -> bool:
        """Add the counts and move the offset, or neither."""
        own = OFFERS_COUNTED.c.node == self._node
        with writing(self._engine) as connection:
            counted = connection.execute(select(OFFERS_COUNTED.c.upto_offset).where(own).with_for_update()).scalar()
            if (counted or 0) != from_offset:
                return False
            if counted is None:
                connection.execute(insert(OFFERS_COUNTED).values(node=self._node, upto_offset=upto_offset))
            else:
                connection.execute(update(OFFERS_COUNTED).where(own).values(upto_offset=upto_offset))
            keys = ("publisher_id", "placement_id", "day")
            rows = [dict(zip((*keys, *_OFFERS), (*key, *counts), strict=True)) for key, counts in offers.items()]
            add_up(connection, PLACEMENT_OFFERS, keys, _OFFERS, rows)
        return True

    def revenue(
        self, publisher_id: str, first_day: int, last_day: int, *, by_placement: bool, by_day: bool
    ) -> list[RevenueRow]:
        """One row for each placement and day, or summed over one of them."""

        def sums(table: Table, names: tuple[str, ...], currency: Column[str] | None) -> list[Any]:
            of = table.c
            groups: list[Any] = [
                *([of.placement_id] if by_placement else []),
                *([of.day] if by_day else []),
                *([currency] if currency is not None else []),
            ]
            query = select(
                (of.placement_id if by_placement else literal("")).label("placement_id"),
                (of.day if by_day else literal(-1)).label("day"),
                (currency if currency is not None else literal("")).label("currency"),
                *(func.sum(of[name]).label(name) for name in names),
            ).where(of.publisher_id == publisher_id, of.day.between(first_day, last_day))
            return [row._mapping for row in connection.execute(query.group_by(*groups))]

        with reading(self._engine) as connection:
            rows = [
                *sums(PLACEMENT_OFFERS, _OFFERS, None),
                *sums(PLACEMENT_DAYS, _SALES, PLACEMENT_DAYS.c.currency),
            ]
        zeros: dict[str, Any] = dict.fromkeys((*_OFFERS, *_SALES), 0)
        return merged([RevenueRow(**zeros | dict(row)) for row in rows])
