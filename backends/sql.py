"""How is the SQL store opened, read and written? One engine for SQLite and any other URL that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import BackendUnavailable, Conflict

BUSY_TIMEOUT_MS = 10_000
# Numbers in an IN list; SQLite took 999 variables a statement until 3.32.
IN_CHUNK = 900

_MIGRATIONS = Path(__file__).parent / "migrations"
_READING = "haat_reading"

T = TypeVar("T")


def sqlite_url(data_dir: Path) -> str:
    """The URL of the embedded store in a data directory."""
    return URL.create("sqlite", database=str(data_dir / "haat.sqlite")).render_as_string(hide_password=False)


def open_engine(url: str) -> Engine:
    """Open the store and bring its schema to this version; BackendUnavailable when it cannot be opened.

    SQLite is kept in a file, in WAL mode, with every commit synced to disk: what was answered is never lost. Dispose
    of the engine to close it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"not a database URL: {url!r}; an example is sqlite:///var/haat.sqlite") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            # Each connection would see a database of its own.
            raise ValueError(f"SQLite needs a file, {shown!r} names none; an example is sqlite:///var/haat.sqlite")
        _make_parent(Path(parsed.database))
    try:
        engine = create_engine(parsed, pool_size=8, max_overflow=16)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise BackendUnavailable(f"the driver for {shown} is not installed: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _upgrade(engine, shown)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it or nothing. On SQLite it waits for its turn before it reads anything."""
    with _translated(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads and sees one state throughout, whatever is written meanwhile."""
    with _translated(), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection = connection.execution_options(**{_READING: True})
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


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
    except DBAPIError as error:
        raise BackendUnavailable(f"the SQL store does not answer: {_first_line(error)}") from error
    except PoolTimeoutError as error:
        raise BackendUnavailable("the SQL store is busy: no connection came free in time") from error


def _first_line(error: DBAPIError) -> str:
    # The driver's words alone: SQLAlchemy's own text would quote the statement with its values.
    return str(error.orig).split("\n", 1)[0]


def _make_parent(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendUnavailable(f"the folder of the database cannot be made: {error}") from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions too late and leave schema changes outside of them: SQLAlchemy begins them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock first: one that read before would fail as soon as somebody else wrote meanwhile.
    reads_only = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _upgrade(engine: Engine, shown: str) -> None:
    # Here and not above: the backends that hold the tables use this module.
    from backends import sql_schema

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["metadata"] = sql_schema.METADATA
    newest = ScriptDirectory.from_config(config).get_current_head()
    try:
        with engine.begin() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current != newest:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except DBAPIError as error:
        raise BackendUnavailable(f"the SQL store {shown} cannot be opened: {_first_line(error)}") from error
    except CommandError as error:
        remedy = "it was written by a newer haat: run that version"
        raise BackendUnavailable(f"the SQL store {shown} has another schema ({error}); {remedy}") from error
