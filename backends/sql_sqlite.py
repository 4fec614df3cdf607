"""What is SQLite's own? A file in WAL mode, every commit synced, and writers that stand in line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, RootTransaction, create_engine, event

from common.errors import BackendUnavailable

BUSY_TIMEOUT_MS = 10_000

# Who writes next, by engine.
_LINES: WeakKeyDictionary[Engine, Any] = WeakKeyDictionary()
_LINES_LOCK = threading.Lock()
_SYNCED: ContextVar[bool] = ContextVar("synced", default=True)
_READS_ONLY: ContextVar[bool] = ContextVar("reads_only", default=False)


def make_engine(url: URL) -> Engine:
    """An engine over a file; ValueError for a database in memory."""
    if url.database in (None, "", ":memory:"):
        # Each connection would see a database of its own.
        shown = url.render_as_string(hide_password=True)
        raise ValueError(f"SQLite needs a file, {shown!r} names none; an example is sqlite:///var/haat.sqlite")
    _make_parent(Path(url.database))
    engine = create_engine(url, pool_size=8, max_overflow=16)
    event.listen(engine, "connect", _set_up)
    # And no listener to the event "begin": where an engine has one, every statement looks for those of its own.
    engine.dialect.do_begin = _begin  # type: ignore[method-assign]
    return engine


@contextmanager
def unsynced() -> Iterator[None]:
    """Connections that are opened within wait for no disk: for a folder that is worth nothing until it is whole, and is
    made again when the machine dies before.
    """
    before = _SYNCED.set(False)
    try:
        yield
    finally:
        _SYNCED.reset(before)


@contextmanager
def turn(engine: Engine) -> Iterator[None]:
    """SQLite takes one writer at a time, and makes others look again and again whether it is theirs: the threads of one
    process stand in line instead, as long as SQLite itself would have had them wait.
    """
    with _LINES_LOCK:
        line = _LINES.setdefault(engine, threading.RLock())
    came = line.acquire(timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        yield
    finally:
        if came:
            line.release()


def begin_reading(connection: Connection) -> RootTransaction:
    """Begin a transaction that takes no lock."""
    before = _READS_ONLY.set(True)
    try:
        return connection.begin()
    finally:
        _READS_ONLY.reset(before)


def _make_parent(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendUnavailable(f"the folder of the database cannot be made: {error}") from error


def _set_up(connection: Any, _record: object) -> None:
    # The driver would begin transactions too late and leave schema changes outside of them: SQLAlchemy begins them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA synchronous = {'FULL' if _SYNCED.get() else 'OFF'}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(dbapi_connection: PoolProxiedConnection) -> None:
    # A writer takes the lock first: one that read before would fail as soon as somebody else wrote meanwhile.
    dbapi_connection.cursor().execute("BEGIN" if _READS_ONLY.get() else "BEGIN IMMEDIATE")
