"""Does a store of before get the tables of moderation, and a trail that only grows?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

import backends
from tests.databases import open_database

_FILE = Path(backends.__file__).parent / "migrations" / "versions" / "0011_moderation.py"
_BEFORE = re.findall(r'down_revision = "(.+)"', _FILE.read_text())[0]
_TABLES = (
    "moderation_cases", "moderation_reports", "moderation_trail", "reputation_events", "reputation_records",
    "reputation_edges", "creator_tiers",
)  # fmt: skip


def test_a_store_of_before_gets_the_tables_of_moderation(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.begin() as connection:
        for table in _TABLES:
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{_BEFORE}'"))
    engine.dispose()

    engine = open_database(tmp_path)

    with engine.begin() as connection:
        for table in _TABLES:
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        connection.execute(
            text("INSERT INTO moderation_trail VALUES ('t', 1, 'c', 1, 'ann', 'decided', '', '{}', '', '', 'd')")
        )
    with pytest.raises(Exception, match="only grows"), engine.begin() as connection:
        connection.execute(text("DELETE FROM moderation_trail"))
    engine.dispose()
