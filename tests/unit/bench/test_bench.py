"""Does the benchmark measure what it says, and say what spoiled it?"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import measured
from bench.feed_pages import RANKING, WHOLE_CALL
from bench.measure import Round, Spread, measure_in_process
from bench.post_checks import POST_CHECK
from bench.report import ECHO, NATIVE_ECHO, ratio_to_echo, remarks_on
from bench.run import IN_PROCESS
from bench.server import cpu_seconds, pinned_to, start_echo, start_server
from bench.settings import BenchSettings, cores
from common.errors import BackendUnavailable
from loadgen.synthetic import FreshViews, page_views
from protos.exchange_pb2 import PageView

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU times and cores are read as Linux tells them")

TINY = BenchSettings(
    rounds=1,
    warmup_s=0.1,
    seconds=0.3,
    unary_in_flight=4,
    stream_in_flight=16,
    batch_in_flight=2,
    batch_size=8,
    distinct_page_views=50,
    server_command=(sys.executable, "-m", "tests.fake_auction_service"),
)


@pytest.fixture
def same_cores() -> object:
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.slow
@pytest.mark.usefixtures("same_cores")
def test_all_rows_are_measured_in_one_run_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results.json"

    code = measured(TINY, output)

    said = json.loads(output.read_text())
    assert code == 0
    unary = ["auctions, unary", "auctions, unary, four times as many in flight"]
    rows = [ECHO, NATIVE_ECHO, *unary, "auctions, stream, coalesced", "auctions, batches of 8"]
    assert list(said["rows"]) == [*rows, IN_PROCESS, RANKING, WHOLE_CALL, POST_CHECK]
    for row in said["rows"].values():
        assert row["rounds"][0]["page_views"] > 0
        assert row["rounds"][0]["failed"] == 0
    assert said["rows"][ECHO]["ratio_to_echo"]["median"] == 1.0
    assert said["conditions"]["request_bytes"] > 200
    assert said["versions"]["grpcio"]
    assert "server_command" not in said["settings"]
    assert "auctions, unary" in capsys.readouterr().out


@pytest.mark.usefixtures("same_cores")
def test_a_server_that_does_not_start_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"

    code = measured(replace(TINY, server_command=(sys.executable, "-c", "raise SystemExit(3)")), output)

    assert code == 2
    assert "ended with code 3 before it was ready" in capsys.readouterr().err
    assert not output.exists()


async def test_a_server_that_is_never_ready_is_given_up_and_ended() -> None:
    never = replace(TINY, server_command=(sys.executable, "-c", "import time; time.sleep(60)"), server_start_s=0.2)

    with pytest.raises(BackendUnavailable, match="was not ready within 0 s"):
        async with start_server(never, None):
            pass


async def test_a_server_process_is_pinned_and_ended_with_its_block() -> None:
    core = min(os.sched_getaffinity(0))
    async with start_echo(100, core) as echo:
        assert os.sched_getaffinity(echo.pid) == {core}
        assert cpu_seconds(echo.pid) > 0

    assert not Path(f"/proc/{echo.pid}").exists()


def test_cpu_seconds_count_the_work_of_a_process() -> None:
    before, own = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - own < 0.2:
        pass

    assert cpu_seconds(os.getpid()) - before == pytest.approx(0.2, abs=0.05)


def test_pinning_is_undone_after_its_block() -> None:
    before = os.sched_getaffinity(0)
    with pinned_to(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}

    assert os.sched_getaffinity(0) == before
    assert cores() is None or len(set(cores() or ())) == 2


async def test_in_process_only_the_holding_is_counted() -> None:
    held: list[int] = []

    def prepare(views: list[PageView]) -> Callable[[], Awaitable[object]]:
        async def hold() -> object:
            held.append(len(views))
            return None

        return hold

    views = FreshViews(page_views(10), "run")
    one = await measure_in_process(prepare, views.next, replace(TINY, warmup_s=0.0, seconds=0.05))

    assert set(held) == {TINY.batch_size}
    assert one.page_views == sum(held) or one.page_views == sum(held[1:])
    assert one.failed == 0


def a_round(per_core_s: float, failed: int = 0, page_views: int = 1_000) -> Round:
    return Round(page_views, failed, 1.0, 1_000 / per_core_s, 1.0, 2.0, 0.5, "UNAVAILABLE: away" if failed else "")


def test_ratios_are_taken_within_each_round() -> None:
    rows = {ECHO: [a_round(1_000), a_round(2_000), a_round(500)], "x": [a_round(700), a_round(1_400), a_round(400)]}

    ratio = ratio_to_echo(rows, "x")

    assert ratio is not None
    assert (ratio.median, ratio.least, ratio.most) == pytest.approx((0.7, 0.7, 0.8))
    assert ratio_to_echo({"x": [a_round(1)]}, "x") is None


def test_failures_and_silence_are_remarked() -> None:
    rows = {"a": [a_round(1, failed=3)], "b": [a_round(1, page_views=0)], "c": [a_round(1)]}

    assert remarks_on(rows) == ["a: 3 page views failed (UNAVAILABLE: away)", "b: a round without answers"]
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
