"""A SQL store for a test: SQLite in its folder, or a database of its own on PostgreSQL."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import Engine, make_url

from backends.sql import open_engine, sqlite_url
from backends.sql_postgresql import PostgresOptions
from backends.sql_schema import METADATA
from backends.sql_tables_money import ONCE_WRITTEN
from tests.services.engines import address_of

# A test opens many stores and none for long.
_FEW = PostgresOptions(pool=8)

# Two for each table that is written once, and one that sums postings up: a test may have dropped some.
_RULES = 2 * (len(ONCE_WRITTEN) + 1) + 1

_kind = "sqlite"
_made: dict[Path, str] = {}
# Databases of tests that are over, empty and with the schema of this version: making one takes much longer than a test.
_idle: list[str] = []
_number = count()


def database_url(folder: Path) -> str:
    """The URL of the folder's store; the same folder has the same store until the test ends."""
    if _kind == "sqlite":
        return sqlite_url(folder)
    folder = folder.resolve()
    if folder not in _made:
        _made[folder] = _idle.pop() if _idle else _copy_of(_template())
    return _made[folder]


def open_database(folder: Path) -> Engine:
    """The folder's store with its schema."""
    return open_engine(database_url(folder), _FEW)


@contextmanager
def of_kind(kind: str) -> Iterator[None]:
    """All stores that are opened meanwhile are of this kind, and empty or gone at the end."""
    global _kind
    _kind = kind
    try:
        yield
    finally:
        _kind = "sqlite"
        while _made:
            _, url = _made.popitem()
            if _emptied(url):
                _idle.append(url)
            else:
                drop(url)


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of a PostgreSQL database without a schema; gone at the end."""
    url = _copy_of("template0")
    try:
        yield url
    finally:
        drop(url)


def drop(url: str) -> None:
    """Drop a database of a test, whoever is connected."""
    with _at_server() as connection:
        connection.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", _database_of(url)))


@cache
def _template() -> str:
    """A database with the schema, which is copied for tests; gone, as all are, when the tests end."""
    url = _copy_of("template0")
    open_engine(url, _FEW).dispose()
    atexit.register(_drop_all, url)
    return _database_of(url)


def _drop_all(template: str) -> None:
    for url in (*_idle, template):
        drop(url)


def _copy_of(template: str) -> str:
    name = f"test_{os.getpid()}_{next(_number)}"
    with _at_server() as connection:
        connection.execute(_named("CREATE DATABASE {} TEMPLATE {}", name, template))
        # What a test wrote need not survive a power failure.
        connection.execute(_named("ALTER DATABASE {} SET synchronous_commit = off", name))
    return make_url(address_of("postgresql")).set(database=name).render_as_string(hide_password=False)


def _emptied(url: str) -> bool:
    """Empty all tables and begin all numbers anew; False when its tables are no longer those of the template."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rules = connection.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").fetchone()
        if {name for (name,) in found} != {*METADATA.tables, "alembic_version"} or rules != (_RULES,):
            return False
        # Neither rules nor references stand in the way of the one who cleans up.
        connection.execute("SET session_replication_role = replica")
        full = [
            sql.SQL("SELECT {} WHERE EXISTS (SELECT 1 FROM {})").format(sql.Literal(name), sql.Identifier(name))
            for name in METADATA.tables
        ]
        for (name,) in connection.execute(sql.SQL(" UNION ALL ").join(full)).fetchall():
            connection.execute(_named("DELETE FROM {}", name))
        used = connection.execute("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL").fetchall()
        for (name,) in used:
            connection.execute(_named("ALTER SEQUENCE {} RESTART", name))
    return True


def _at_server() -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(address_of("postgresql"), autocommit=True)


def _database_of(url: str) -> str:
    name = make_url(url).database
    assert name is not None
    return name


def _named(statement: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
