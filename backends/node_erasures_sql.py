"""Who is still to be forgotten on which node? Rows until that node has forgotten, however long it is away."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, delete, select

from backends.added_rows_sql import put_missing
from backends.sql import reading, writing
from backends.sql_tables_nodes import NODE_ERASURES

_AT = NODE_ERASURES.c


class SqlNodeErasures:
    """What of erasures is left to do, by node."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, nodes: Iterable[str], tenant_id: str, person_id: str, now_ms: int) -> None:
        """These nodes are to forget the person; once, however often it is asked before they have."""
        rows = [{"node": node, "tenant_id": tenant_id, "person_id": person_id, "asked_at_ms": now_ms} for node in nodes]
        with writing(self._engine) as connection:
            put_missing(connection, NODE_ERASURES, rows)

    def asked(self, node: str) -> list[tuple[str, str, int]]:
        """(tenant, person, when) that this node is to forget."""
        query = select(_AT.tenant_id, _AT.person_id, _AT.asked_at_ms).where(_AT.node == node)
        with reading(self._engine) as connection:
            return [(tenant, person, at_ms) for tenant, person, at_ms in connection.execute(query.limit(100))]

    def done(self, node: str, tenant_id: str, person_id: str) -> None:
        """The node has forgotten."""
        own = (_AT.node == node) & (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id)
        with writing(self._engine) as connection:
            connection.execute(delete(NODE_ERASURES).where(own))
