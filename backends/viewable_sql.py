"""How often were ads of each placement seen, and how often in view? Out of the counts of reports."""

from __future__ import annotations

from sqlalchemy import Engine, func, select

from backends.sql import reading
from backends.sql_tables_measurement import REPORT_COUNTS
from exchange.viewable_rates import Place, Shown


class SqlShownSource:
    """ShownSource over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def shown(self, from_hour: int) -> dict[Place, Shown]:
        """See ShownSource."""
        of = REPORT_COUNTS.c
        place = (of.publisher_id, of.placement_id)
        sums = (func.sum(of.impressions).label("impressions"), func.sum(of.viewable).label("viewable"))
        counted = select(*place, *sums).where(of.hour >= from_hour, of.placement_id != "").group_by(*place)
        with reading(self._engine) as connection:
            return {
                (row.publisher_id, row.placement_id): Shown(int(row.impressions), int(row.viewable))
                for row in connection.execute(counted)
                if row.impressions or row.viewable
            }
