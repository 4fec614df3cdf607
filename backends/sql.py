"""How is the SQL store opened, read and written? One way for SQLite and PostgreSQL; what is theirs is beside this."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, Insert, Table, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from backends import sql_postgresql, sql_sqlite
from backends.sql_postgresql import PostgresOptions
from common.errors import BackendUnavailable, Conflict, FieldError, InvalidInput

# Numbers in an IN list; SQLite took 999 variables a statement until 3.32.
IN_CHUNK = 900

_MIGRATIONS = Path(__file__).parent / "migrations"

T = TypeVar("T")


def sqlite_url(data_dir: Path) -> str:
    """The URL of the embedded store in a data directory."""
    return URL.create("sqlite", database=str(data_dir / "haat.sqlite")).render_as_string(hide_password=False)


def open_engine(url: str, options: PostgresOptions | None = None) -> Engine:
    """Open the store and bring its schema to this version; BackendUnavailable when it cannot be opened.

    SQLite is kept in a file, in WAL mode, with every commit synced to disk: what was answered is never lost.
    `options` are those of PostgreSQL. Dispose of the engine to close it.
    """
    engine = engine_of(url, options)
    try:
        _upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def engine_of(url: str, options: PostgresOptions | None = None) -> Engine:
    """The engine of a URL as it is, whatever its schema; ValueError for a URL of another engine."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The URL itself is not repeated: it may hold a password.
        raise ValueError("not a database URL; an example is sqlite:///var/haat.sqlite") from None
    if parsed.get_backend_name() == "sqlite":
        return sql_sqlite.make_engine(parsed)
    if parsed.get_backend_name() == "postgresql":
        return sql_postgresql.make_engine(parsed, options or PostgresOptions())
    raise ValueError(f"no engine of {parsed.get_backend_name()!r}: the SQL store is kept in SQLite or in PostgreSQL")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it or nothing. On SQLite it waits for its turn before it reads anything."""
    turn = sql_sqlite.turn(engine) if engine.dialect.name == "sqlite" else nullcontext()
    with turn, _translated(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads and sees one state throughout, whatever is written meanwhile."""
    dialect = sql_sqlite if engine.dialect.name == "sqlite" else sql_postgresql
    with _translated(), engine.connect() as connection, dialect.begin_reading(connection):
        yield connection


def in_turn(connection: Connection, *names: str) -> None:
    """Until the caller's transaction ends, nobody else is in the turn of these names, on any node.

    What is read after it stays so: for what is read before it is written, where there may be no row to lock yet.
    """
    if connection.dialect.name != "sqlite":
        sql_postgresql.wait_for_turn(connection, "\0".join(names))


def insert_once(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless there is one with its key; False when there is. Waits for writers of the same key."""
    return connection.execute(_once(table, connection.dialect.name), row).rowcount == 1


@cache
def _once(table: Table, engine: str) -> Insert:
    dialect = postgresql if engine == "postgresql" else sqlite
    # How many rows an INSERT made is forgotten on PostgreSQL unless it is asked for.
    once: Insert = dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return once


def chunks(values: Iterable[T], size: int = IN_CHUNK) -> Iterator[Sequence[T]]:
    """The values in lists short enough for one IN (…)."""
    listed = list(values)
    for at in range(0, len(listed), size):
        yield listed[at : at + size]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"the SQL store already holds this, or it changed meanwhile: {_first_line(error)}") from error
    except DataError as error:
        # SQLite keeps them; on PostgreSQL a number has its range and a text has no NUL.
        remedy = "give numbers within their range, and texts without control characters"
        raise InvalidInput([FieldError("request", _first_line(error)[:200], remedy)]) from error
    except DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code in sql_postgresql.OTHERS_WERE_FASTER:
            raise Conflict(f"others wrote the same at this moment, try again: {_first_line(error)}") from error
        if code in sql_postgresql.FULL or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise BackendUnavailable(
                f"the SQL store's disk is full, nothing is written until there is room: {_first_line(error)}"
            ) from error
        if code in sql_postgresql.READ_ONLY:
            remedy = "it is a standby or was closed to writers: let database_url name the primary"
            raise BackendUnavailable(f"the SQL store takes no writes, {remedy}: {_first_line(error)}") from error
        if code in sql_postgresql.BUSY:
            raise BackendUnavailable(f"the SQL store is busy, try again: {_first_line(error)}") from error
        raise BackendUnavailable(
            f"the SQL store does not answer, `haat doctor` tells more: {_first_line(error)}"
        ) from error
    except PoolTimeoutError as error:
        raise BackendUnavailable("the SQL store is busy: no connection came free in time") from error


def _first_line(error: DBAPIError) -> str:
    # The driver's words alone: SQLAlchemy's own text would quote the statement with its values.
    return str(error.orig).split("\n", 1)[0]


def _upgrade(engine: Engine) -> None:
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                # Nodes that start together come one after the other, and a large table may take its time.
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                in_turn(connection, "schema")
            if MigrationContext.configure(connection).get_current_revision() != _newest_revision():
                config = migrations()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except DBAPIError as error:
        raise BackendUnavailable(f"the SQL store {shown} cannot be opened: {_first_line(error)}") from error
    except CommandError as error:
        remedy = "it was written by a newer haat: run that version"
        raise BackendUnavailable(f"the SQL store {shown} has another schema ({error}); {remedy}") from error


@cache
def _newest_revision() -> str | None:
    # All files of migrations are read for it, which takes longer than the rest of opening a store.
    return ScriptDirectory.from_config(migrations()).get_current_head()


def migrations() -> Config:
    """Alembic's configuration; its attribute `connection` is what migrations run on."""
    # Here and not above: the backends that hold the tables use this module.
    from backends import sql_schema

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["metadata"] = sql_schema.METADATA
    return config
