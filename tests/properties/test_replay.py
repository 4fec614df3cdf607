"""Does every recorded batch come to the same again, byte for byte, and does the replay notice what was changed?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from exchange.bidding import OutsideBid
from exchange.pacing_draw import Paces, threshold_of
from exchange.packed_bids import unpacked
from exchange.page_rules import PageRules
from exchange.ports import LineItemRecord, PageColumns
from exchange.refusals import Refusal
from exchange.replay import BEFORE_REPLAYS, differences, replayed, why_not
from exchange.request import Deal, Format, PageView, Placement, VideoTerms
from exchange.viewable_rates import Shown
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Record
from tests.builders import (
    BANNER,
    FlatRanker,
    Market,
    a_creative,
    a_line_item,
    a_page_view,
    a_placement,
    an_outside_bid,
)

VIDEO = (int(Format.VIDEO), 640, 360)
CURRENCIES = ("EUR", "EUR", "USD", "BDT")


class Uneven(FlatRanker):
    """Chances with all 53 bits in use, so that 32 would tell another story."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._draw = np.random.default_rng(seed)

    def score(
        self,
        compiled: object,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: PageColumns,
    ) -> NDArray[np.float64]:
        return self._draw.uniform(1e-4, 0.2, len(product_rows))


class Stranger:
    """An outside bidder whose bids are good and bad."""

    name = "stranger"
    timeout_ms = 50

    def __init__(self, draw: Random) -> None:
        self._draw = draw

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        return [
            an_outside_bid(auction_id, bid_id=f"bid-{at}", placement_id=placement.placement_id, **self._changes())
            for auction_id, view in zip(auction_ids, views, strict=True)
            for at, placement in enumerate(view.placements)
            if self._draw.random() < 0.6
        ]

    def _changes(self) -> dict[str, Any]:
        draw = self._draw
        return {
            "bid_micros": draw.choice([-1, 1, 400_000, 2_000_000, draw.randrange(1, 20_000_000), 10**18]),
            "currency": draw.choice(["EUR", "EUR", "USD", "ZZZ"]),
            "advertiser_domain": draw.choice(["brand-1.example", "outside.example", "other.example", "<script>"]),
            "product_id": draw.choice(["", "product-1", "their-product"]),
            "category": draw.choice(["", "furniture", "toys"]),
            "deal_id": draw.choice(["", "", "spring", "nowhere"]),
            "markup": draw.choice(["<b>hello</b>", "<b>hello</b>", ""]),
        }


def an_item(draw: Random, number: int) -> LineItemRecord:
    video = draw.random() < 0.2
    shape = {"format": 3, "width": 640, "height": 360, "video_url": "https://v.example/a", "duration_s": 15}
    creative = a_creative(
        number,
        product_id=draw.choice(["", "product-1", f"product-{number}"]),
        category=draw.choice(["furniture", "toys"]),
        **(shape if video else {}),
    )
    brand = draw.randrange(1, 7)
    return a_line_item(
        number,
        # Line items of one campaign share its account, those of one brand its domain.
        campaign_id=f"campaign-{brand}", campaign_number=brand, advertiser_id=f"advertiser-{brand}",
        advertiser_domain=f"brand-{brand}.example",
        pricing_model=draw.choice([1, 1, 2, 3, 4]),
        bid_micros=draw.choice([2_000_000, draw.randrange(300_000, 9_000_000)]),
        currency=draw.choice(CURRENCIES),
        deal_ids=draw.choice([(), (), ("spring",), ("spring", "autumn")]),
        strategy=draw.choice([1, 1, 2]),
        creatives=(creative,),
    )  # fmt: skip


def a_place(draw: Random, at: int) -> Placement:
    deals = tuple(
        Deal(
            name,
            floor_micros=draw.randrange(0, 3_000_000),
            price_rule=draw.choice([0, 1, 2, 3, 501]),
            guaranteed=draw.random() < 0.3,
        )
        for name in draw.choice([(), (), ("spring",), ("autumn", "spring")])
    )
    video = draw.random() < 0.2
    return a_placement(
        f"place-{at}",
        floor_micros=draw.choice([0, 500_000, draw.randrange(0, 4_000_000)]),
        deals=deals,
        private_auction=bool(deals) and draw.random() < 0.2,
        shapes=(VIDEO,) if video else (BANNER,),
        video=VideoTerms(least_cpm_per_second_micros=draw.choice([0, 150_000])) if video else None,
    )


def a_view(draw: Random, number: int, rule: int) -> PageView:
    return a_page_view(
        request_id=f"request-{number}",
        visitor_id=f"visitor-{number}",
        placements=tuple(a_place(draw, at) for at in range(draw.randrange(1, 5))),
        price_rule=rule,
        test=draw.random() < 0.15,
        currency=draw.choice(["", "", "USD"]),
        currencies=draw.choice([(), ("EUR", "USD")]),
        page_rules=draw.choice(
            [
                None,
                PageRules(),
                PageRules(most_per_advertiser=draw.randrange(0, 3), separate_categories=True, separate_products=False),
                PageRules(most_ads=draw.randrange(1, 3), most_share_per_advertiser=0.5),
            ]
        ),
    )


def records_of(draw: Random) -> list[AuctionColumns]:
    """What a random market publishes: several batches, while its budgets run out."""
    paced = draw.random() < 0.3

    def paces(numbers: Sequence[int]) -> Paces:
        count = 64 if paced else 0
        none = np.zeros(count, np.int64)
        low = np.array([number & (1 << 64) - 1 for number in numbers], np.uint64)
        return Paces(
            threshold_of(np.full(count, 0.5)), np.full(count, 10**15), none.copy(), none.copy(), none.copy(), low, 0
        )

    market = Market(
        [an_item(draw, number) for number in range(1, draw.randrange(2, 24))],
        outside=[Stranger(draw)] if draw.random() < 0.7 else [],
        engagement_value_micros=draw.choice([0, 3_000, 50_000]),
        squashing=draw.choice([1.0, 0.6]),
        ranker=Uneven(draw.randrange(1 << 30)),
        paces=paces,
        viewable={("", f"place-{at}"): Shown(1000, draw.randrange(1001)) for at in range(3)},
    )
    rules = draw.choice([(1,), (2,), (501,), (502,), (1, 2, 501, 502)])
    for batch in range(draw.randrange(1, 4)):
        if draw.random() < 0.6:
            # One impression costs some thousand micros: a few of them, or none.
            market.purse.available[:64] = [draw.choice([0, 1_500, 4_000, 20_000, 10**9]) for _ in range(64)]
        views = [a_view(draw, 10 * batch + number, draw.choice(rules)) for number in range(draw.randrange(1, 6))]
        asyncio.run(market.auction.hold_auctions(views))
    return market.published


def at_length(columns: AuctionColumns) -> AuctionColumns:
    """The record as it was written before what repeats was packed."""
    told = unpacked(columns)
    return replace(
        columns,
        cleared_bids=0, chance_rest=np.zeros(0, np.int32), ad_pricing=b"", ad_advertiser=b"", ad_product=b"",
        ad_category=b"", bid_chance=told.chance, bid_pricing=told.pricing.astype(np.uint32),
        bid_advertiser=told.advertiser.astype(np.uint32), bid_product=told.product.astype(np.uint32),
        bid_category=told.category.astype(np.uint32),
    )  # fmt: skip


def through_the_log(columns: AuctionColumns) -> AuctionColumns:
    read = schemas.decode("auctions", Record(0, 0, encode_auctions(columns)))
    assert isinstance(read, AuctionColumns)
    return read


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**32))
def test_every_published_batch_replays_byte_for_byte(seed: int) -> None:
    for columns in records_of(Random(seed)):
        for record in (columns, through_the_log(columns), through_the_log(at_length(columns))):
            before = encode_auctions(record)
            assert why_not(record) == ""
            assert differences(record) == []
            # What was replayed has not been touched by it.
            assert encode_auctions(record) == before


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**32))
def test_no_winner_can_be_changed_unnoticed(seed: int) -> None:
    for columns in records_of(Random(seed)):
        record = through_the_log(columns)
        for winner in (record.winner_row_plus_one[record.winner_row_plus_one > 0] - 1).tolist():
            changed = replace(record, bid_micros=record.bid_micros.copy())
            changed.bid_micros[winner] = 0
            assert any(found.row == winner for found in differences(changed))
            changed = replace(record, bid_price_micros=record.bid_price_micros.copy())
            changed.bid_price_micros[winner] += 1
            (found,) = differences(changed)
            assert (found.column, found.row) == ("bid_price_micros", winner)
            assert found.recorded == found.replayed + 1


@pytest.mark.slow
def test_the_random_markets_have_all_that_a_record_can_hold() -> None:
    """Were a kind of outcome never met, the property above would say nothing of it."""
    records = [record for seed in range(250) for record in records_of(Random(seed))]

    outcomes = {Refusal(int(code)) for record in records for code in record.bid_outcome}
    assert outcomes >= {
        Refusal.WON, Refusal.BELOW_FLOOR, Refusal.BELOW_DEAL_FLOOR, Refusal.PRIVATE_AUCTION, Refusal.BUDGET_EXHAUSTED,
        Refusal.LOST_TO_HIGHER_BID, Refusal.LOST_TO_DEAL, Refusal.BRAND_ON_PAGE, Refusal.PRODUCT_ON_PAGE,
        Refusal.CATEGORY_ON_PAGE, Refusal.AD_LOAD_REACHED, Refusal.MISSING_MARKUP, Refusal.WRONG_CURRENCY,
        Refusal.INVALID_DEAL, Refusal.PACED,
    }  # fmt: skip
    assert any(record.available_micros.size for record in records), "money under VCG"
    assert any(record.test_page_view.size for record in records)
    assert any(record.placement_viewable.size for record in records)
    before = [record.bid_outcome[record.refused_before] for record in records]
    assert any((outcomes == int(Refusal.BELOW_FLOOR)).any() for outcomes in before), "a video too cheap for its length"
    # The float32 that readers of before know would not do.
    rounded = [replace(record, chance_rest=np.zeros_like(record.chance_rest)) for record in records]
    assert any(differences(record) for record in rounded)


def test_a_record_of_before_says_so() -> None:
    columns = records_of(Random(1))[0]

    assert why_not(replace(columns, conversion_rate=0.0)) == BEFORE_REPLAYS


def test_a_damaged_record_never_reaches_the_kernels() -> None:
    records = [record for seed in range(40) for record in records_of(Random(seed)) if record.cleared_bids > 1]
    record = next(record for record in records if record.bid_deal_plus_one.size and record.bid_currency.size)
    beyond = np.full(len(record.bid_placement), 1 << 20, np.uint32)

    for name in ("bid_placement", "bid_deal_plus_one", "bid_currency"):
        assert "damaged" in why_not(replace(record, **{name: beyond})), name
    cut = beyond[: record.cleared_bids]
    assert "damaged" in why_not(replace(record, bid_account=cut, bid_campaign_account=cut))
    assert "damaged" in why_not(replace(record, refused_before=cut))
    assert "damaged" in why_not(replace(record, chance_rest=record.chance_rest[:-1]))
    assert "damaged" in why_not(replace(record, bid_creative=record.bid_creative * 0 + 1, bid_line_item=beyond * 0 + 1))
    for name in ("ad_pricing", "ad_advertiser", "ad_product", "ad_category"):
        assert "damaged" in why_not(replace(record, **{name: getattr(record, name)[:-1]})), name


def test_a_paused_exchange_is_replayed_too() -> None:
    market = Market([a_line_item(1)])
    market.auction._paused = lambda: True
    asyncio.run(market.ask_one())

    assert why_not(market.published[0]) == ""
    assert replayed(market.published[0]).winner_row_plus_one.tolist() == [0]
