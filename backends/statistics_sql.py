"""How are statistics kept in SQL? StatisticsStore: counts by line item and hour, and the offset they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Engine, Select, Table, bindparam, func, insert, select, update

from backends.sql import chunks, reading, writing
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, LINE_ITEMS
from backends.sql_tables_statistics import STATISTICS, STATISTICS_COUNTED
from exchange.statistics import HourCount, Totals

_COUNTER = 1
_SUMMED = ("impressions", "clicks", "conversions", "spend_micros")

_ADD = (
    update(STATISTICS)
    .where(STATISTICS.c.line_item_number == bindparam("of_line_item"), STATISTICS.c.hour == bindparam("of_hour"))
    .values({name: STATISTICS.c[name] + bindparam(f"more_{name}") for name in _SUMMED})
)
_NUMBERS = select(LINE_ITEMS.c.number).select_from(LINE_ITEMS)
# Which line items belong to an id, by the table that the id is of.
_LINE_ITEMS_OF: list[tuple[Table, str, Select[Any]]] = [
    (LINE_ITEMS, "line_item_id", _NUMBERS),
    (CAMPAIGNS, "campaign_id", _NUMBERS.join(CAMPAIGNS)),
    (ADVERTISERS, "advertiser_id", _NUMBERS.join(CAMPAIGNS).join(ADVERTISERS)),
]


class SqlStatisticsStore:
    """StatisticsStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counted_upto(self) -> int:
        """The offset from which on nothing is counted yet."""
        with reading(self._engine) as connection:
            counted: int | None = connection.execute(select(STATISTICS_COUNTED.c.upto_offset)).scalar()
        return counted or 0

    def add(self, counts: Sequence[HourCount], from_offset: int, upto_offset: int, as_of_ms: int) -> bool:
        """Add the counts and move the offset, or neither."""
        with writing(self._engine) as connection:
            mark = connection.execute(select(STATISTICS_COUNTED).with_for_update()).first()
            if (mark.upto_offset if mark else 0) != from_offset:
                return False
            moved = {"upto_offset": upto_offset, "as_of_ms": max(as_of_ms, mark.as_of_ms if mark else 0)}
            if mark is None:
                connection.execute(insert(STATISTICS_COUNTED).values(counter=_COUNTER, **moved))
            else:
                connection.execute(update(STATISTICS_COUNTED).values(moved))
            known: set[tuple[int, int]] = set()
            for some in chunks({count.line_item_number for count in counts}):
                hours = select(STATISTICS.c.line_item_number, STATISTICS.c.hour).where(
                    STATISTICS.c.line_item_number.in_(some),
                    STATISTICS.c.hour.in_({count.hour for count in counts}),
                )
                known.update((number, hour) for number, hour in connection.execute(hours))
            more = [count for count in counts if (count.line_item_number, count.hour) in known]
            fresh = [count for count in counts if (count.line_item_number, count.hour) not in known]
            if more:
                connection.execute(_ADD, [_added(count) for count in more])
            if fresh:
                connection.execute(insert(STATISTICS), [asdict(count) for count in fresh])
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
                as_of_ms: int | None = connection.execute(select(STATISTICS_COUNTED.c.as_of_ms)).scalar()
                return Totals(impressions, clicks, conversions, spend_micros, as_of_ms or 0)
        return None


def _added(count: HourCount) -> dict[str, int]:
    return {
        "of_line_item": count.line_item_number,
        "of_hour": count.hour,
        **{f"more_{name}": getattr(count, name) for name in _SUMMED},
    }
