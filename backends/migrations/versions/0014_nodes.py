"""What is of one node? Offsets and remainders get the name of the node whose log they are of: the first one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_budgets import BUDGET_CARRIES, NOTICES_COUNTED
from backends.sql_tables_measurement import PROJECTIONS
from backends.sql_tables_money import OFFERS_COUNTED
from backends.sql_tables_nodes import DUTIES, NODE_ERASURES, NODES, SHARED_RECORDS
from backends.sql_tables_statistics import STATISTICS_COUNTED
from common.nodes import DEFAULT_NODE, NAME_AT_MOST

revision = "0014_nodes"
down_revision = "0013_budget_pools"

_NEW = [NODES, DUTIES, SHARED_RECORDS, NODE_ERASURES]
# The keys of each table when there was one node, and the columns beside them.
_WERE: Sequence[tuple[sa.Table, Mapping[str, Any], Sequence[str]]] = (
    (NOTICES_COUNTED, {"counter": sa.Integer}, ("upto_offset",)),
    (STATISTICS_COUNTED, {"counter": sa.Integer}, ("upto_offset", "as_of_ms")),
    (OFFERS_COUNTED, {"counter": sa.Integer}, ("upto_offset",)),
    (BUDGET_CARRIES, {"payer": sa.String(128)}, ("thousandths",)),
    (PROJECTIONS, {"projection": sa.String(20), "topic": sa.String(48)}, ("upto_offset", "as_of_ms")),
)


def upgrade() -> None:
    """Make the tables of before anew with the node in their keys; a fresh store has it from its first schema."""
    connection = op.get_bind()
    METADATA.create_all(connection, tables=_NEW, checkfirst=True)
    for table, _, _ in _WERE:
        if "node" in _columns(table.name):
            continue
        rows = [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table.name}")).mappings()]
        op.drop_table(table.name)
        table.create(connection)
        kept = set(table.c.keys())
        _put(table, [{"node": DEFAULT_NODE} | {name: row[name] for name in row if name in kept} for row in rows])
    if "node" not in _columns("outgoing_notices"):
        name = sa.Column("node", sa.String(NAME_AT_MOST), nullable=False, server_default=DEFAULT_NODE)
        op.add_column("outgoing_notices", name)


def downgrade() -> None:
    """One node again: what the others counted cannot be gone on with, so it must be counted to the end first."""
    connection = op.get_bind()
    others = sa.text("SELECT count(*) FROM budget_leases WHERE micros > 0 AND holder <> :node")
    if connection.execute(others, {"node": DEFAULT_NODE}).scalar_one():
        raise RuntimeError(f"nodes other than {DEFAULT_NODE} have leases: stop them, and let them be written off first")
    for table, keys, values in _WERE:
        rows = [
            dict(row) for row in connection.execute(sa.select(table).where(table.c.node == DEFAULT_NODE)).mappings()
        ]
        op.drop_table(table.name)
        columns = [sa.Column(name, table.c[name].type, nullable=False) for name in values]
        primary = [sa.Column(key, kind, primary_key=True, autoincrement=False) for key, kind in keys.items()]
        before = sa.Table(table.name, sa.MetaData(), *primary, *columns)
        before.create(connection)
        for row in rows:
            row.pop("node")
            row |= {"counter": 0} if "counter" in before.c else {}
        _put(before, rows)
    with op.batch_alter_table("outgoing_notices") as outgoing:
        outgoing.drop_column("node")
    METADATA.drop_all(connection, tables=_NEW, checkfirst=True)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _put(table: sa.Table, rows: list[dict[str, object]]) -> None:
    if rows:
        op.get_bind().execute(sa.insert(table), rows)
