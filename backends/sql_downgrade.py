"""May a schema be taken back? Tables that hold what nobody could write again are dropped while they are empty."""

from __future__ import annotations

from collections.abc import Sequence

from alembic.util import CommandError
from sqlalchemy import Connection, Table, inspect, literal, select

from backends.sql_metadata import METADATA

# Columns are those of today, and the table may have others.
_ONE_ROW = select(literal(1)).limit(1)


def refuse_rows(connection: Connection, tables: Sequence[Table], why: str) -> None:
    """CommandError with `why` when one of the tables holds a row."""
    there = set(inspect(connection).get_table_names())
    for table in tables:
        if table.name in there and connection.execute(_ONE_ROW.select_from(table)).first() is not None:
            raise CommandError(f"{why}: table {table.name} holds rows; restore a back-up of before instead")


def drop_empty(connection: Connection, tables: Sequence[Table], why: str) -> None:
    """Drop the tables; CommandError with `why`, and none is dropped, when one holds a row."""
    refuse_rows(connection, tables, why)
    METADATA.drop_all(connection, tables=list(tables), checkfirst=True)
