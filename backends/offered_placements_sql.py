"""Which placements has a publisher offered? Out of what was counted of offers."""

from __future__ import annotations

from sqlalchemy import Engine, select

from backends.sql import reading
from backends.sql_tables_money import PLACEMENT_OFFERS


class SqlOfferedPlacements:
    """The placements of each publisher, over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, publisher_id: str) -> frozenset[str]:
        """Ids of the placements that this publisher has ever offered, as far back as offers are kept."""
        own = select(PLACEMENT_OFFERS.c.placement_id).where(PLACEMENT_OFFERS.c.publisher_id == publisher_id).distinct()
        with reading(self._engine) as connection:
            return frozenset(connection.execute(own).scalars())
