"""How is the SQL store? Reachable, which version, which schema, and whether its clock is ours. Nothing is changed."""

from __future__ import annotations

import time

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from backends import probing
from backends.probing import Finding
from backends.sql import engine_of, migrations, reading
from backends.sql_postgresql import PostgresOptions
from common.errors import BackendUnavailable

_LEAST_VERSION = 140_000


def probe(url: str, options: PostgresOptions) -> list[Finding]:
    """Look at the database of a URL; a sentence of what is wrong where something is."""
    engine = engine_of(url, options)
    name = "PostgreSQL" if engine.dialect.name == "postgresql" else "SQLite"
    try:
        with reading(engine) as connection:
            found = _postgresql(connection, options) if name == "PostgreSQL" else _sqlite(connection)
            return [*found, _schema(connection)]
    except BackendUnavailable as error:
        where = engine.url.render_as_string(hide_password=True)
        return [Finding(name, "missing", str(error), f"start it, or set database_url (now {where})")]
    finally:
        engine.dispose()


def _sqlite(connection: Connection) -> list[Finding]:
    version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
    return [Finding("SQLite", "ok", f"version {version}")]


def _postgresql(connection: Connection, options: PostgresOptions) -> list[Finding]:
    begun_s = time.time()
    row = connection.execute(
        text(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
            "extract(epoch FROM clock_timestamp())::float8, current_setting('max_connections')::int, "
            "(SELECT count(*) FROM pg_stat_activity), has_schema_privilege('public', 'CREATE'), pg_is_in_recovery()"
        )
    ).one()
    version, number, their_s, most, used, may_create, in_recovery = row
    found = [Finding("PostgreSQL", "ok", f"version {version}, {used} of {most} connections are used")]
    if number < _LEAST_VERSION:
        found.append(Finding("PostgreSQL", "missing", f"version {version} is too old", "upgrade it to 14 or newer"))
    if in_recovery:
        found.append(Finding("PostgreSQL", "missing", "this is a standby, it takes no writes", "name the primary"))
    if not may_create:
        grant = "GRANT CREATE ON SCHEMA public TO the role of database_url"
        found.append(Finding("PostgreSQL", "missing", "the role may make no tables", grant))
    if options.pool > most - used:
        remedy = "raise max_connections, or lower database_pool"
        found.append(Finding("PostgreSQL", "note", f"database_pool {options.pool} does not fit any more", remedy))
    return [*found, probing.clock("PostgreSQL", float(their_s), (begun_s + time.time()) / 2)]


def _schema(connection: Connection) -> Finding:
    current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(migrations())
    if current == script.get_current_head():
        return Finding("schema", "ok", f"revision {current}")
    if current is None:
        return Finding("schema", "note", "there is none yet", "the next command of haat that writes makes it")
    if current not in {one.revision for one in script.walk_revisions()}:
        return Finding("schema", "missing", f"revision {current} is of a newer haat", "run that version of haat")
    return Finding("schema", "note", f"revision {current} is behind", "the next start of haat brings it up to date")
