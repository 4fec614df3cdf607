"""Which database do the settings mean? PostgreSQL where they name one, else SQLite in the data folder."""

from __future__ import annotations

from sqlalchemy import Engine

from app.engine_access import database_url_of
from app.settings import Settings
from backends.sql import open_engine, sqlite_url
from backends.sql_postgresql import PostgresOptions


def open_database(settings: Settings) -> Engine:
    """Open it and bring its schema to this version; BackendUnavailable with a sentence when it does not answer."""
    return open_engine(database_url_of(settings) or sqlite_url(settings.data_dir), postgres_options(settings))


def postgres_options(settings: Settings) -> PostgresOptions:
    """How many connections, and how long anything may take."""
    return PostgresOptions(
        pool=settings.database_pool,
        connect_timeout_s=settings.database_connect_timeout_s,
        statement_timeout_ms=settings.database_statement_timeout_ms,
        lock_timeout_ms=settings.database_lock_timeout_ms,
    )
