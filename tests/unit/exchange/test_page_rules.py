"""How many of what a page may carry: counts, shares, and where a rule comes from."""

from __future__ import annotations

import numpy as np
import pytest

from exchange.clearing_terms import clearing_terms
from exchange.page_rules import NO_LIMIT, PageRules
from exchange.refusals import Refusal
from exchange.request import Deal
from streams import schemas
from streams.auction_block import AuctionColumns, OfferedDeal, encode_auctions
from streams.ports import Record
from tests.builders import Market, a_line_item, a_page_view, a_placement


@pytest.mark.parametrize(
    ("rules", "placements", "limits"),
    [
        (PageRules(), 3, (1, NO_LIMIT, 1)),
        (PageRules(most_per_advertiser=0), 3, (NO_LIMIT, NO_LIMIT, 1)),
        (PageRules(most_per_advertiser=0, most_share_per_advertiser=0.5), 5, (2, NO_LIMIT, 1)),
        (PageRules(most_per_advertiser=1, most_share_per_advertiser=0.5), 5, (1, NO_LIMIT, 1)),
        (PageRules(most_per_advertiser=0, most_share_per_advertiser=1 / 3), 3, (1, NO_LIMIT, 1)),
        (PageRules(most_ads_share=0.1), 3, (1, 1, 1)),
        (PageRules(most_ads=2, most_ads_share=0.9), 3, (1, 2, 1)),
        (PageRules(separate_products=False, separate_categories=True), 3, (1, NO_LIMIT, 2)),
        (PageRules(most_per_advertiser=2**32 - 1, most_ads=2**32 - 1), 3, (NO_LIMIT, NO_LIMIT, 1)),
    ],
)
def test_limits_of_a_page(rules: PageRules, placements: int, limits: tuple[int, int, int]) -> None:
    assert rules.limits(placements) == limits


def test_a_page_view_goes_by_its_own_rules_and_else_by_the_exchanges() -> None:
    page = (a_placement("a"), a_placement("b"), a_placement("c"), a_placement("d"))
    views = [a_page_view(placements=page), a_page_view(placements=page[:2], page_rules=PageRules(most_ads=1))]

    terms = clearing_terms(views, np.array([0, 4, 6], np.int32), page_rules=PageRules(most_ads_share=0.5))

    assert terms.most_ads.tolist() == [2, 1]
    assert terms.most_per_advertiser.tolist() == [1, 1]


async def test_deals_and_private_auctions_are_recorded_as_they_were_held_to() -> None:
    market = Market([a_line_item(1)])
    deals = (Deal("spring", floor_micros=830_000, guaranteed=True), Deal("fixed", floor_micros=8_300, price_rule=3))
    page = (a_placement("a"), a_placement("b", deals=deals, private_auction=True))

    answer = await market.ask_one(placements=page, currency="GBP")

    columns = schemas.decode("auctions", Record(0, 0, encode_auctions(market.published[0])))
    assert isinstance(columns, AuctionColumns)
    assert columns.deals == [OfferedDeal(1, "spring", 1_000_000, 0, True), OfferedDeal(1, "fixed", 10_000, 3, False)]
    assert columns.private_auction.tolist() == [0, 1]
    assert answer.placements[1].no_ad_reason == Refusal.PRIVATE_AUCTION
