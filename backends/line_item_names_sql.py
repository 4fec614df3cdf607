"""Who stands behind the numbers of line items? LineItemNames over the SQL tables."""

from __future__ import annotations

from sqlalchemy import Engine, select

from backends.sql import reading
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, LINE_ITEMS
from streams.batch.event_rows import Rows

_NAMES = (
    select(
        LINE_ITEMS.c.number.label("line_item_number"),
        LINE_ITEMS.c.line_item_id,
        LINE_ITEMS.c.name.label("line_item_name"),
        CAMPAIGNS.c.number.label("campaign_number"),
        CAMPAIGNS.c.campaign_id,
        CAMPAIGNS.c.name.label("campaign_name"),
        ADVERTISERS.c.advertiser_id,
        ADVERTISERS.c.name.label("advertiser_name"),
        CAMPAIGNS.c.currency,
    )
    .select_from(LINE_ITEMS)
    .join(CAMPAIGNS)
    .join(ADVERTISERS)
    .order_by(LINE_ITEMS.c.number)
)


class SqlLineItemNames:
    """LineItemNames over an engine of backends.sql; also of line items that are archived."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self) -> Rows:
        """See LineItemNames."""
        with reading(self._engine) as connection:
            found = connection.execute(_NAMES).mappings().all()
        return {column.name: [row[column.name] for row in found] for column in _NAMES.selected_columns}
