"""What is read out of an OpenRTB answer, field by field, and what becomes of what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bidders.openrtb_answer import bids_of
from common.money import ABSURD_PRICE_MICROS
from exchange.bidding import OutsideBid
from exchange.refusals import Refusal
from exchange.request import Deal, Format, Placement
from exchange.screening import verdict_of
from tests.builders import BANNER, LISTING, a_page_view, a_placement

VIDEO = (int(Format.VIDEO), 640, 360)
NATIVE = (int(Format.NATIVE), 0, 0)


def read(bid: object, placement: Placement | None = None, **answer: Any) -> list[OutsideBid]:
    content = {"id": "x", "cur": "EUR", "seatbid": [{"seat": "s1", "bid": [bid]}], **answer}
    return bids_of(json.dumps(content).encode(), "x", a_page_view(placements=(placement or a_placement(),)))


def a_bid(**changes: Any) -> dict[str, Any]:
    return {
        "id": "b1", "impid": "top", "price": 1.25, "adm": "<b>hello</b>", "crid": "c1", "adomain": ["brand.example"],
        **changes,
    }  # fmt: skip


def refusal(bid: dict[str, Any], **answer: Any) -> Refusal:
    (found,) = read(bid, **answer)
    view = a_page_view()
    return verdict_of(found, view, view.placements[0], 1.0 if found.currency == "EUR" else 0.0)[0]


def test_every_field_has_its_place() -> None:
    urls = {"nurl": "https://b.example/w", "burl": "https://b.example/b", "lurl": "https://b.example/l"}
    bid = a_bid(
        cat=["toys", "cars"], attr=[1, 16], langb="de-AT", bundle="com.app", dur=15, protocol=3, mtype=1,
        dealid="d1", w=320, h=50, **urls,
    )  # fmt: skip
    placement = a_placement(deals=(Deal("d1"),))

    assert read(bid, placement) == [
        OutsideBid(
            auction_id="x", placement_id="top", bid_id="b1", bid_micros=1_250_000, currency="EUR",
            advertiser_domain="brand.example", creative_id="c1", format=1, width=320, height=50,
            markup="<b>hello</b>", category="toys", deal_id="d1", seat="s1", categories=("toys", "cars"),
            attributes=(1, 16), language="de", app_bundle="com.app", duration_s=15, protocol=3, skippable=True, mtype=1,
            win_url=urls["nurl"], billing_url=urls["burl"], loss_url=urls["lurl"],
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "changes", "shape"),
    [
        ((BANNER,), {}, BANNER),
        ((BANNER, (1, 320, 50)), {}, (1, 0, 0)),
        ((BANNER, VIDEO), {"mtype": 2}, VIDEO),
        ((BANNER, VIDEO), {"adm": "<VAST version='4.2'/>"}, VIDEO),
        ((BANNER, NATIVE), {"adm": '{"assets":[]}'}, NATIVE),
        ((BANNER, NATIVE), {"adm": {"assets": []}}, NATIVE),
        ((LISTING,), {"mtype": 4, "w": 1, "h": 1}, LISTING),
        (((3, 0, 0),), {"mtype": 2, "w": 640, "h": 360}, (3, 0, 0)),
        ((BANNER,), {"mtype": 3}, (0, 0, 0)),
    ],
)
def test_what_is_left_out_is_taken_from_the_placement(shapes: Any, changes: dict[str, Any], shape: Any) -> None:
    (bid,) = read(a_bid(**changes), a_placement(shapes=shapes))

    assert (bid.format, bid.width, bid.height) == shape


@pytest.mark.parametrize(
    ("price", "micros"),
    [
        (0.29, 290_000), (1, 1_000_000), (0.0000019, 1), (1e308, ABSURD_PRICE_MICROS + 1), (-1, 0), ("1.5", 0),
        (None, 0), (True, 0), ([], 0), (10**30, ABSURD_PRICE_MICROS + 1), (5e-324, 0),
    ],
)  # fmt: skip
def test_a_price_is_whole_micros_never_more_than_said(price: object, micros: int) -> None:
    assert read(a_bid(price=price))[0].bid_micros == micros


@pytest.mark.parametrize(
    ("changes", "answer", "code"),
    [
        ({}, {}, Refusal.WON),
        ({"price": -3}, {}, Refusal.MISSING_PRICE),
        ({"price": 1e308}, {}, Refusal.INVALID_BID),
        ({"adomain": 7}, {}, Refusal.INVALID_ADVERTISER_DOMAIN),
        ({"crid": None}, {}, Refusal.MISSING_CREATIVE),
        ({"adm": ""}, {}, Refusal.MISSING_MARKUP),
        ({"adm": "x" * 1_000_000}, {}, Refusal.INVALID_BID),
        ({"id": "x" * 1_000_000}, {}, Refusal.INVALID_BID),
        ({"attr": [1] * 100_000}, {}, Refusal.INVALID_BID),
        ({"nurl": "javascript:alert(1)"}, {}, Refusal.INVALID_BID),
        ({"dealid": "none"}, {}, Refusal.INVALID_DEAL),
        ({"w": 1, "h": 1}, {}, Refusal.SIZE_NOT_ALLOWED),
        ({"mtype": 2}, {}, Refusal.FORMAT_NOT_ALLOWED),
        ({}, {"cur": None}, Refusal.WRONG_CURRENCY),
        ({}, {"cur": 5}, Refusal.WRONG_CURRENCY),
    ],
)
def test_what_is_wrong_is_refused_with_its_number(
    changes: dict[str, Any], answer: dict[str, Any], code: Refusal
) -> None:
    assert refusal(a_bid(**changes), **answer) == code


@pytest.mark.parametrize("bid", [None, 1, "bid", [], True])
def test_what_is_no_bid_is_left_out(bid: object) -> None:
    assert read(bid) == []


def test_an_answer_to_another_request_bids_for_nothing_of_this_one() -> None:
    assert read(a_bid(), id="another")[0].placement_id == ""
    assert read(a_bid(impid="elsewhere"))[0].placement_id == "elsewhere"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cat": ["IAB7-3"]}, Refusal.CATEGORY_BLOCKED),
        ({"cat": ["IAB1", "iab7"]}, Refusal.CATEGORY_BLOCKED),
        ({"adomain": ["brand.example", "Blocked.example"]}, Refusal.ADVERTISER_BLOCKED),
        ({"adomain": ["www.blocked.example"]}, Refusal.ADVERTISER_BLOCKED),
        ({"adomain": ["notblocked.example"], "cat": ["IAB70"]}, Refusal.WON),
        ({"adomain": ["brand.example", "no domain"]}, Refusal.INVALID_ADVERTISER_DOMAIN),
        ({"adomain": [f"{at}.example" for at in range(33)]}, Refusal.INVALID_BID),
    ],
)
def test_what_a_page_view_blocks_is_blocked_in_any_spelling(changes: dict[str, Any], code: Refusal) -> None:
    placement = a_placement(blocked_categories=("iab7",), blocked_advertisers=("blocked.example",))
    (found,) = read(a_bid(**changes), placement)

    assert verdict_of(found, a_page_view(placements=(placement,)), placement, 1.0)[0] == code


def test_allowed_categories_and_languages_are_found_in_any_spelling() -> None:
    (found,) = read(a_bid(cat=["IAB9-5"], language="DE-at"))
    view = a_page_view(allowed_categories=("iab9",), allowed_languages=("de",))

    assert verdict_of(found, view, view.placements[0], 1.0)[0] == Refusal.WON


@pytest.mark.parametrize(
    ("domains", "code"),
    [
        (["shop.brand.example"], Refusal.WON),
        (["brand.example", "other.example"], Refusal.NOT_ALLOWED_IN_DEAL),
    ],
)
def test_a_deal_holds_for_each_advertiser_that_the_bid_may_show(domains: list[str], code: Refusal) -> None:
    placement = a_placement(deals=(Deal("d1", advertiser_domains=("brand.example",)),))
    (found,) = read(a_bid(adomain=domains, dealid="d1"), placement)

    assert verdict_of(found, a_page_view(placements=(placement,)), placement, 1.0)[0] == code


@pytest.mark.parametrize(
    ("markup", "types", "code"),
    [
        ("<b>hello</b>", (2, 3, 4), Refusal.WON),
        ("<b>hello</b>", (1,), Refusal.AD_TYPE_BLOCKED),
        ('<a href="https://a.example"><img src="https://a.example/b.png"></a>', (1, 3, 4), Refusal.WON),
        ('<a href="https://a.example"><img src="https://a.example/b.png"></a>', (2,), Refusal.AD_TYPE_BLOCKED),
        ('<SCRIPT src="https://a.example/a.js"></SCRIPT><img src="https://a.example/b.png">', (2,), Refusal.WON),
        ('<SCRIPT src="https://a.example/a.js"></SCRIPT>', (3,), Refusal.AD_TYPE_BLOCKED),
        ('<img src=x onload="go()">', (3,), Refusal.AD_TYPE_BLOCKED),
        ('<iframe src="https://a.example"></iframe>', (4,), Refusal.AD_TYPE_BLOCKED),
    ],
)
def test_a_type_of_banner_that_is_blocked_is_refused(markup: str, types: tuple[int, ...], code: Refusal) -> None:
    placement = a_placement(blocked_types=types)
    (found,) = read(a_bid(adm=markup), placement)

    assert verdict_of(found, a_page_view(placements=(placement,)), placement, 1.0)[0] == code


@pytest.mark.parametrize(
    ("needs", "offered", "code"),
    [
        ({"apis": [5]}, (), Refusal.CREATIVE_FILTERED),
        ({"api": 5}, (3,), Refusal.CREATIVE_FILTERED),
        ({"apis": [3, 5]}, (5, 3), Refusal.WON),
        ({}, (), Refusal.WON),
        ({"apis": list(range(100))}, tuple(range(100)), Refusal.INVALID_BID),
    ],
)
def test_a_framework_that_is_not_offered_is_not_there(
    needs: dict[str, Any], offered: tuple[int, ...], code: Refusal
) -> None:
    placement = a_placement(apis=offered)
    (found,) = read(a_bid(**needs), placement)

    assert verdict_of(found, a_page_view(placements=(placement,)), placement, 1.0)[0] == code
