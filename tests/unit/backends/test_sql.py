from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from backends import sql_schema
from backends.sql import engine_of, open_engine, reading, sqlite_url, writing
from backends.sql_schema import METADATA
from backends.sql_sqlite import unsynced
from common.errors import BackendUnavailable, Conflict
from tests.campaign_stores import CampaignWorld, campaign_world
from tests.databases import empty_database, open_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(sqlite_url(tmp_path))
    with writing(opened) as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
    yield opened
    opened.dispose()


def test_a_fresh_store_has_every_table_and_its_version(tmp_path: Path) -> None:
    for _ in range(2):
        engine = open_engine(sqlite_url(tmp_path / "deep" / "er"))
        assert set(inspect(engine).get_table_names()) == {*METADATA.tables, "alembic_version"}
        engine.dispose()


def test_creatives_of_before_native_ads_and_videos_stay_readable(tmp_path: Path) -> None:
    with campaign_world(tmp_path) as world:
        video: dict[str, Any] = {"format": 3, "video_url": "https://chairs.example/7.mp4", "duration_s": 15}
        advertiser = world.an_advertiser()
        before = [world.a_creative(advertiser), world.a_creative(advertiser, **video)]
        with writing(world.engine) as connection:
            for column in (
                *("attributes", "language", "app_bundle", "mime", "protocol", "skippable", "body", "call_to_action"),
                *("icon_url", "media_files"),
            ):
                connection.execute(text(f"ALTER TABLE creatives DROP COLUMN {column}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    with campaign_world(tmp_path) as world, world.store.reading() as unit:
        tenant_id = tenant_of(world, before[0].creative_id)
        assert [unit.creative(tenant_id, creative.creative_id) for creative in before] == before


def tenant_of(world: CampaignWorld, creative_id: str) -> str:
    with reading(world.engine) as connection:
        found = connection.execute(
            text("SELECT tenant_id FROM creatives WHERE creative_id = :id"), {"id": creative_id}
        ).scalar_one()
    return str(found)


def test_no_file_of_tables_was_forgotten() -> None:
    files = {f"backends.{file.stem}" for file in Path(sql_schema.__file__).parent.glob("sql_tables_*.py")}

    assert {module.__name__ for module in sql_schema.TABLE_MODULES} == files


def test_every_commit_is_synced_and_references_hold(engine: Engine) -> None:
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_an_exception_undoes_even_what_changes_the_schema(engine: Engine) -> None:
    def break_down() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO numbers VALUES (1)"))
            connection.execute(text("CREATE TABLE more (number INTEGER)"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_down()

    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM numbers")).scalar() == 0
    assert not inspect(engine).has_table("more")


def test_writers_at_once_wait_for_each_other(engine: Engine) -> None:
    def add_one() -> None:
        for _ in range(10):
            with writing(engine) as connection:
                newest = connection.execute(text("SELECT coalesce(max(number), 0) FROM numbers")).scalar_one()
                connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": newest + 1})

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*), max(number) FROM numbers")).one() == (40, 40)


def test_a_reader_waits_for_no_writer_and_sees_one_state_throughout(engine: Engine) -> None:
    count = text("SELECT count(*) FROM numbers")
    with reading(engine) as before:
        assert before.execute(count).scalar() == 0
        with writing(engine) as writes:
            writes.execute(text("INSERT INTO numbers VALUES (1)"))
            with reading(engine) as meanwhile:
                assert meanwhile.execute(count).scalar() == 0
        assert before.execute(count).scalar() == 0
    with reading(engine) as after:
        assert after.execute(count).scalar() == 1


def test_a_writer_takes_its_turn_before_it_reads_and_is_told_when_there_is_none(tmp_path: Path, engine: Engine) -> None:
    with reading(engine) as connection:
        connection.execute(text("PRAGMA busy_timeout = 0"))
    other = sqlite3.connect(tmp_path / "haat.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(BackendUnavailable, match="locked"), writing(engine):
        raise AssertionError("it began without its turn")

    other.execute("ROLLBACK")
    other.close()
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))


def test_trouble_is_told_in_our_own_words(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))
    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))
    with pytest.raises(BackendUnavailable, match="no such table"), reading(engine) as connection:
        connection.execute(text("SELECT 1 FROM nowhere"))


@pytest.mark.on_every_database
def test_a_full_disk_is_named_undoes_the_whole_and_is_over_when_there_is_room(tmp_path: Path, database: str) -> None:
    engine = open_database(tmp_path)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE notes (note TEXT NOT NULL)"))
    if database == "sqlite":
        # Each connection has a bound of its own, and one that idles is taken again.
        pages = "PRAGMA max_page_count = {}"
        with reading(engine) as connection:
            used = int(connection.execute(text("PRAGMA page_count")).scalar_one())
        full, room = pages.format(used), pages.format(1_000_000_000)
    else:
        full = (
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$; "
            "CREATE TRIGGER no_room BEFORE INSERT ON notes FOR EACH ROW WHEN (length(NEW.note) > 9) "
            "EXECUTE FUNCTION no_room()"
        )
        room = "DROP TRIGGER no_room ON notes; DROP FUNCTION no_room"
    with writing(engine) as connection:
        connection.exec_driver_sql(full)

    def write(*notes: str) -> None:
        with writing(engine) as connection:
            for note in notes:
                connection.execute(text("INSERT INTO notes VALUES (:note)"), {"note": note})

    with pytest.raises(BackendUnavailable, match="disk is full"):
        write("short", "x" * 1_000_000)

    with writing(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar_one() == 0
        connection.exec_driver_sql(room)
    write("x" * 1_000_000)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar_one() == 1
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE notes"))
    engine.dispose()


@pytest.mark.services
def test_a_database_that_takes_no_writes_is_named_and_still_read(postgresql_url: str) -> None:
    with empty_database() as url:
        first = open_engine(url)
        name = first.url.database
        with writing(first) as connection:
            # As a standby that an address leads to after a failover.
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        first.dispose()
        engine = engine_of(url)

        with pytest.raises(BackendUnavailable, match=r"takes no writes.*primary"), writing(engine) as connection:
            connection.execute(text("DELETE FROM outbox"))
        with reading(engine) as connection:
            assert connection.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 0
        engine.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "", "no url"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///var/haat\.sqlite"):
        open_engine(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "haat.sqlite").write_bytes(b"this is no database at all" * 100)

    with pytest.raises(BackendUnavailable, match="not a database"):
        open_engine(sqlite_url(tmp_path))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(BackendUnavailable):
        open_engine(sqlite_url(tmp_path / "file"))


def test_a_store_of_a_newer_haat_is_refused(tmp_path: Path) -> None:
    open_engine(sqlite_url(tmp_path)).dispose()
    with sqlite3.connect(tmp_path / "haat.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(BackendUnavailable, match="newer haat"):
        open_engine(sqlite_url(tmp_path))


def test_another_engine_is_refused_and_its_password_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in SQLite or in PostgreSQL") as refused:
        open_engine("nosuchengine://haat:hunter2@host/haat")

    assert "hunter2" not in str(refused.value)


def test_every_commit_waits_for_the_disk_but_where_it_was_said_otherwise(tmp_path: Path) -> None:
    def synchronous(name: str) -> int:
        engine = open_engine(sqlite_url(tmp_path / name))
        try:
            with reading(engine) as connection:
                return int(connection.execute(text("PRAGMA synchronous")).scalar_one())
        finally:
            engine.dispose()

    with unsynced():
        within = synchronous("within")

    assert (within, synchronous("after")) == (0, 2)
