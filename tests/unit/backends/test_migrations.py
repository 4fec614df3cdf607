"""Does every migration go up and down, on every database, and come to the schema that a fresh store has?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, inspect, text

from backends.sql import engine_of, migrations, open_engine
from tests.databases import database_url, open_database

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]

STEPS = [script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions()][::-1]


def schema(engine: Engine) -> dict[str, Any]:
    """What can be seen of every table, and the triggers."""
    inspector = inspect(engine)
    names = sorted(set(inspector.get_table_names()) - {"alembic_version"})
    found: dict[str, Any] = {}
    for name in names:
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)}
        indexes = sorted((i["name"] or "", tuple(i["column_names"]), i["unique"]) for i in inspector.get_indexes(name))
        keys = sorted(tuple(k["constrained_columns"]) for k in inspector.get_foreign_keys(name))
        unique = sorted(tuple(u["column_names"]) for u in inspector.get_unique_constraints(name))
        checks = sorted(c["name"] or "" for c in inspector.get_check_constraints(name))
        primary = tuple(inspector.get_pk_constraint(name)["constrained_columns"])
        found[name] = columns, indexes, keys, unique, checks, primary
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[engine.dialect.name]
    with engine.connect() as connection:
        found["triggers"] = sorted(connection.execute(text(query)).scalars())
    return found


def step(engine: Engine, how: Any, revision: str) -> str | None:
    config = migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        how(config, revision)
        return MigrationContext.configure(connection).get_current_revision()


def test_each_step_goes_down_and_up_again_and_ends_where_a_fresh_store_is(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    fresh = schema(engine)

    for before in [*STEPS[-2::-1], None]:
        assert step(engine, command.downgrade, before or "base") == before
    assert set(schema(engine)) == {"triggers"}
    for after in STEPS:
        assert step(engine, command.upgrade, after) == after

    assert schema(engine) == fresh
    engine.dispose()


@pytest.mark.parametrize("before", [*STEPS[:-1]])
def test_a_store_of_any_version_is_opened_and_brought_to_this_one(tmp_path: Path, before: str) -> None:
    engine = open_database(tmp_path)
    fresh = schema(engine)
    step(engine, command.downgrade, before)
    engine.dispose()

    engine = open_engine(database_url(tmp_path))

    assert schema(engine) == fresh
    engine.dispose()


def test_what_nobody_could_write_again_is_not_dropped(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO balance_transactions (kind, tenant_id, idempotency_key, at_ms, month, reference) "
                "VALUES ('payment', 't', 'k', 1, 202603, '')"
            )
        )

    with pytest.raises(CommandError, match="balance_transactions holds rows"):
        step(engine, command.downgrade, "base")

    engine.dispose()
    # All steps were one transaction: nothing is gone.
    engine = engine_of(database_url(tmp_path))
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == STEPS[-1]
        assert connection.execute(text("SELECT count(*) FROM balance_transactions")).scalar_one() == 1
    engine.dispose()
