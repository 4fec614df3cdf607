"""Is what was sold told rightly, and what was not with its reason?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from exchange.answer import Answer
from exchange.openrtb.allowed_currencies import answer_currency
from exchange.openrtb.native_listing import as_native
from exchange.openrtb.non_bids import STATUS_OF, status_of
from exchange.refusals import NO_BIDS, Refusal
from exchange.request import NativeTerms, PageView
from tests.builders import a_creative, a_line_item
from tests.openrtb_desk import Desk, Rates

IMP = {"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}, "bidfloor": 0.1, "bidfloorcur": "EUR"}


def request(*imps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"id": "r", "imp": list(imps) or [IMP], "site": {"page": "https://shop.example/"}, **changes}


async def bids(desk: Desk, asked: dict[str, Any]) -> list[dict[str, Any]]:
    came = await desk.post(asked)
    assert came.status == 200, came.body
    return [bid for seat in came.json()["seatbid"] for bid in seat["bid"]]


@pytest.mark.parametrize("micros", [1_234_567, 1_000_001, 999_999, 123_456_789_012])
async def test_a_price_is_its_micros_exactly(micros: int) -> None:
    desk = Desk([a_line_item(1, bid_micros=micros)])

    (bid,) = await bids(desk, request(at=1))

    assert round(bid["price"] * 1_000_000) == micros
    assert f"{bid['price']:.6f}" == f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


async def test_the_price_of_a_click_is_told_by_what_it_is_worth_and_never_above_the_bids_worth() -> None:
    desk = Desk([a_line_item(1, pricing_model=2, bid_micros=300_000)], chance=0.01)

    (bid,) = await bids(desk, request(at=1))

    assert bid["price"] == 3.0
    assert bid["ext"]["haat"] == {"pricing_model": 2, "price_micros": 300_000}


async def test_the_worth_of_a_click_covers_the_floor_that_it_was_sold_at() -> None:
    desk = Desk([a_line_item(1, pricing_model=2, bid_micros=300_000)], chance=0.003)

    (bid,) = await bids(desk, request({**IMP, "bidfloor": 0.7}))

    assert 0.7 <= bid["price"] <= 0.9


async def test_an_answer_in_another_currency_rounds_down() -> None:
    desk = Desk([a_line_item(1, bid_micros=1_000_000)])

    came = (await desk.post(request(at=1, cur=["JPY", "USD"]))).json()

    assert came["cur"] == "USD"
    assert came["seatbid"][0]["bid"][0]["price"] == 1.111111


def test_the_currency_of_the_answer_is_ours_where_it_is_taken() -> None:
    assert answer_currency({}, "EUR", Rates()) == "EUR"
    assert answer_currency({"cur": ["USD", "EUR"]}, "EUR", Rates()) == "EUR"
    assert answer_currency({"cur": ["XTS", "GBP"]}, "EUR", Rates()) == "GBP"
    assert answer_currency({"cur": ["XTS"]}, "EUR", Rates()) == ""


async def test_links_and_the_deal_of_an_ad_are_told() -> None:
    desk = Desk([a_line_item(1)])
    desk.auctions._links = lambda ad, _from_browser: {"burl": f"https://exchange.example/b/{ad.impression_id}"}

    (bid,) = await bids(desk, request({**IMP, "exp": 60}))

    assert bid["burl"] == f"https://exchange.example/b/{bid['id']}"
    assert bid["exp"] == 60
    assert "dealid" not in bid


async def test_an_ad_that_was_sold_under_a_deal_names_it() -> None:
    desk = Desk([a_line_item(1)])
    held = desk.auctions._hold_auction

    async def under_a_deal(view: PageView) -> Answer:
        answer = await held(view)
        (placement,) = answer.placements
        assert placement.ad is not None
        sold = replace(placement, ad=replace(placement.ad, deal_id="d1"))
        return replace(answer, placements=(sold,))

    desk.auctions._hold_auction = under_a_deal

    (bid,) = await bids(desk, request())

    assert bid["dealid"] == "d1"


async def test_a_prebid_client_is_answered_as_the_seat_it_asked() -> None:
    desk = Desk([a_line_item(1)])
    imp = {**IMP, "ext": {"prebid": {"bidder": {"other": {}, "haat": {}}}}}

    ours = (await desk.post(request(imp, ext={"prebid": {}}))).json()
    renamed = {**IMP, "ext": {"prebid": {"bidder": {"bazaar": {}}}}}
    theirs = (await desk.post(request(renamed, ext={"prebid": {}}))).json()

    assert [seat["seat"] for seat in ours["seatbid"]] == ["haat"]
    assert [seat["seat"] for seat in theirs["seatbid"]] == ["bazaar"]
    assert theirs["ext"]["responsetimemillis"] == {"bazaar": 0}


async def test_each_bid_names_the_impression_that_it_is_for() -> None:
    desk = Desk([a_line_item(1), a_line_item(2, creatives=(a_creative(2, width=728, height=90),))])
    audio = {"id": "a", "audio": {"mimes": ["audio/mp4"]}}
    leader = {"id": "l", "banner": {"w": 728, "h": 90}}

    came = (await desk.post(request(audio, leader, {**IMP, "id": "b"}))).json()

    assert {bid["impid"]: bid["w"] for seat in came["seatbid"] for bid in seat["bid"]} == {"l": 728, "b": 300}
    assert came["ext"]["seatnonbid"] == [{"seat": "haat", "nonbid": [{"impid": "a", "statuscode": 202}]}]


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS_OF) == {*Refusal, NO_BIDS}
    assert status_of(Refusal.BELOW_FLOOR) == 301
    assert status_of(987_654) == 0


def test_a_listing_fills_the_assets_that_it_can() -> None:
    terms = NativeTerms(
        ((1, "title", 0, True, 5, 0, 0), (2, "img", 3, True, 0, 1, 1), (3, "img", 1, False, 0, 1, 1),
         (4, "data", 13, True, 0, 0, 0), (5, "data", 6, False, 0, 0, 0), (6, "video", 0, False, 0, 0, 0))
    )  # fmt: skip
    markup = json.dumps(
        {"title": "A long title", "image_url": "https://i", "landing_url": "https://l", "product_id": "p"}
    )

    assert json.loads(as_native(markup, terms)) == {
        "ver": "1.2",
        "assets": [
            {"id": 1, "title": {"text": "A lon"}},
            {"id": 2, "img": {"url": "https://i", "type": 3}},
            {"id": 4, "data": {"value": "p", "type": 13}},
        ],
        "link": {"url": "https://l"},
    }


@pytest.mark.parametrize("markup", ["<b>", "[]", '{"ver":"1.2","assets":[],"link":{"url":"x"}}'])
def test_what_is_no_listing_stays_as_it_is(markup: str) -> None:
    assert as_native(markup, NativeTerms()) == markup
