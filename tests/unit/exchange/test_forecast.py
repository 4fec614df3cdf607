"""Is what was forecast what then happens? The same traffic, recorded without the draft and held again with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from backends.event_log_lmdb import LmdbEventLog
from common.errors import InvalidInput, NotFound
from exchange.auction_wire import PageViewReader
from exchange.campaign_values import Budget, FrequencyCap, LineItem, Schedule, Targeting
from exchange.forecast import Chances, Forecast, chances, forecast
from exchange.forecasts import Forecasts, daily_limit
from exchange.near_recorded import RecordedNear
from exchange.ports import LineItemRecord
from exchange.request import PageView
from protos import exchange_pb2
from streams.auction_block import AuctionColumns, encode_auctions
from streams.topics import AUCTIONS
from tests.builders import FlatRanker, Market, a_line_item, a_page_view, nothing_near
from tests.campaign_stores import LINE_ITEM, CampaignWorld, campaign_world

BATCH, PAGES = 16, 3_200


def traffic(seed: int) -> list[PageView]:
    """Page views of three countries; each carries its place in the row as its wire form."""
    rng = np.random.default_rng(seed)
    return [
        a_page_view(
            country=("DE", "FR", "BD")[int(rng.integers(3))], visitor_id=f"v{int(rng.integers(500))}",
            url=f"https://shop.example/{at}", wire=str(at).encode(),
        )
        for at in range(PAGES)
    ]  # fmt: skip


def competitors() -> list[LineItemRecord]:
    return [
        a_line_item(1, bid_micros=900_000, targeting={"country": ("DE",)}),
        a_line_item(2, bid_micros=3_000_000, targeting={"country": ("FR",)}),
        a_line_item(3, bid_micros=700_000),
    ]


async def recorded(items: list[LineItemRecord], views: list[PageView]) -> list[AuctionColumns]:
    market = Market(items)
    for at in range(0, len(views), BATCH):
        await market.ask(*views[at : at + BATCH])
    return market.published


def drafted(batches: list[AuctionColumns], views: list[PageView]) -> Chances:
    draft = a_line_item(9, bid_micros=2_000_000, targeting={"country": ("DE", "FR")})
    return chances(Market([draft]).snapshot, batches, lambda data, _: views[int(data)])


@pytest.mark.slow
async def test_what_is_forecast_lies_around_what_happens() -> None:
    past, future = traffic(1), traffic(2)
    met = drafted((await recorded(competitors(), past))[::2], past)
    made = forecast(
        met, bid_micros=2_000_000, pricing_model=1, daily_limit_micros=0, scale=2.0, days=1.0, share=0.5, seen_share=1.0
    )
    truth = await recorded(
        [*competitors(), a_line_item(9, bid_micros=2_000_000, targeting={"country": ("DE", "FR")})], future
    )
    won = [
        (int(columns.bid_line_item[row]), int(columns.bid_price_micros[row]))
        for columns in truth
        for row in columns.winner_row_plus_one[columns.winner_row_plus_one > 0].astype(int) - 1
    ]
    impressions = sum(number == 9 for number, _ in won)
    spend = sum(price for number, price in won if number == 9) / 1000

    assert 900 < impressions < 1_200  # Germany alone: in France somebody bids more
    assert made.impressions.low <= impressions <= made.impressions.high
    assert made.spend_micros.low <= spend <= made.spend_micros.high
    assert made.opportunities.expected == pytest.approx(PAGES * 2 / 3, rel=0.06)
    assert made.clicks.expected == pytest.approx(0.01 * made.impressions.expected)
    assert (made.sampled_page_views, made.sampled_share) == (PAGES // 2, 0.5)
    assert 300 < made.sampled_visitors <= 500


async def test_the_landscape_rises_with_the_bid_and_opens_france() -> None:
    views = traffic(3)
    met = drafted(await recorded(competitors(), views), views)
    made = of(met)
    by_bid = {point.bid_micros: point.impressions for point in made.landscape}

    assert list(by_bid.values()) == sorted(by_bid.values())
    assert by_bid[500_000] == 0
    assert by_bid[4_000_000] > 1.8 * by_bid[2_000_000] > 0


def of(met: Chances, daily_limit_micros: int = 0) -> Forecast:
    return forecast(
        met, bid_micros=2_000_000, pricing_model=1, daily_limit_micros=daily_limit_micros, scale=1.0, days=1.0,
        share=1.0, seen_share=0.5,
    )  # fmt: skip


async def test_a_budget_cuts_impressions_clicks_and_spend_alike() -> None:
    views = traffic(4)
    met = drafted(await recorded(competitors(), views), views)
    free, cut = of(met), of(met, 100_000)

    assert cut.spend_micros.expected == pytest.approx(100_000)
    assert cut.spend_micros.high <= 100_000
    factor = 100_000 / free.spend_micros.expected
    assert factor < 0.5
    assert cut.impressions.expected == pytest.approx(factor * free.impressions.expected)
    assert cut.opportunities.expected == free.opportunities.expected


def test_nothing_recorded_is_nothing_forecast() -> None:
    made = of(drafted([], []))

    assert (made.impressions.expected, made.impressions.high, made.sampled_page_views) == (0, 0, 0)


@pytest.mark.parametrize(
    ("own", "campaign", "schedule", "limit"),
    [
        (Budget(0, 7), Budget(0, 5), Schedule(), 5),
        (Budget(0, 0), Budget(90, 0), Schedule(), 90),
        (Budget(90, 0), Budget(0, 50), Schedule(1, 86_400_000 * 9 + 1), 10),
        (Budget(), Budget(), Schedule(), 0),
    ],
)
def test_the_limit_of_a_day_is_the_least_of_all(own: Budget, campaign: Budget, schedule: Schedule, limit: int) -> None:
    assert daily_limit(own, campaign, replace(LINE_ITEM, schedule=schedule)) == limit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    with closing(LmdbEventLog(tmp_path / "log")) as opened:
        yield opened


async def test_a_draft_is_held_against_the_event_log_and_not_saved(world: CampaignWorld, log: LmdbEventLog) -> None:
    _, campaign, creative, _ = world.a_whole_campaign()
    reader = PageViewReader(currency="EUR", tmax_ms=50)
    wire = exchange_pb2.PageView(
        placements=[exchange_pb2.Placement(
            placement_id="top", formats=[exchange_pb2.FORMAT_BANNER],
            sizes=[exchange_pb2.Size(width=300, height=250)], floor_micros=500_000,
        )]
    ).SerializeToString()  # fmt: skip
    tried = exchange_pb2.PageView.FromString(wire)
    tried.test = True
    now_ms = world.clock.now_ms()
    market = Market([a_line_item(1, bid_micros=600_000)])
    for hour in range(48):
        # Beside four page views one that is a test, which nobody will see.
        views = [reader.from_bytes(wire, now_ms) for _ in range(4)]
        await market.ask(*views, reader.from_bytes(tried.SerializeToString(), now_ms))
        for columns in market.published[-2:]:
            columns.held_at_ms = now_ms - (48 - hour) * 3_600_000
            log.append(AUCTIONS.name, [encode_auctions(columns)], columns.held_at_ms)
    forecasts = Forecasts(
        campaigns=world.campaigns, log=log, clock=world.clock, ranker=FlatRanker(), read=reader.from_bytes,
        near=lambda: RecordedNear(nothing_near, lambda _: None),
    )  # fmt: skip
    draft = LineItem(
        campaign_id=campaign.campaign_id, name="x", strategy=1, pricing_model=1, bid_micros=2_000_000,
        creative_ids=(creative.creative_id,), frequency_cap=FrequencyCap(1, 60), targeting=Targeting(segments=("a=b",)),
    )  # fmt: skip
    everybody = replace(draft, targeting=Targeting(), frequency_cap=FrequencyCap())
    before = world.campaigns.line_items(world.tenant_a, campaign.campaign_id).items
    made = forecasts.line_item(world.tenant_a, everybody)

    assert made.sampled_page_views == 192
    assert made.impressions.expected == pytest.approx(192 / (47 / 24), rel=0.01)
    assert made.spend_micros.expected == pytest.approx(made.impressions.expected * 610.001, rel=0.01)
    assert any("192 page views" in note for note in made.notes)
    assert forecasts.line_item(world.tenant_a, draft).opportunities.expected == 0
    assert any("cap" in note for note in forecasts.line_item(world.tenant_a, draft).notes)
    assert world.campaigns.line_items(world.tenant_a, campaign.campaign_id).items == before
    with pytest.raises(NotFound):
        forecasts.line_item(world.tenant_b, draft)
    with pytest.raises(InvalidInput):
        forecasts.line_item(world.tenant_a, replace(draft, bid_micros=-1))
    with pytest.raises(InvalidInput):
        forecasts.line_item(world.tenant_a, draft, days=99)
