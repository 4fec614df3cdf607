from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from backends.sql_tables_social import SOCIAL_TABLES
from tests.databases import open_database


def test_a_store_of_before_gets_the_social_tables_and_the_index_of_creators(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.begin() as connection:
        for table in SOCIAL_TABLES:
            table.drop(connection)
        connection.execute(sa.text("DROP INDEX ix_posts_creator"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0006_pacing'"))
    engine.dispose()

    for _ in range(2):
        engine = open_database(tmp_path)
        inspector = sa.inspect(engine)
        assert {table.name for table in SOCIAL_TABLES} <= set(inspector.get_table_names())
        assert "ix_posts_creator" in {index["name"] for index in inspector.get_indexes("posts")}
        engine.dispose()
