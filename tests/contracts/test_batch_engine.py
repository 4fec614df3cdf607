"""Does a report come to the same on every engine, and to what the log says?

Spark runs in an environment of its own: `make spark-test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from backends.batch_duckdb import DuckdbBatchEngine
from backends.batch_spark import SparkBatchEngine
from common.errors import BackendUnavailable
from streams.batch.notice_codes import CONVERSION, CORRECTION
from streams.batch.ports import BatchEngine
from streams.batch.report import BatchReport
from streams.batch.roster import REPORTS
from streams.schemas import NoticesTaken, NoticeTaken, ProductsPut
from tests.batch_logs import BEGIN_MS, HOUR_MS, BatchWorld, a_page, a_product, an_action, batch_world

pytestmark = pytest.mark.slow

DAY_MS = 24 * HOUR_MS


# To compile a plan for a handful of rows takes longer than to run it.
_SMALL = {"spark.sql.shuffle.partitions": "1", "spark.sql.codegen.wholeStage": "false"}


def spark(hours: tuple[int, int] | None = None) -> BatchEngine:
    if find_spec("pyspark") is None:
        pytest.skip("Spark is not installed here: run `make spark-test`")
    return SparkBatchEngine(hours=hours, master="local[2]", options=_SMALL)


ENGINES: dict[str, Callable[..., BatchEngine]] = {"duckdb": DuckdbBatchEngine, "spark": spark}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[BatchWorld]:
    with batch_world(tmp_path) as made:
        yield made


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def duckdb(opened: ExitStack) -> BatchEngine:
    return opened.enter_context(closing(DuckdbBatchEngine(threads=1)))


# py4j leaves its sockets to the garbage collector.
_LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=[pytest.param(make, marks=_LEFT_OPEN) for make in ENGINES.values()], ids=list(ENGINES))
def open_engine(request: pytest.FixtureRequest, opened: ExitStack) -> Callable[..., BatchEngine]:
    make: Callable[..., BatchEngine] = request.param
    return lambda **options: opened.enter_context(closing(make(**options)))


def rows_of(
    engine: BatchEngine, world: BatchWorld, name: str, by: tuple[str, ...] = (), to: str = "export"
) -> pa.Table:
    report: BatchReport = REPORTS[name].by(by)
    files = world.files(to)
    return engine.run(report, {table.name: files.files(table) for table in report.needs})


def test_every_report_is_the_same_as_duckdbs(
    world: BatchWorld, open_engine: Callable[..., BatchEngine], duckdb: BatchEngine
) -> None:
    world.fill()
    world.export(personal=True, rows_a_step=100)
    engine = open_engine()

    for name in REPORTS:
        expected = rows_of(duckdb, world, name)
        found = rows_of(engine, world, name)

        assert expected.num_rows > 0, name
        assert found.schema == expected.schema
        assert found.to_pylist() == expected.to_pylist()


def test_a_log_without_events_has_no_rows(world: BatchWorld, open_engine: Callable[..., BatchEngine]) -> None:
    world.export(personal=True)
    engine = open_engine()

    for name, report in REPORTS.items():
        found = rows_of(engine, world, name)

        assert found.num_rows == 0
        assert found.column_names == [column.name for column in report.columns]


def test_hours_bound_what_is_counted(
    world: BatchWorld, open_engine: Callable[..., BatchEngine], duckdb: BatchEngine
) -> None:
    world.fill()
    world.export()
    hour = BEGIN_MS // HOUR_MS
    whole = rows_of(duckdb, world, "delivery", ("hour",)).to_pylist()

    some = rows_of(open_engine(hours=(hour, hour + 1)), world, "delivery", ("hour",)).to_pylist()

    assert len(whole) > 1
    assert some == [row for row in whole if row["hour"] == hour]


def test_a_shopper_is_scored_by_what_holds_and_was_paid_then(
    world: BatchWorld, open_engine: Callable[..., BatchEngine]
) -> None:
    def conversion(visitor: str, product: str, order: str, kind: int = CONVERSION, verdict: int = 1) -> NoticeTaken:
        return NoticeTaken(
            kind=kind, impression_id=f"i-{order}", verdict=verdict, order_id=order, visitor_id=visitor,
            product_id=product, publisher_id="p0", corrects_kind=CONVERSION if kind == CORRECTION else 0,
        )  # fmt: skip

    world.append(ProductsPut("p0", (a_product("chair", 5_000_000), a_product("lamp", 1_000_000))), at_ms=BEGIN_MS)
    world.append(ProductsPut("p0", (a_product("chair", 7_000_000),)), at_ms=BEGIN_MS + 2 * DAY_MS)
    bought = [
        conversion("often", "chair", "o1"),
        conversion("back", "lamp", "o2"),
        conversion("no", "lamp", "o3", 3, 2),
    ]
    world.append(NoticesTaken(BEGIN_MS + DAY_MS, tuple(bought)))
    world.append(NoticesTaken(BEGIN_MS + DAY_MS + 1, (conversion("back", "lamp", "o2", CORRECTION),)))
    # The feed tells of the same chair on the same day, and of two more purchases.
    world.append(an_action("often", 12, BEGIN_MS + DAY_MS + 9, "chair"))
    world.append(an_action("often", 12, BEGIN_MS + 3 * DAY_MS, "chair"), an_action("once", 12, BEGIN_MS, "lamp"))
    world.append(a_page("often", BEGIN_MS, session_id="a"), a_page("often", BEGIN_MS + 9, session_id="b"))
    world.append(a_page("looks", BEGIN_MS + 3), a_page("", BEGIN_MS + 4))
    world.export(personal=True)

    engine = open_engine()
    found = {row["visitor_id"]: row for row in rows_of(engine, world, "shoppers").to_pylist()}

    assert set(found) == {"often", "once", "looks"}
    assert found["often"] == {
        "tenant_id": "p0", "visitor_id": "often", "currency": "EUR", "segment": "loyal", "pages": 2, "sessions": 2,
        "last_visit_ms": BEGIN_MS + 9, "purchases": 2, "spent_micros": 12_000_000,
        "last_purchase_ms": BEGIN_MS + 3 * DAY_MS, "recency": 3, "frequency": 3, "money": 3,
    }  # fmt: skip
    assert (found["once"]["spent_micros"], found["once"]["recency"], found["once"]["segment"]) == (1_000_000, 1, "lost")
    assert (found["looks"]["segment"], found["looks"]["pages"], found["looks"]["recency"]) == ("visitor", 1, 0)
    counted = {row["segment"]: row for row in rows_of(engine, world, "segments", ("segment",)).to_pylist()}
    assert {name: (row["shoppers"], row["spent_micros"]) for name, row in counted.items()} == {
        "loyal": (1, 12_000_000),
        "lost": (1, 1_000_000),
        "visitor": (1, 0),
    }


def test_a_file_that_is_gone_is_an_error_that_says_so(
    world: BatchWorld, open_engine: Callable[..., BatchEngine]
) -> None:
    world.fill(1)
    world.export()
    engine = open_engine()

    with pytest.raises(BackendUnavailable, match="cannot run delivery"):
        engine.run(REPORTS["delivery"], {"bids": [str(world.folder / "gone.parquet")]})
