"""What does the log leave out of what was sold? Facts of line items and creatives, running or not, by number."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, select

from backends.sql import chunks, reading
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, CREATIVES, LINE_ITEMS


class SqlSoldFacts:
    """Campaign and pricing model by line item number, product by creative number; read once, when it is made."""

    def __init__(self, engine: Engine) -> None:
        with reading(engine) as connection:
            items = connection.execute(
                select(LINE_ITEMS.c.number, LINE_ITEMS.c.campaign_number, LINE_ITEMS.c.pricing_model)
            ).all()
            creatives = connection.execute(select(CREATIVES.c.number, CREATIVES.c.product_id)).all()
        self._items: dict[int, tuple[int, int]] = {
            item.number: (item.campaign_number, item.pricing_model) for item in items
        }
        self._products: dict[int, str] = {creative.number: creative.product_id for creative in creatives}

    def campaign_of(self, line_item_number: int) -> int:
        """The campaign's number; KeyError for a line item that never was."""
        return self._items[line_item_number][0]

    def pricing_model_of(self, line_item_number: int) -> int:
        """The pricing model; KeyError for a line item that never was."""
        return self._items[line_item_number][1]

    def product_of(self, creative_number: int) -> str:
        """The product id, empty without one."""
        return self._products.get(creative_number, "")


class SqlNames:
    """What line items, creatives and their owners are called, for people who read the log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tenant_of(self, line_item_number: int) -> str:
        """The id of the tenant that owns a line item, "" when there is none."""
        own = select(LINE_ITEMS.c.tenant_id).where(LINE_ITEMS.c.number == line_item_number)
        with reading(self._engine) as connection:
            found: str | None = connection.execute(own).scalar()
        return found or ""

    def products(self, creative_numbers: Iterable[int]) -> dict[int, str]:
        """The product of each creative by its number, "" without one; numbers that are unknown are left out."""
        found: dict[int, str] = {}
        with reading(self._engine) as connection:
            for chunk in chunks(set(creative_numbers)):
                own = select(CREATIVES.c.number, CREATIVES.c.product_id).where(CREATIVES.c.number.in_(chunk))
                found |= {row.number: row.product_id for row in connection.execute(own)}
        return found

    def line_items(self, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
        """Ids and names by line item number; numbers that are unknown are left out."""
        found: dict[int, dict[str, str]] = {}
        with reading(self._engine) as connection:
            for chunk in chunks(numbers):
                statement = (
                    select(
                        LINE_ITEMS.c.number,
                        LINE_ITEMS.c.line_item_id,
                        LINE_ITEMS.c.name,
                        CAMPAIGNS.c.name.label("campaign"),
                        ADVERTISERS.c.name.label("advertiser"),
                    )
                    .select_from(LINE_ITEMS)
                    .join(CAMPAIGNS)
                    .join(ADVERTISERS)
                    .where(LINE_ITEMS.c.number.in_(chunk))
                )
                for row in connection.execute(statement):
                    found[row.number] = {
                        "line_item_id": row.line_item_id,
                        "line_item": row.name,
                        "campaign": row.campaign,
                        "advertiser": row.advertiser,
                    }
        return found
