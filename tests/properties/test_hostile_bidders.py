"""Whatever an outside bidder answers, the auction holds: nothing escapes, nothing invalid wins, each no has a number.

HOSTILE_ANSWERS says how many answers are tried; the ordinary run tries a few hundred.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from copy import deepcopy
from random import Random
from typing import Any

from aiohttp import web

from bidders.openrtb_remote import OpenRtbRemote
from exchange.eligibility import CODES
from exchange.refusals import NO_BIDS, Refusal
from exchange.request import Deal, Format, PageView
from tests.builders import BANNER, Market, a_line_item, a_page_view, a_placement

COUNT = int(os.environ.get("HOSTILE_ANSWERS", "400"))
_BATCH = 25
_NATIVE = '{"assets":[{"id":1,"title":{"text":"Hi"}}],"link":{"url":"https://b.example/"}}'
_VAST = (
    '<VAST version="4.2"><Ad id="1"><InLine><AdSystem>b</AdSystem><AdTitle>t</AdTitle><Impression>https://b.example/i'
    "</Impression><Creatives><Creative><Linear><Duration>00:00:10</Duration><MediaFiles>"
    '<MediaFile delivery="progressive" type="video/mp4" width="640" height="360">https://b.example/v.mp4</MediaFile></MediaFiles></Linear></Creative>'
    "</Creatives></InLine></Ad></VAST>"
)
_SAMPLE: dict[str, Any] = {
    "id": "AUCTION",
    "cur": "EUR",
    "seatbid": [
        {
            "seat": "s1",
            "bid": [
                {
                    "id": "b1", "impid": "top", "price": 9.0, "adm": "<b>hello</b>", "crid": "c1", "w": 300, "h": 250,
                    "adomain": ["brand.example"], "cat": ["toys"], "attr": [1], "mtype": 1,
                    "nurl": "https://b.example/win?p=${AUCTION_PRICE}", "burl": "https://b.example/b",
                },
                {
                    "id": "b2", "impid": "film", "price": 3.5, "adm": _VAST, "crid": "c2", "mtype": 2, "dur": 10,
                    "protocol": 3, "adomain": ["film.example"], "dealid": "d1",
                },
                {"id": "b3", "impid": "text", "price": 2.5, "adm": _NATIVE, "crid": "c3", "adomain": ["n.example"]},
            ],
        }
    ],
}  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, -0.0, 0.5, 5e-324, 1e308, -1e308, 2**31, 2**63, 2**64, 10**30, "", "1", "\x00", "é" * 40,
    "x" * 70, "x" * 70_000, "<script>", "${AUCTION_PRICE}", "USD", "JPY", "top", "film", "text", "nowhere",
    "javascript:alert(1)", "http://127.0.0.1/", [], [[]], [None], {}, {"a": {"b": []}}, ["a"] * 50, [0] * 500, [{}] * 3,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
_KEYS = (
    *("id", "impid", "price", "adm", "crid", "adid", "adomain", "cat", "attr", "mtype", "dur", "protocol", "w", "h"),
    *("nurl", "burl", "lurl", "dealid", "language", "langb", "bundle", "seat", "bid", "seatbid", "cur", "nbr", "ext"),
)


def _change(value: Any, chance: Random) -> None:
    """One thing somewhere inside `value`."""
    while True:
        if isinstance(value, dict):
            key = chance.choice(_KEYS if chance.random() < 0.2 or not value else tuple(value))
        elif isinstance(value, list) and value:
            key = chance.randrange(len(value))
        else:
            return
        inner = value[key] if isinstance(value, list) else value.get(key)
        if isinstance(inner, (dict, list)) and inner and chance.random() < 0.85:
            value = inner
            continue
        what = chance.random()
        if what < 0.75:
            value[key] = chance.choice(_ODD)
        elif what < 0.9 and not isinstance(value, list):
            value.pop(key, None)
        else:
            value[key] = [deepcopy(inner)] * chance.choice((2, 40)) if isinstance(inner, list) else [inner]
        return


def an_answer(auction_id: str, chance: Random) -> bytes:
    """The body of one answer that nobody should send, or of a good one."""
    answer = deepcopy(_SAMPLE)
    answer["id"] = auction_id
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 6))):
        _change(answer, chance)
    body = json.dumps(answer).encode()
    sort = chance.random()
    if sort < 0.1:
        at = chance.randrange(len(body))
        return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
    if sort < 0.13:
        return body[: chance.randrange(len(body))]
    if sort < 0.14:
        return chance.choice((b'{"seatbid":' + b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b" ", b"null"))
    if sort < 0.142:
        return b" " * 5_000_000 + body
    return body


class Hostile:
    """Sends what the seed makes; some of it drop by drop."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self.gone = asyncio.Event()

    async def bid(self, request: web.Request) -> web.StreamResponse:
        auction_id = (await request.json())["id"]
        body = an_answer(auction_id, self._chance)
        sort = self._chance.random()
        if sort < 0.02:
            return web.Response(status=self._chance.choice((204, 301, 400, 404, 429, 500, 503)), body=b"no")
        if sort < 0.025:
            # Its promise is longer than what it sends: the exchange must not wait beyond its time.
            response = web.StreamResponse(headers={"content-length": str(len(body) + 10)})
            await response.prepare(request)
            await response.write(body)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), 60)
            return response
        headers = {"content-encoding": self._chance.choice(("gzip", "br", "deflate"))} if sort < 0.05 else {}
        return web.Response(body=body, headers=headers, content_type="application/json")


@contextlib.asynccontextmanager
async def hostile(seed: int) -> AsyncIterator[OpenRtbRemote]:
    service = Hostile(seed)
    app = web.Application()
    app.router.add_post("/", service.bid)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    remote = OpenRtbRemote(
        name="hostile", target=f"http://127.0.0.1:{runner.addresses[0][1]}/", currency="EUR", own_currency="EUR",
        timeout_ms=400, may_share_with=lambda *_: False,
    )  # fmt: skip
    try:
        yield remote
    finally:
        service.gone.set()
        await remote.close()
        await runner.cleanup()


def _view() -> PageView:
    return a_page_view(
        tmax_ms=1_000,
        placements=(
            a_placement("top", blocked_attributes=(7,)),
            a_placement("film", shapes=((int(Format.VIDEO), 640, 360),), deals=(Deal("d1", 1_000_000),)),
            a_placement("text", shapes=((int(Format.NATIVE), 0, 0), BANNER), blocked_categories=("cars",)),
        ),
    )


async def test_whatever_a_bidder_answers_the_auction_holds() -> None:
    reasons = {NO_BIDS, *(int(code) for code in Refusal)}
    won = 0
    async with hostile(20_261_125) as remote:
        market = Market([a_line_item(1)], outside=[remote], session_answer_ttl_ms=0)
        view = _view()
        for _ in range(0, COUNT, _BATCH):
            for answer in await market.ask(*[view] * _BATCH):
                assert len(answer.placements) == 3
                for placed, placement in zip(answer.placements, view.placements, strict=True):
                    ad = placed.ad
                    if ad is None:
                        assert placed.no_ad_reason in reasons
                        continue
                    won += ad.bidder == "hostile"
                    assert placement.floor_micros <= ad.price_micros <= 10**12
                    assert (ad.facts.format, ad.facts.width, ad.facts.height) in placement.shapes
                    assert ad.markup
                    assert "." in ad.advertiser_domain
            record = market.published.pop()
            market.held.clear()
            # Each bid that was written down has a code of the list.
            assert all(0 <= outcome < len(CODES) or outcome in reasons for outcome in record.bid_outcome.tolist())
    # Good ones among them came through.
    assert won > COUNT // 10
