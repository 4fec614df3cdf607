"""How do several nodes write the same row at once? Put in or added to in one statement, in the order of the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def put_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put in the rows whose keys are not there, and leave the others as they are."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def add_up(
    connection: Connection, table: Table, keys: Sequence[str], sums: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add each row's `sums` to the row of the same `keys`, or put it in; no two of `rows` have the same keys."""
    if not rows:
        return
    # Two that lock the same rows in different orders would wait for one another.
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in keys))
    fresh = _insert(connection, table)
    more = {name: table.c[name] + fresh.excluded[name] for name in sums}
    connection.execute(fresh.on_conflict_do_update(index_elements=list(keys), set_=more), ordered)


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
