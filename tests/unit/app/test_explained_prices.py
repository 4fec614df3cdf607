"""The price of a recorded auction is told with the rule that set it, the deal, and the rate of its currency."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from app import explained_prices as prices
from exchange.page_rules import PageRules
from exchange.request import PriceRule
from streams.auction_block import AuctionColumns, OfferedDeal
from tests.builders import Market, a_line_item, a_placement


async def a_record(rule: PriceRule, **changes: object) -> tuple[AuctionColumns, int]:
    dear, other = a_line_item(1, bid_micros=4_000_000, currency="USD"), a_line_item(2, bid_micros=2_000_000)
    market = Market([dear, other])
    await market.ask_one(price_rule=int(rule), **changes)
    columns = market.published[0]
    return columns, int(columns.winner_row_plus_one[0]) - 1


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (PriceRule.FIRST_PRICE, "first price: its own bid"),
        (PriceRule.SECOND_PRICE, "second price plus: the runner-up and one step of 0.01 EUR a thousand"),
        (PriceRule.QUALITY_WEIGHTED_GSP, "generalised second price: what keeps its rank before the next"),
        (PriceRule.VCG, "VCG: what the other advertisers lose by it, 1.50 EUR a thousand above the floor"),
    ],
)
async def test_each_rule_has_its_sentence(rule: PriceRule, sentence: str) -> None:
    columns, winner = await a_record(rule)

    assert prices.why(columns, winner, 500_000, rule) == sentence


async def test_the_floor_and_the_own_bid_are_told_apart() -> None:
    columns, winner = await a_record(PriceRule.VCG, placements=(a_placement("top", floor_micros=3_000_000),))
    assert "nobody else" in prices.why(columns, winner, 3_000_000, PriceRule.VCG)

    columns.bid_price_micros[winner] = columns.bid_micros[winner]
    assert "capped by its own bid" in prices.why(columns, winner, 500_000, PriceRule.SECOND_PRICE)


async def test_a_deal_is_told_with_its_own_rule() -> None:
    columns, winner = await a_record(PriceRule.SECOND_PRICE)
    under = np.zeros(len(columns.bid_placement), np.uint32)
    under[winner] = 1
    dealt = replace(columns, bid_deal_plus_one=under, deals=[OfferedDeal(0, "spring", 700_000, 3, True)])

    assert prices.why(dealt, winner, 500_000, PriceRule.SECOND_PRICE) == (
        "the agreed price: 0.70 EUR a thousand, whatever was bid (under deal spring)"
    )
    deal = prices.deal_of(dealt, winner)
    assert deal is not None
    words = prices.deal_in_words(dealt, deal)
    assert words == "spring: guaranteed, floor 0.70 EUR a thousand, the agreed price"


async def test_a_bid_in_another_currency_is_told_with_its_rate() -> None:
    columns, winner = await a_record(PriceRule.SECOND_PRICE)

    assert prices.own_currency(columns, winner) == "USD"
    assert prices.rate(columns, winner).startswith("1 USD = 0.970874 EUR (rates 2025-01-02-")
    assert prices.rate(columns, 1 - winner) == ""


async def test_page_rules_are_told_where_they_are_not_the_usual_ones() -> None:
    columns, _ = await a_record(PriceRule.FIRST_PRICE, page_rules=PageRules(separate_categories=True, most_ads=2))

    assert prices.page_in_words(columns, 0)["page_rules"] == [
        "at most 1 of an advertiser", "each product once", "competitors of a category apart", "at most 2 ads",
    ]  # fmt: skip
