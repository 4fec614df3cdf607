"""Is a site's request sold only where its ads.txt lets us, and does everything else go on?"""

from __future__ import annotations

from typing import Any

import pytest

from exchange.ads_txt import Standing
from exchange.openrtb.seller_check import SellerCheck, domain_of
from tests.builders import a_line_item
from tests.openrtb_desk import SHOP, Desk

STANDINGS = {"good.example": Standing.DIRECT, "bad.example": Standing.UNAUTHORISED}


def standing(domain: str, account: str) -> Standing:
    assert account == SHOP
    return STANDINGS.get(domain, Standing.UNAVAILABLE)


def request(**channel: Any) -> dict[str, Any]:
    imp = {"id": "1", "banner": {"w": 300, "h": 250}}
    return {"id": "r", "imp": [imp], "test": 1, **(channel or {"site": {"id": "s"}})}


@pytest.mark.parametrize(
    ("site", "domain"),
    [
        ({"domain": "WWW.Shop.example."}, "shop.example"),
        ({"page": "https://news.shop.example:8443/a?b"}, "news.shop.example"),
        ({"domain": "shop.example", "page": "https://other.example/"}, "shop.example"),
        ({"page": "https://192.0.2.7/"}, ""),
        ({"page": "https://localhost/"}, ""),
        ({"page": "http://[::1"}, ""),
        ({"domain": "shop.example/x"}, ""),
        ({"domain": "a@shop.example"}, ""),
        ({"domain": "shop.example:80"}, ""),
        ({"domain": "x" * 300 + ".example"}, ""),
        ({}, ""),
    ],
)
def test_the_domain_is_a_name_of_the_open_web_or_none(site: dict[str, str], domain: str) -> None:
    assert domain_of({"site": site}) == domain


async def test_what_is_not_authorised_gets_no_bid_with_its_reason_where_that_is_enforced() -> None:
    desk = Desk([a_line_item(1)], sellers=SellerCheck(standing, enforce=True))

    came = (await desk.post(request(site={"domain": "bad.example"}), query="nobid=200")).json()

    assert (came["nbr"], came["seatbid"]) == (12, [])
    assert "bad.example" in came["ext"]["warnings"]["general"][0]["message"]
    assert desk.views == []


@pytest.mark.parametrize("enforce", [True, False])
@pytest.mark.parametrize("channel", [
    {"site": {"domain": "good.example"}}, {"site": {"domain": "unknown.example"}}, {"site": {"id": "nameless"}},
    {"app": {"id": "a", "domain": "bad.example"}}, {"dooh": {"id": "d"}},
])  # fmt: skip
async def test_what_no_file_forbids_is_sold(channel: dict[str, Any], enforce: bool) -> None:
    desk = Desk([a_line_item(1)], sellers=SellerCheck(standing, enforce=enforce))

    came = await desk.post(request(**channel))

    assert came.status == 200
    assert "warnings" not in came.json()["ext"]


async def test_where_it_is_not_enforced_it_is_sold_with_a_warning_and_counted() -> None:
    check = SellerCheck(standing, enforce=False)
    desk = Desk([a_line_item(1)], sellers=check)

    came = (await desk.post(request(site={"page": "https://www.bad.example/"}))).json()

    assert came["seatbid"]
    assert "bad.example" in came["ext"]["warnings"]["general"][0]["message"]
    assert check.seen == {Standing.UNAUTHORISED: 1}
