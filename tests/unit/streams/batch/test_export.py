from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backends.table_files_parquet import ParquetTableFiles, arrow_schema
from common.errors import BackendUnavailable, InvalidInput
from streams.batch.tables import BIDS, EXPORTED, PAGE_VIEWS, TABLES, TAKEN_NOTICES, BatchTable
from streams.erasures import digest_of
from streams.feed_events import PersonErased
from streams.schemas import encode
from streams.topics import ERASURES, FORWARDED_NOTICES, TOPICS
from tests.batch_logs import BEGIN_MS, HOUR_MS, BatchWorld, a_page, batch_world

pytestmark = pytest.mark.slow

DAY_MS = 24 * HOUR_MS


@pytest.fixture
def world(tmp_path: Path) -> Iterator[BatchWorld]:
    with batch_world(tmp_path) as made:
        yield made


def rows(world: BatchWorld, table: BatchTable, to: str = "export") -> list[dict[str, Any]]:
    found = [row for file in world.files(to).files(table) for row in pq.ParquetFile(file).read().to_pylist()]
    return sorted(found, key=lambda row: (row["record_offset"], str(row)))


def erase(world: BatchWorld, tenant: str, person: str, at_ms: int) -> None:
    event = PersonErased(erased_at_ms=at_ms, tenant_id=tenant, person_digest=digest_of(tenant, person))
    world.log.append(ERASURES.name, [encode(event)], at_ms)


def test_every_topic_of_record_becomes_a_table_with_a_schema_of_its_own() -> None:
    # What is on its way to another node is exported by that one, once it is there.
    assert {table.topic for table in EXPORTED} == set(TOPICS) - {ERASURES.name, FORWARDED_NOTICES.name}
    for table in TABLES.values():
        assert (table.topic == "") or table.tenant in [column.name for column in table.columns]
        if table.topic and not TOPICS[table.topic].personal_data:
            assert table.personal == ()


def test_files_lie_by_day_and_hold_the_schema_that_is_declared(world: BatchWorld) -> None:
    world.fill()
    world.export()

    files = world.files().files(BIDS)
    assert {Path(file).parent.name for file in files} == {"day=2026-03-05", "day=2026-03-06"}
    for file in files:
        assert pq.read_schema(file).equals(arrow_schema(BIDS), check_metadata=True)
        day = Path(file).parent.name.removeprefix("day=")
        assert {f"{row['at']:%Y-%m-%d}" for row in pq.ParquetFile(file).read().to_pylist()} == {day}


def test_exporting_again_adds_what_is_new_and_nothing_twice(world: BatchWorld) -> None:
    world.fill(2)
    first = world.export(rows_a_step=1)
    assert sum(topic.records for topic in world.export().topics) == 0
    world.fill(2)
    second = world.export(rows_a_step=50)
    world.export("at once")

    assert sum(topic.records for topic in first.topics) == sum(topic.records for topic in second.topics) > 0
    for table in EXPORTED:
        assert rows(world, table) == rows(world, table, "at once")


def test_what_a_stopped_export_left_is_not_seen_and_written_anew(
    world: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill()
    world.export("at once")
    steps = iter(range(3))
    saved = ParquetTableFiles.save

    def dies(files: ParquetTableFiles, exported: Any) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        saved(files, exported)

    monkeypatch.setattr(ParquetTableFiles, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        world.export(rows_a_step=1)
    unsaved = sum(len(rows(world, table)) for table in EXPORTED)
    monkeypatch.undo()
    resumed = world.export()

    assert 0 < unsaved < sum(len(rows(world, table)) for table in EXPORTED)
    assert resumed.discarded_files > 0
    for table in EXPORTED:
        assert rows(world, table) == rows(world, table, "at once")


def test_nothing_of_a_person_is_exported_unless_asked_and_agreed(world: BatchWorld) -> None:
    world.fill(1)
    world.export()
    world.export("personal", personal=True)

    for table in EXPORTED:
        assert all(row[name] == "" for row in rows(world, table) for name in table.personal)
    asked = rows(world, PAGE_VIEWS, "personal")
    # Every other page view's visitor agreed to be remembered.
    assert {bool(row["visitor_id"]) for row in asked if row["permissions"] & 1} == {True}
    assert {row["visitor_id"] + row["session_id"] for row in asked if not row["permissions"] & 1} == {""}
    assert {row["visitor_id"] for row in rows(world, TAKEN_NOTICES, "personal")} > {""} - {""}


def test_who_was_erased_is_in_no_file_any_more(world: BatchWorld) -> None:
    world.fill(2)
    world.export("personal", personal=True)
    before = {table.name: len(rows(world, table, "personal")) for table in EXPORTED}
    erase(world, "p0", "v1", BEGIN_MS + DAY_MS)
    world.append(a_page("v1", BEGIN_MS + 2 * DAY_MS), at_ms=BEGIN_MS + 2 * DAY_MS)

    done = world.export("personal", personal=True)
    world.export("later", personal=True)

    assert done.forgotten_files > 0
    for to in ("personal", "later"):
        held = [
            (table.name, row["at_ms"])
            for table in EXPORTED
            for row in rows(world, table, to)
            for name in table.personal
            if row[name] == "v1"
        ]
        # Whoever comes back is somebody new.
        assert held == [("feed_pages", BEGIN_MS + 2 * DAY_MS)]
    assert {table.name: len(rows(world, table, "personal")) for table in EXPORTED} == before | {"feed_pages": 3}


def test_days_with_people_in_them_are_kept_no_longer_than_in_the_log(world: BatchWorld) -> None:
    world.fill()
    world.export("personal", personal=True)
    world.export()
    world.clock.step(BEGIN_MS + 91 * DAY_MS - world.clock.now_ms())
    done = world.export("personal", personal=True)
    world.export()

    assert done.dropped_days > 0
    kept = {Path(file).parent.name for file in world.files("personal").files(PAGE_VIEWS)}
    assert kept == {"day=2026-03-06"}
    assert rows(world, BIDS, "personal") == rows(world, BIDS)
    assert len(rows(world, PAGE_VIEWS)) > len(rows(world, PAGE_VIEWS, "personal"))


def test_a_folder_of_another_log_or_another_kind_is_refused(world: BatchWorld, tmp_path: Path) -> None:
    world.fill(2)
    world.export()
    with pytest.raises(InvalidInput, match="--personal"):
        world.export(personal=True)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "letter.txt").touch()
    with pytest.raises(InvalidInput, match="other files"):
        world.export("others")
    (tmp_path / "second").mkdir()
    with batch_world(tmp_path / "second") as other:
        other.append(*(other.some_notices(1, BEGIN_MS) for _ in range(9)), at_ms=BEGIN_MS + 77)
        other.fill(3)
        other.folder = world.folder
        with pytest.raises(InvalidInput, match="another event log"):
            other.export()


def test_two_exports_into_one_folder_do_not_meet(world: BatchWorld) -> None:
    world.export()
    files = ParquetTableFiles(world.folder / "export")

    with pytest.raises(BackendUnavailable, match="being exported into"):
        world.export()
    files.close()


def test_a_record_that_cannot_be_read_is_counted_and_passed_over(world: BatchWorld) -> None:
    world.fill(1)
    world.log.append("auctions", [b"\xff\xff"], BEGIN_MS)
    world.log.append("notices", [b"\xff\xff"], BEGIN_MS)
    world.append(world.some_notices(3, BEGIN_MS))

    done = {topic.topic: topic for topic in world.export().topics}

    assert (done["auctions"].unreadable, done["notices"].unreadable) == (1, 1)
    assert done["notices"].rows == {"notices": 43}
