"""Is a video held to the floor of its own length, in who may win and in what is paid, and is that in the record?"""

from __future__ import annotations

from typing import Any

import pytest

from app import explained_prices as prices
from exchange.creatives.fitting import floor_by_length
from exchange.ports import LineItemRecord
from exchange.refusals import Refusal
from exchange.replay import differences, why_not
from exchange.request import Deal, LengthFloors, PriceRule, VideoTerms
from streams.auction_block import AuctionColumns
from tests.builders import Market, a_creative, a_line_item, a_placement

VIDEO = (3, 640, 360)
RANGES = ((1, 15, 1_500_000), (16, 60, 4_000_000))


def a_film(number: int, seconds: int, bid_micros: int, **changes: Any) -> LineItemRecord:
    film = a_creative(
        number, format=3, width=640, height=360, duration_s=seconds, mime="video/mp4",
        video_url="https://cdn.example/film.mp4",
    )  # fmt: skip
    return a_line_item(number, bid_micros=bid_micros, creatives=(film,), **changes)


async def sold(
    items: list[LineItemRecord], rule: PriceRule = PriceRule.SECOND_PRICE, **changes: Any
) -> tuple[int, int, AuctionColumns]:
    """(the winning line item or 0, what it pays or why there is none, the record)."""
    market = Market(items)
    placement = a_placement("roll", **({"shapes": (VIDEO,), "floor_micros": 500_000} | changes))
    answer = await market.ask_one(placements=(placement,), price_rule=rule)
    (columns,) = market.published
    entry = answer.placements[0]
    if entry.ad is None:
        return 0, entry.no_ad_reason, columns
    return int(entry.ad.line_item_id.removeprefix("item-")), entry.ad.price_micros, columns


@pytest.mark.parametrize("rule", [PriceRule.SECOND_PRICE, PriceRule.QUALITY_WEIGHTED_GSP, PriceRule.VCG])
@pytest.mark.parametrize(
    ("video", "paid"),
    [
        (VideoTerms(least_cpm_per_second_micros=100_000), 3_000_000),
        (VideoTerms(floor_ranges=RANGES), 4_000_000),
        (VideoTerms(floor_ranges=((1, 15, 1_000_000),)), 500_000),
        (VideoTerms(floor_ranges=((1, 60, 200_000),)), 200_000),
    ],
)
async def test_alone_a_video_pays_the_floor_of_its_length(rule: PriceRule, video: VideoTerms, paid: int) -> None:
    winner, price, columns = await sold([a_film(1, 30, 9_000_000)], rule, video=video)

    assert (winner, price) == (1, paid)
    assert not why_not(columns)
    assert differences(columns) == []
    assert prices.why(columns, 0, 500_000, rule).endswith("worth more than the floor") or rule != PriceRule.SECOND_PRICE


async def test_a_short_video_may_win_where_a_long_one_is_too_cheap() -> None:
    items = [a_film(1, 30, 3_000_000), a_film(2, 10, 2_000_000)]

    winner, price, columns = await sold(items, video=VideoTerms(floor_ranges=RANGES))

    assert (winner, price) == (2, 1_500_000)
    assert Refusal.BELOW_FLOOR in columns.bid_outcome.tolist()
    assert sorted(columns.bid_own_floor_plus_one.tolist()) == [1_500_001, 4_000_001]
    assert differences(columns) == []


@pytest.mark.parametrize(
    ("deal_price", "paid"), [(PriceRule.SECOND_PRICE, 2_400_000), (PriceRule.AGREED_PRICE, 2_400_000)]
)
async def test_a_deal_has_floors_by_length_of_its_own(deal_price: PriceRule, paid: int) -> None:
    deal = Deal("d1", 100_000, int(deal_price), by_length=LengthFloors(per_second_micros=80_000))
    item = a_film(1, 30, 9_000_000, deal_ids=("d1",))

    winner, price, columns = await sold([item], video=VideoTerms(floor_ranges=RANGES), deals=(deal,))

    assert (winner, price) == (1, paid)
    assert differences(columns) == []


def test_what_the_exchange_asks_for_is_never_undercut_and_an_unknown_length_costs_the_most() -> None:
    terms = VideoTerms(floor_ranges=RANGES)
    raised = a_placement(floor_micros=3_000_000, video=terms, floor_raised=True)

    assert floor_by_length(raised, None, 10) == 3_000_000
    assert floor_by_length(a_placement(floor_micros=3_000_000, video=terms), None, 10) == 1_500_000
    assert floor_by_length(a_placement(floor_micros=9_000_000, video=terms), None, 0) == 9_000_000
    assert floor_by_length(a_placement(video=terms), None, 0) == 4_000_000
    assert floor_by_length(a_placement(video=VideoTerms()), None, 30) is None
