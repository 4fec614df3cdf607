"""Does a replay send each view once, and tell of each ad what a shop would tell?"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from common.errors import InvalidInput
from loadgen.replay import ReplaySettings, replay
from loadgen.report import replay_table
from loadgen.tally import ReplayTally
from loadgen.views import LoggedView
from protos.exchange_pb2 import Notice, PageView, Placement
from tests.fake_auction_service import API_KEY, BILLED_MICROS, FakeAuctionService, serving


def a_view(number: int, *, item: str = "p-9", position: int = 2, clicked: bool = False, at_ms: int = 0) -> LoggedView:
    placements = [Placement(placement_id=f"place-{k}", position=k) for k in (1, 2, 3)]
    page_view = PageView(request_id=f"r{number}", placements=placements, viewed_at_ms=at_ms)
    return LoggedView(page_view, item=item, position=position, clicked=clicked)


async def test_every_view_is_held_once_and_every_ad_is_reported_as_seen() -> None:
    service = FakeAuctionService()
    async with serving(service) as target:
        tally = await replay(target, API_KEY, (a_view(k) for k in range(200)), ReplaySettings(timeout_ms=20_000))

    assert (tally.page_views, tally.answered, tally.placements, tally.filled) == (200, 200, 600, 600)
    assert set(service.held.values()) == {1}
    assert Counter(notice.kind for notice in service.notices) == {Notice.KIND_IMPRESSION: 600}
    assert tally.verdicts == {"accepted": 600}
    assert tally.spend_micros == {("brand.example", "EUR"): 600 * BILLED_MICROS}
    assert set(tally.prices.quantiles_micros()) == {"CPM", "CPC"}
    assert tally.latencies.count == 200


async def test_a_logged_click_is_sent_where_the_logged_product_is_at_the_logged_position() -> None:
    service = FakeAuctionService()
    service.product_of_position = {1: "p-9", 2: "p-9", 3: "p-7"}
    views = [
        a_view(0, position=2, clicked=True),
        a_view(1, position=2, clicked=False),
        a_view(2, position=3, clicked=True),
        a_view(3, item="p-7", position=3, clicked=True),
    ]
    async with serving(service) as target:
        tally = await replay(target, API_KEY, views, ReplaySettings(timeout_ms=20_000, conversion_share=0.0))

    clicked = {notice.impression_id for notice in service.notices if notice.kind == Notice.KIND_CLICK}
    assert clicked == {"r0/place-2", "r3/place-3"}
    assert (tally.clicks_logged, tally.clicks_simulated, tally.conversions_simulated) == (2, 0, 0)


async def test_where_the_log_knows_nothing_clicks_are_drawn_from_the_rates_and_marked() -> None:
    def only_second_place(product_id: str, position: int) -> float:
        return 1.0 if (product_id, position) == ("p-1", 2) else 0.0

    service = FakeAuctionService()
    settings = ReplaySettings(timeout_ms=20_000, conversion_share=1.0)
    async with serving(service) as target:
        views = [a_view(k) for k in range(20)]
        tally = await replay(target, API_KEY, views, settings, click_rate=only_second_place)

    bought = [notice for notice in service.notices if notice.kind == Notice.KIND_CONVERSION]
    assert (tally.clicks_logged, tally.clicks_simulated, tally.conversions_simulated) == (0, 20, 20)
    assert {notice.impression_id for notice in bought} == {f"r{k}/place-2" for k in range(20)}
    assert len({notice.order_id for notice in bought}) == 20


async def test_no_click_is_drawn_where_the_log_says_that_there_was_none() -> None:
    service = FakeAuctionService()
    service.product_of_position = {1: "p-9", 2: "p-9", 3: "p-9"}
    async with serving(service) as target:
        tally = await replay(
            target, API_KEY, [a_view(0, position=1)], ReplaySettings(timeout_ms=20_000), click_rate=lambda *_: 1.0
        )

    clicked = {notice.impression_id for notice in service.notices if notice.kind == Notice.KIND_CLICK}
    assert clicked == {"r0/place-2", "r0/place-3"}
    assert tally.clicks_simulated == 2


async def test_the_same_seed_draws_the_same_clicks_whatever_the_concurrency() -> None:
    async def clicks(seed: int, concurrency: int) -> set[str]:
        service = FakeAuctionService()
        settings = ReplaySettings(timeout_ms=20_000, seed=seed, concurrency=concurrency)
        async with serving(service) as target:
            await replay(target, API_KEY, [a_view(k) for k in range(150)], settings, click_rate=lambda *_: 0.3)
        return {notice.impression_id for notice in service.notices if notice.kind == Notice.KIND_CLICK}

    first = await clicks(seed=1, concurrency=1)

    assert first == await clicks(seed=1, concurrency=40)
    assert first != await clicks(seed=2, concurrency=40)
    assert 90 < len(first) < 180


async def test_an_impression_is_told_before_its_click() -> None:
    service = FakeAuctionService()
    async with serving(service) as target:
        await replay(
            target,
            API_KEY,
            [a_view(k) for k in range(50)],
            ReplaySettings(timeout_ms=20_000),
            click_rate=lambda *_: 1.0,
        )

    seen: set[str] = set()
    for notice in service.notices:
        if notice.kind == Notice.KIND_IMPRESSION:
            seen.add(notice.impression_id)
        assert notice.impression_id in seen


async def test_refused_views_are_counted_by_status_and_the_rest_goes_on() -> None:
    views = [a_view(0), LoggedView(PageView(request_id="bad-1")), a_view(2)]
    async with serving(FakeAuctionService()) as target:
        tally = await replay(target, API_KEY, views, ReplaySettings(timeout_ms=20_000))

    assert (tally.page_views, tally.answered) == (3, 2)
    assert tally.errors == {"INVALID_ARGUMENT": 1}
    assert "placements[0].floor_micros: -1 — give 0 or more" in tally.first_errors[0]


async def test_an_exchange_that_went_away_is_counted_and_not_raised() -> None:
    async with serving(FakeAuctionService()) as target:
        pass
    tally = await replay(target, API_KEY, [a_view(k) for k in range(5)], ReplaySettings(timeout_ms=20_000))

    assert (tally.page_views, tally.answered) == (5, 0)
    assert tally.errors == {"UNAVAILABLE": 5}


async def test_views_come_at_the_logged_pace_times_the_speed() -> None:
    service = FakeAuctionService()
    views = [a_view(k, at_ms=1_000_000 + 60_000 * k) for k in range(10)]
    async with serving(service) as target:
        tally = await replay(target, API_KEY, views, ReplaySettings(timeout_ms=20_000, speed=60_000))

    assert tally.pace is not None
    assert tally.pace.sent == tally.answered == 10
    assert tally.seconds >= 0.009


async def test_a_log_without_times_cannot_be_replayed_at_its_pace() -> None:
    async with serving(FakeAuctionService()) as target:
        with pytest.raises(InvalidInput, match="this log tells no times: replay it with speed 0"):
            await replay(target, API_KEY, [a_view(0)], ReplaySettings(speed=2.0))


async def test_bounds_and_stop_end_a_replay_and_progress_is_told() -> None:
    stop = asyncio.Event()
    seen: list[int] = []

    def progress(tally: ReplayTally) -> None:
        seen.append(tally.page_views)
        if tally.page_views >= 20:
            stop.set()

    endless = (a_view(k) for k in range(1_000_000))
    async with serving(FakeAuctionService()) as target:
        bounded = await replay(target, API_KEY, endless, ReplaySettings(timeout_ms=20_000, max_page_views=50))
        stopped = await replay(
            target,
            API_KEY,
            endless,
            ReplaySettings(timeout_ms=20_000, concurrency=4),
            progress=progress,
            progress_every=10,
            stop=stop,
        )

    assert bounded.page_views == 50
    assert 20 <= stopped.page_views <= 30
    assert seen[:2] == [10, 20]


async def test_the_tally_is_shown_and_told() -> None:
    async with serving(FakeAuctionService()) as target:
        tally = await replay(target, API_KEY, [a_view(k) for k in range(10)], ReplaySettings(timeout_ms=20_000))

    said = tally.as_json()
    assert said["spend"] == [{"advertiser": "brand.example", "currency": "EUR", "micros": 30 * BILLED_MICROS}]
    assert said["price_micros"]["CPM"]["p50"] == pytest.approx(400_000, rel=0.001)
    assert replay_table(tally).row_count >= 8


def test_settings_that_cannot_be_name_every_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        ReplaySettings(concurrency=0, speed=-1.0, conversion_share=2.0)

    assert [error.field for error in refused.value.errors] == ["concurrency", "speed", "conversion_share"]
