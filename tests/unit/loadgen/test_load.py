"""Does a load run count what it sent, in every mode and both loops?"""

from __future__ import annotations

import json

import pytest

from common.errors import InvalidInput
from loadgen.__main__ import main
from loadgen.load import LoadSettings, load
from loadgen.report import LoadReport, load_table
from loadgen.synthetic import FreshViews, page_views
from tests.fake_auction_service import API_KEY, FakeAuctionService, serving


@pytest.mark.parametrize("mode", ["unary", "stream", "batch"])
@pytest.mark.parametrize("rate_per_s", [0.0, 4_000.0], ids=["closed", "open"])
async def test_every_page_view_is_sent_once_in_every_mode(mode: str, rate_per_s: float) -> None:
    service = FakeAuctionService()
    settings = LoadSettings(
        mode=mode,
        batch_size=16,
        rate_per_s=rate_per_s,
        max_page_views=160,
        duration_s=60,
        warmup_s=0,
        timeout_ms=20_000,
    )
    async with serving(service) as target:
        report = await load(target, API_KEY, page_views(10), settings)

    assert (report.page_views, report.answered, report.filled) == (160, 160, 480)
    assert report.latencies.count == 160
    assert len(service.held) == 160
    assert (report.pace is not None) == (rate_per_s > 0)


async def test_refusals_and_failures_are_counted_by_status() -> None:
    service = FakeAuctionService()
    settings = LoadSettings(mode="unary", max_page_views=20, duration_s=60, warmup_s=0, timeout_ms=20_000)
    async with serving(service) as target:
        report = await load(target, "wrong", page_views(10), settings)

    assert report.errors == {"UNAUTHENTICATED": 20}
    assert report.answered == 0
    assert report.latencies.count == 0
    assert "the API key is not known" in report.first_errors[0]


async def test_what_starts_in_the_warm_up_is_not_counted() -> None:
    settings = LoadSettings(max_page_views=50, duration_s=600, warmup_s=500, timeout_ms=20_000)
    async with serving(FakeAuctionService()) as target:
        report = await load(target, API_KEY, page_views(10), settings)

    assert report.page_views == 0


async def test_with_notices_every_ad_is_reported() -> None:
    service = FakeAuctionService()
    settings = LoadSettings(max_page_views=30, duration_s=60, warmup_s=0, timeout_ms=20_000, notices=True)
    async with serving(service) as target:
        report = await load(target, API_KEY, page_views(10), settings)

    assert len(service.notices) == report.notices == 90


async def test_a_late_answer_is_in_the_latencies_with_its_time_out() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    settings = LoadSettings(max_page_views=4, concurrency=4, duration_s=60, warmup_s=0, timeout_ms=50)
    async with serving(service) as target:
        report = await load(target, API_KEY, page_views(10), settings)
        service.hold_back.set()

    assert report.errors == {"DEADLINE_EXCEEDED": 4}
    assert report.latencies.count == 4
    assert report.latencies.quantile_ms(50) >= 49


def test_a_second_lap_has_sessions_of_its_own() -> None:
    fresh = FreshViews(page_views(3), "run")

    views = [fresh.next() for _ in range(9)]

    assert len({view.session_id for view in views}) == 9
    assert len({view.page.url + str(view.visitor) for view in views}) == 3


def test_made_up_page_views_are_the_same_for_the_same_seed() -> None:
    assert page_views(50, seed=3) == page_views(50, seed=3)
    assert page_views(50, seed=3) != page_views(50, seed=4)
    sizes = [len(view.SerializeToString()) for view in page_views(200)]
    assert 300 < sum(sizes) / len(sizes) < 500


def test_a_generator_without_room_says_so() -> None:
    report = LoadReport(mode="stream", generator_cpu_share=0.99)

    assert "the generator's own core was full" in report.remark()
    assert json.loads(json.dumps(report.as_json()))["loop"] == "closed"
    assert load_table(report).row_count >= 7


def test_settings_that_cannot_be_name_every_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        LoadSettings(mode="push", batch_size=0, connections=0, duration_s=1, warmup_s=2)

    assert [error.field for error in refused.value.errors] == ["connections", "mode", "batch_size", "warmup_s"]


def test_the_command_needs_a_key_and_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("HAAT_API_KEY", raising=False)

    assert main(["load"]) == 2
    assert main(["replay", "missing", "--api-key", "k"]) == 2
    said = capsys.readouterr().err
    assert "give --api-key, or set HAAT_API_KEY" in said
    assert "there is no missing to replay" in said
