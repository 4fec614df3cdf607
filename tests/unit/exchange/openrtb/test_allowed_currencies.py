"""May bids be in every currency that the request allows, and in no other?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exchange.bidding import OutsideBid
from exchange.openrtb.allowed_currencies import bid_currencies
from exchange.refusals import Refusal
from exchange.request import PageView
from protos import exchange_pb2 as pb
from tests.builders import a_line_item, an_outside_bid
from tests.openrtb_desk import Desk, Rates

IMP = {"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}, "bidfloor": 0.1, "bidfloorcur": "EUR"}


class BidsInDollars:
    name = "dollars"
    timeout_ms = 1_000

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        return [an_outside_bid(auction_id, currency="USD", bid_micros=10_300_000) for auction_id in auction_ids]


def request(**changes: Any) -> dict[str, Any]:
    return {"id": "r", "imp": [IMP], "site": {"page": "https://shop.example/"}, "at": 1, **changes}


def test_ours_stands_first_and_what_has_no_rate_is_left_out() -> None:
    assert bid_currencies({"cur": ["USD", "XTS", "USD", "EUR"]}, "EUR", Rates()) == ("EUR", "USD")
    assert bid_currencies({"cur": ["EUR"]}, "EUR", Rates()) == ()
    assert bid_currencies({"cur": ["XTS"]}, "EUR", Rates()) == ()
    assert bid_currencies({}, "EUR", Rates()) == ()


async def test_a_bid_in_an_allowed_currency_wins_by_its_worth_in_ours() -> None:
    desk = Desk([a_line_item(1, bid_micros=9_000_000)], outside=[BidsInDollars()])

    came = (await desk.post(request(cur=["EUR", "USD"]))).json()

    # 10.30 USD are 10.00 EUR by the auction's table, one more than the line item's 9.00.
    assert came["cur"] == "EUR"
    assert [bid["price"] for seat in came["seatbid"] for bid in seat["bid"]] == [10.0]


async def test_a_bid_in_a_currency_that_was_not_allowed_is_refused_with_its_number() -> None:
    desk = Desk([a_line_item(1, bid_micros=9_000_000)], outside=[BidsInDollars()])

    came = (await desk.post(request(cur=["EUR", "GBP"]))).json()

    assert [bid["price"] for seat in came["seatbid"] for bid in seat["bid"]] == [9.0]
    assert int(Refusal.WRONG_CURRENCY) in desk.market.published[0].bid_outcome


@pytest.mark.parametrize("wanted", [["USD"], ["XTS", "USD"]])
async def test_an_asker_that_takes_dollars_alone_gets_dollars_whatever_was_bid_in(wanted: list[str]) -> None:
    desk = Desk([a_line_item(1, bid_micros=9_000_000)])

    came = (await desk.post(request(cur=wanted))).json()

    assert came["cur"] == "USD"
    assert [bid["price"] for seat in came["seatbid"] for bid in seat["bid"]] == [10.0]


async def test_the_record_says_which_currencies_were_allowed() -> None:
    desk = Desk([a_line_item(1)])

    await desk.post(request(cur=["USD", "GBP"]))

    (logged,) = desk.market.published[0].page_view
    assert list(pb.PageView.FromString(logged).currencies) == ["EUR", "USD", "GBP"]
