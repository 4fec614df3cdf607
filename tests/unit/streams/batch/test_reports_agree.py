"""Do reports out of files come to what the online reports count, to the unit?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.batch_duckdb import DuckdbBatchEngine
from exchange.billing import Kind, Verdict
from exchange.report_counts import INVALID_FROM, METRICS
from exchange.reports import ReportAsk
from feed.actions import ActionKind
from streams.batch import notice_codes
from streams.batch.roster import REPORTS
from tests.batch_logs import BEGIN_MS, HOUR_MS, BatchWorld, batch_world

pytestmark = pytest.mark.slow

# Of `haat report`: which dimension of the batch report is the same one.
SAME = {
    "advertiser": "advertiser_id",
    "campaign": "campaign_id",
    "line_item": "line_item_id",
    "placement": "placement_id",
    "publisher": "publisher_id",
    "bidder": "bidder",
    "reason": "reason",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[BatchWorld]:
    with batch_world(tmp_path, seed=7) as made:
        made.fill(6)
        made.count()
        made.export(rows_a_step=200)
        yield made


def online(world: BatchWorld, *dimensions: str) -> dict[tuple[str, ...], dict[str, int]]:
    found = world.reports.report(ReportAsk(dimensions, BEGIN_MS - 9 * HOUR_MS, BEGIN_MS + 99 * HOUR_MS))
    return {row.keys: dict(zip(found.metrics, row.values, strict=True)) for row in found.rows}


def batch(world: BatchWorld, name: str, *dimensions: str) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = rows_of(world, name, *(SAME[dimension] for dimension in dimensions))
    return {tuple(str(row[SAME[dimension]]) for dimension in dimensions): row for row in rows}


def rows_of(world: BatchWorld, name: str, *by: str) -> list[dict[str, Any]]:
    report, files = REPORTS[name].by(by), world.files()
    with closing(DuckdbBatchEngine()) as engine:
        found = engine.run(report, {table.name: files.files(table) for table in report.needs})
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


@pytest.mark.parametrize(
    "dimensions",
    [("campaign",), ("line_item", "placement"), ("publisher",), ("advertiser", "bidder"), ("campaign", "publisher")],
    ids="-".join,
)
def test_delivery_is_what_the_online_report_counts(world: BatchWorld, dimensions: tuple[str, ...]) -> None:
    expected, found = online(world, *dimensions), batch(world, "delivery", *dimensions)

    assert len(expected) > 1
    assert {keys: {name: row[name] for name in METRICS} for keys, row in found.items()} == expected


def test_each_hour_is_what_the_online_report_counts(world: BatchWorld) -> None:
    found = rows_of(world, "delivery", "hour")
    expected = [row for _, row in sorted(online(world, "hour").items())]

    assert len(expected) == 5
    assert [{name: row[name] for name in METRICS} for row in found] == expected


@pytest.mark.parametrize("dimensions", [("reason",), ("reason", "line_item", "publisher")], ids="-".join)
def test_losses_are_what_the_online_report_counts(world: BatchWorld, dimensions: tuple[str, ...]) -> None:
    expected = {keys: row["count"] for keys, row in online(world, *dimensions).items()}

    assert len(expected) > 3
    assert {keys: row["lost"] for keys, row in batch(world, "losses", *dimensions).items()} == expected


def test_the_funnel_holds_together(world: BatchWorld) -> None:
    (whole,), (delivered,) = (_sum(rows_of(world, name, "publisher_id")) for name in ("funnel", "delivery"))

    # Two page views of nine are tests, and each page view has two placements.
    assert (whole["page_views"], whole["placements"]) == (6 * 7, 6 * 14)
    assert 0 < whole["sold"] == whole["wins"] == delivered["wins"]
    assert {name: whole[name] for name in METRICS} == {name: delivered[name] for name in METRICS}


def _sum(rows: list[dict[str, Any]]) -> list[dict[str, int]]:
    names = [name for name in rows[0] if name != "publisher_id"]
    return [{name: sum(row[name] for row in rows) for name in names}]


def test_the_numbers_of_notices_are_those_of_billing() -> None:
    kinds = {name: kind for name, kind in Kind.__members__.items() if hasattr(notice_codes, name)}

    assert len(kinds) >= 7
    assert {name: getattr(notice_codes, name) for name in kinds} == kinds
    assert set(notice_codes.COUNTED) == {Verdict.ACCEPTED, Verdict.BEYOND_BUDGET}
    assert (notice_codes.INVALID, notice_codes.INVALID_FROM) == (Verdict.INVALID, INVALID_FROM)
    assert ActionKind(notice_codes.PURCHASE) is ActionKind.PURCHASE
