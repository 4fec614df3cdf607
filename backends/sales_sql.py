"""How are sales within their time for returns kept in SQL? SaleStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine, delete, or_, select

from backends.sql import insert_once, reading, writing
from backends.sql_tables_reputation import SALES_WAITING
from feed.reputation.sales import Sale

_AT = SALES_WAITING.c


class SqlSaleStore:
    """SaleStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, sale: Sale) -> bool:
        """Keep a sale."""
        with writing(self._engine) as connection:
            return insert_once(connection, SALES_WAITING, msgspec.structs.asdict(sale))

    def oldest(self, tenant_id: str, buyer: str, post_id: str, product_id: str) -> Sale | None:
        """The oldest sale that could come back."""
        wanted = select(SALES_WAITING).where(_AT.tenant_id == tenant_id, _AT.buyer == buyer, _AT.post_id == post_id)
        if product_id:
            wanted = wanted.where(_AT.product_id.in_((product_id, "")))
        with reading(self._engine) as connection:
            row = connection.execute(wanted.order_by(_AT.at_ms, _AT.sale_id).limit(1)).first()
        return None if row is None else Sale(**row._mapping)

    def before(self, at_ms: int, limit: int) -> list[Sale]:
        """Sales of before a moment."""
        wanted = select(SALES_WAITING).where(_AT.at_ms <= at_ms).order_by(_AT.at_ms, _AT.sale_id).limit(limit)
        with reading(self._engine) as connection:
            return [Sale(**row._mapping) for row in connection.execute(wanted)]

    def drop(self, tenant_id: str, sale_id: str) -> None:
        """A sale waits no more."""
        with writing(self._engine) as connection:
            connection.execute(delete(SALES_WAITING).where(_AT.tenant_id == tenant_id, _AT.sale_id == sale_id))

    def forget(self, tenant_id: str, person_id: str) -> int:
        """Drop the sales to and of a person."""
        theirs = or_(_AT.buyer == person_id, _AT.creator_id == person_id)
        with writing(self._engine) as connection:
            return connection.execute(delete(SALES_WAITING).where(_AT.tenant_id == tenant_id, theirs)).rowcount
