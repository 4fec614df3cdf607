from __future__ import annotations

from pathlib import Path

from sqlalchemy import Table, create_engine, inspect, text

from backends import sql_tables_money
from backends.sql import sqlite_url
from backends.sql_schema import METADATA
from backends.sql_tables_money import BALANCE_POSTINGS
from tests.databases import open_database


def test_a_store_of_before_gets_the_tables_of_money_and_keeps_what_it_holds(tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    before = create_engine(sqlite_url(tmp_path))
    money = {table.name for table in vars(sql_tables_money).values() if isinstance(table, Table)}
    assert BALANCE_POSTINGS.name in money
    with before.begin() as connection:
        connection.execute(text("INSERT INTO tenants (tenant_id, name, created_at_ms) VALUES ('t', 'old', 1)"))
        for name in money:
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    before.dispose()

    after = open_database(tmp_path)

    with after.connect() as connection:
        assert set(METADATA.tables) <= set(inspect(connection).get_table_names())
        assert connection.execute(text("SELECT name FROM tenants")).scalar_one() == "old"
        triggers = connection.execute(text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")).scalar_one()
    assert triggers >= 10
    after.dispose()
