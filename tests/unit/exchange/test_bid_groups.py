"""A buyer that wants several placements together gets all of them or none, and nobody pays for the attempt."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from bidders.openrtb_answer import bids_of
from exchange.bidding import OutsideBid
from exchange.refusals import Refusal
from exchange.replay import differences, why_not
from exchange.request import PageView, PriceRule
from tests.builders import Market, a_line_item, a_page_view, a_placement, an_outside_bid

PAGE = (a_placement("a"), a_placement("b"), a_placement("c"))


class Buyer:
    """Bids `prices` (units, by placement) as one group of so many bids."""

    timeout_ms = 50

    def __init__(self, name: str, prices: dict[str, float], group_bids: int | None = None) -> None:
        self.name, self._prices, self._group_bids = name, prices, group_bids

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        count = len(self._prices) if self._group_bids is None else self._group_bids
        return [
            replace(
                an_outside_bid(auction_id, placement_id=placement), bid_micros=int(price * 1_000_000), group=1,
                group_bids=count, advertiser_domain=f"{placement}-{self.name}.example",
                creative_id=f"{self.name}-{placement}",
            )
            for auction_id in auction_ids
            for placement, price in self._prices.items()
        ]  # fmt: skip


async def sold(market: Market, rule: int = PriceRule.SECOND_PRICE) -> list[str]:
    """Who has which placement: "name" of a buyer, the line item, or "" for nobody."""
    answer = await market.ask_one(placements=PAGE, price_rule=rule)
    (columns,) = market.published[-1:]
    assert not why_not(columns)
    assert differences(columns) == []
    ads = [placed.ad for placed in answer.placements]
    return [(ad.line_item_id or ad.facts.creative_id) if ad is not None else "" for ad in ads]


@pytest.mark.parametrize("rule", [PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE, PriceRule.QUALITY_WEIGHTED_GSP, 502])
async def test_a_group_wins_as_a_whole_or_not_at_all(rule: int) -> None:
    items = [a_line_item(number, bid_micros=3_000_000) for number in (1, 2, 3)]
    before = Market(items).purse.available.copy()

    whole = Market(items, outside=[Buyer("g", {"a": 4.0, "b": 5.0, "c": 5.0})])
    assert await sold(whole, rule) == ["g-a", "g-b", "g-c"]
    assert (whole.purse.available == before).all()

    part = Market(items, outside=[Buyer("g", {"a": 2.0, "b": 5.0})])
    assert sorted(await sold(part, rule)) == ["item-1", "item-2", "item-3"]
    assert part.published[-1].bid_outcome.tolist().count(int(Refusal.GROUP_NOT_WON)) == 2
    reserved = int(part.published[-1].bid_reserved_micros.sum())
    assert int((before - part.purse.available).sum()) == 2 * reserved > 0


async def test_a_group_that_is_not_there_as_a_whole_is_none() -> None:
    market = Market(outside=[Buyer("g", {"a": 4.0, "b": 5.0}, group_bids=3)])

    assert await sold(market) == ["", "", ""]
    assert set(market.published[-1].bid_outcome.tolist()) == {int(Refusal.GROUP_NOT_WON)}


async def test_a_bid_that_is_refused_takes_its_group_with_it() -> None:
    market = Market(outside=[Buyer("g", {"a": 4.0, "b": 0.1})])

    assert await sold(market) == ["", "", ""]


async def test_of_two_groups_in_each_others_way_the_one_that_brings_more_stays() -> None:
    rich, poor = Buyer("rich", {"a": 4.0, "b": 6.0}), Buyer("poor", {"a": 5.0, "b": 3.0})

    assert await sold(Market(outside=[poor, rich])) == ["rich-a", "rich-b", ""]


async def test_many_groups_come_to_an_end() -> None:
    buyers = [Buyer(f"g{at}", {"a": 1.0 + at, "b": 20.0 - at, "c": 5.0 + at % 3}) for at in range(12)]

    assert len(set(await sold(Market([a_line_item(1)], outside=buyers)))) <= 3


def test_a_group_is_read_from_its_seat() -> None:
    bid = {"id": "1", "impid": "top", "price": 1, "adm": "x", "crid": "c", "adomain": ["brand.example"]}
    seats = [
        {"bid": [bid]},
        {"group": 1, "bid": [bid, bid, 7]},
        {"group": 1, "bid": [bid]},
        {"group": 0, "bid": [bid, bid]},
    ]
    body = json.dumps({"id": "x", "cur": "EUR", "seatbid": seats}).encode()

    found = [(bid.group, bid.group_bids) for bid in bids_of(body, "x", a_page_view())]
    assert found == [(0, 0), (2, 3), (2, 3), (0, 0), (0, 0), (0, 0)]
