"""Do the addresses of a bid bill once, and go only to whom they help?"""

from __future__ import annotations

from typing import Any

from exchange.creatives.templates import EventUrls, PlainUrls
from exchange.openrtb.links import BidLinks
from tests.builders import a_line_item
from tests.openrtb_desk import Desk
from tests.unit.exchange.openrtb.test_to_response import request

PUBLIC = "https://ads.shop.example"


def with_links() -> Desk:
    desk = Desk([a_line_item(1)])
    desk.auctions._links = BidLinks(PlainUrls(PUBLIC), PUBLIC)
    return desk


async def only_bid(desk: Desk, asked: dict[str, Any]) -> dict[str, Any]:
    answer = (await desk.post(asked)).json()
    bid: dict[str, Any] = answer["seatbid"][0]["bid"][0]
    return bid


async def test_a_browser_tells_of_billing_where_the_ads_own_pixel_does() -> None:
    bid = await only_bid(with_links(), request(ext={"prebid": {}}))

    assert bid["burl"] == EventUrls(PlainUrls(PUBLIC), bid["id"]).event("impression")
    assert "nurl" not in bid
    assert "cache" not in bid["ext"]["prebid"]


async def test_a_server_that_sells_on_leaves_billing_to_the_pixel() -> None:
    bid = await only_bid(with_links(), request())

    assert not {"burl", "nurl", "lurl"} & bid.keys()
