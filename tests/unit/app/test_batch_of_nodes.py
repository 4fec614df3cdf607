"""Do batch reports over the exports of two nodes count what each sold, and once what both were told?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.batch_commands import run_report
from app.bridges import placements_of
from backends.event_log_lmdb import LmdbEventLog
from backends.reports_sql import SqlReportStore
from common.errors import InvalidInput
from exchange.report_counts import METRICS
from exchange.reports import ReportAsk, Reports
from streams.feed_events import PostChanged
from streams.schemas import encode
from streams.topics import POSTS
from tests.batch_logs import BEGIN_MS, HOUR_MS, BatchWorld, batch_world

ALL = "2026-01-01"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[BatchWorld]:
    """Node 1 has sold something, and is exported into the folder `one`."""
    with batch_world(tmp_path, seed=3) as made:
        told_of_a_post(made)
        made.fill(6)
        made.count()
        made.export("one", personal=True, source="log 1")
        yield made


@pytest.fixture
def other(world: BatchWorld, tmp_path: Path) -> Iterator[BatchWorld]:
    """Another node over the same database, whose log holds what all are told."""
    own = world.log
    with closing(LmdbEventLog(tmp_path / "log-2", map_size_bytes=1 << 28)) as log:
        world.log = log
        world.reports = Reports(SqlReportStore(world.engine, "node-2"), placements_of)
        told_of_a_post(world)
        world.append(world.some_products(), at_ms=BEGIN_MS - HOUR_MS)
        yield world
        world.log = own


def told_of_a_post(world: BatchWorld) -> None:
    world.log.append(POSTS.name, [encode(PostChanged(BEGIN_MS, "p0", "post", "ann", 2, 1))], BEGIN_MS)


def batch(world: BatchWorld, report: str, *folders: str, by: str = "") -> list[dict[str, Any]]:
    out = world.folder / "rows.parquet"
    data = [world.folder / name for name in folders]
    run_report(
        report, data=data, engine="duckdb", out=out, by=by, from_=ALL, to="", master="", as_json=True
    )  # fmt: skip
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def test_what_two_nodes_sold_adds_up_to_what_the_pages_count(other: BatchWorld) -> None:
    other.fill(4)
    other.count()
    other.export("two", personal=True, source="log 2")

    found = batch(other, "delivery", "one", "two", by="campaign_id")

    online = other.reports.report(ReportAsk(("campaign",), BEGIN_MS - 9 * HOUR_MS, BEGIN_MS + 99 * HOUR_MS))
    expected = {row.keys[0]: dict(zip(online.metrics, row.values, strict=True)) for row in online.rows}
    assert len(expected) > 1
    assert {row["campaign_id"]: {name: row[name] for name in METRICS} for row in found} == expected


def test_what_both_were_told_counts_once(other: BatchWorld) -> None:
    other.export("two", personal=True, source="log 2")

    assert batch(other, "segments", "one", "two") == batch(other, "segments", "one")


def test_one_log_is_not_counted_twice(world: BatchWorld) -> None:
    world.export("again", personal=True, source="log 1")

    for twice in (("one", "again"), ("one", "one")):
        with pytest.raises(InvalidInput) as refused:
            batch(world, "delivery", *twice)
        assert "holds the same event log" in str(refused.value)


def test_a_folder_of_another_log_is_refused(other: BatchWorld) -> None:
    with pytest.raises(InvalidInput) as refused:
        other.export("one", personal=True, source="log 2")

    assert "another event log" in str(refused.value)
