"""How does all of one SQL store come into another? Table by table in the order of foreign keys, in portions by key.

How far each table is stands in a table of the target, written in the transaction of each portion, so a move that dies
goes on where it was. The source is read in one transaction that sees one state; SQLite takes no other writer meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
    tuple_,
    update,
)

from backends.sql import reading, writing
from backends.sql_schema import METADATA
from common.errors import BackendUnavailable, Conflict, FieldError, InvalidInput
from streams.moving.checksums import Checksum, Sum

ROWS_AT_ONCE: Final = 2_000

_MOVED = Table(
    "haat_moved",
    MetaData(),
    Column("what", String(64), primary_key=True),
    Column("migration_id", String(64), nullable=False),
    # The key of the last row that is there, as a JSON list; of a table that is whole, what it was last.
    Column("last_key", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("whole", Integer, nullable=False),
)

# Rows that are right only together are in one transaction: what is posted adds up to nothing.
_TOGETHER: Final = {"balance_postings": "transaction_number"}

# (table, rows so far, rows in all)
Progress = Callable[[str, int, int], None]


class SqlMove:
    """Moves the tables of `source` into `target`; both have the schema of this version already.

    `migration_id` tells this migration from any other. InvalidInput when the target holds what is not its own.
    """

    def __init__(self, source: Engine, target: Engine, migration_id: str, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._source = source
        self._target = target
        self._id = migration_id
        self._rows_at_once = rows_at_once

    def counts(self) -> dict[str, int]:
        """Rows of each table of the source; one of an earlier version has fewer tables."""
        with reading(self._source) as connection:
            there = set(inspect(connection).get_table_names())
            return {t.name: _count(connection, t) for t in METADATA.sorted_tables if t.name in there}

    def check_target(self) -> None:
        """InvalidInput when the target is neither empty nor this migration's own."""
        with reading(self._target) as connection:
            if inspect(connection).has_table(_MOVED.name):
                others = set(connection.execute(select(_MOVED.c.migration_id)).scalars()) - {self._id}
                if others:
                    remedy = "end that one, or give an empty database"
                    raise InvalidInput([FieldError("--to", f"the database is of migration {others.pop()}", remedy)])
                return
            # One without a schema is empty.
            there = set(inspect(connection).get_table_names())
            full = [t.name for t in METADATA.sorted_tables if t.name in there and _count(connection, t)]
        if full:
            remedy = "give an empty database: what is there would be mixed with what comes"
            raise InvalidInput([FieldError("--to", f"the database holds rows in {', '.join(full[:6])}", remedy)])

    def run(self, progress: Progress = lambda what, done, of: None) -> dict[str, tuple[Sum, Sum]]:
        """Move all that is not there yet; then (source, target) of each table. BackendUnavailable on trouble."""
        self.check_target()
        with writing(self._target) as connection:
            _MOVED.create(connection, checkfirst=True)
        with self._held() as source:
            for table in METADATA.sorted_tables:
                self._move(source, table, progress)
            self._move_sequences(source)
            return {table.name: (checksum_of(source, table), self._there(table)) for table in METADATA.sorted_tables}

    def forget(self) -> None:
        """Remove how far it was: from now on the target is a store like any other."""
        with writing(self._target) as connection:
            _MOVED.drop(connection, checkfirst=True)

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        """The source as it is now; nobody writes to a SQLite file meanwhile."""
        held = writing(self._source) if self._source.dialect.name == "sqlite" else reading(self._source)
        with held as connection:
            yield connection

    def _move(self, source: Connection, table: Table, progress: Progress) -> None:
        with reading(self._target) as connection:
            mark = connection.execute(select(_MOVED).where(_MOVED.c.what == table.name)).first()
        if mark is not None and mark.whole:
            return
        last_key: list[Any] = json.loads(mark.last_key) if mark is not None else []
        moved, of = (mark.rows if mark is not None else 0), _count(source, table)
        while rows := _portion(source, table, last_key, self._rows_at_once):
            last_key = [_plain(rows[-1][column.name]) for column in _key(table)]
            moved += len(rows)
            self._put(table, rows, last_key, moved, whole=False)
            progress(table.name, moved, of)
        self._put(table, [], last_key, moved, whole=True)

    def _put(self, table: Table, rows: list[dict[str, Any]], last_key: list[Any], moved: int, *, whole: bool) -> None:
        own = _MOVED.c.what == table.name
        mark = {"migration_id": self._id, "last_key": json.dumps(last_key), "rows": moved, "whole": int(whole)}
        try:
            with writing(self._target) as connection:
                if rows:
                    connection.execute(insert(table), rows)
                if not connection.execute(update(_MOVED).where(own).values(mark)).rowcount:
                    connection.execute(insert(_MOVED).values(what=table.name, **mark))
        except (BackendUnavailable, Conflict) as error:
            raise BackendUnavailable(
                f"rows of {table.name} cannot be written ({error}): look after that, then migrate again"
            ) from error

    def _move_sequences(self, source: Connection) -> None:
        """Numbers that were given once are not given again, also where their rows are gone."""
        for table, column in _numbered():
            newest = _newest_number(source, table, column)
            with writing(self._target) as connection:
                _continue_after(connection, table, column, newest)

    def _there(self, table: Table) -> Sum:
        with reading(self._target) as connection:
            return checksum_of(connection, table)


def checksum_of(connection: Connection, table: Table) -> Sum:
    """Count and checksum of a table, the same on any engine."""
    checksum = Checksum()
    rows = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE).execute(select(table))
    for portion in rows.partitions():
        checksum.add(msgspec.msgpack.encode([_plain(value) for value in row]) for row in portion)
    return checksum.sum()


def _key(table: Table) -> list[Column[Any]]:
    """What a table is read in the order of."""
    together = [table.c[name] for name in (_TOGETHER.get(table.name),) if name is not None]
    return [*together, *table.primary_key]


def _portion(source: Connection, table: Table, last_key: Sequence[Any], limit: int) -> list[dict[str, Any]]:
    """The next rows in the order of their key; of rows that belong together all or none."""
    key = _key(table)
    statement = select(table).order_by(*key).limit(limit)
    if last_key:
        after = [bytes.fromhex(part["hex"]) if isinstance(part, dict) else part for part in last_key]
        statement = statement.where(tuple_(*key) > tuple_(*after))
    rows = [dict(row) for row in source.execute(statement).mappings()]
    group = _TOGETHER.get(table.name)
    if group is None or len(rows) < limit:
        return rows
    whole = [row for row in rows if row[group] != rows[-1][group]]
    return whole or _portion(source, table, last_key, 2 * limit)


def _plain(value: Any) -> Any:
    """A value as JSON and msgpack both take it, whichever driver brought it."""
    if isinstance(value, (bytes, memoryview)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, bool):
        return int(value)
    return value


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _numbered() -> Iterator[tuple[Table, Column[Any]]]:
    """Tables whose rows the engine numbers."""
    for table in METADATA.sorted_tables:
        column = table.autoincrement_column
        if column is not None and column.autoincrement is not False and not column.foreign_keys:
            yield table, column


def _newest_number(connection: Connection, table: Table, column: Column[Any]) -> int:
    """The newest number that was ever given; 0 when none was."""
    there = int(connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one())
    if connection.dialect.name == "sqlite":
        given = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        return max(there, given.scalar() or 0)
    sequence = _sequence(connection, table, column)
    if sequence is None:
        return there
    newest = connection.execute(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"))
    return max(there, int(newest.scalar_one()))


def _continue_after(connection: Connection, table: Table, column: Column[Any], newest: int) -> None:
    if not newest:
        return
    if connection.dialect.name == "sqlite":
        given = {"name": table.name, "seq": newest}
        if not connection.execute(text("UPDATE sqlite_sequence SET seq = :seq WHERE name = :name"), given).rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), given)
    elif (sequence := _sequence(connection, table, column)) is not None:
        connection.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :newest)"), {"sequence": sequence, "newest": newest}
        )


def _sequence(connection: Connection, table: Table, column: Column[Any]) -> str | None:
    found: str | None = connection.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
    ).scalar()
    return found
