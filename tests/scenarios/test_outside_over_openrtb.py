"""Does a running haat sell to a bidder that speaks OpenRTB over HTTP, and tell browsers and buyers who it is?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.demo_keys import DemoKeys
from tests.scenarios.conftest import Serve

pytestmark = pytest.mark.slow


async def test_a_bidder_at_a_url_wins_a_page(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def bid(request: web.Request) -> web.Response:
        content = await request.json()
        asked.append(content)
        offer = {
            "id": "b1", "impid": content["imp"][0]["id"], "price": 9.0, "adm": "<b>hello</b>", "crid": "c1",
            "adomain": ["outside.example"],
        }  # fmt: skip
        return web.json_response({"id": content["id"], "cur": content["cur"][0], "seatbid": [{"bid": [offer]}]})

    app = web.Application()
    app.router.add_post("/bid", bid)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = tmp_path / "haat.toml"
    config.write_text(
        f'[[openrtb_publishers]]\npublisher = "shop"\ntenant = "{keys.shop.tenant_id}"\n'
        'origins = ["https://shop.example"]\n'
        f'[[outside_bidders]]\nname = "web"\ntarget = "http://127.0.0.1:{runner.addresses[0][1]}/bid"\n'
        'sync_url = "https://web.example/sync?back={{.RedirectURL}}"\n'
    )
    request = {
        "id": "request-1", "at": 1, "tmax": 5000, "site": {"page": "https://shop.example/"}, "regs": {"gdpr": 1},
        "imp": [{"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "bidfloorcur": "EUR"}],
        "user": {"id": "visitor-7"},
    }  # fmt: skip
    try:
        with serve(config=str(config)) as haat:
            async with aiohttp.ClientSession(f"http://{haat.http}") as http:
                headers = {"x-api-key": keys.shop.key}
                for _ in range(100):
                    async with http.post("/openrtb2/auction", json=request, headers=headers) as came:
                        if came.status == 200:
                            answer = await came.json()
                            break
                    await asyncio.sleep(0.1)
                async with http.get("/sellers.json") as came:
                    sellers = await came.json(content_type=None)
                async with http.post("/cookie_sync", json={"us_privacy": "1YNN", "gdpr": 0}) as came:
                    synced = await came.json()
                agreed: dict[str, Any] = {"us_privacy": "1YNN", "gdpr": 0}
                # Browsers send the cookie back over TLS alone, so it is carried by hand here.
                async with http.get("/setuid", params={"bidder": "web", "uid": "web-7", "f": "i", **agreed}) as came:
                    cookie = came.headers["set-cookie"].partition(";")[0]
                for regs in (agreed, {"us_privacy": "1YYN", "gdpr": 0}):
                    known = {**request, "regs": regs}
                    async with http.post("/openrtb2/auction", json=known, headers={**headers, "cookie": cookie}):
                        pass
            assert haat.stop() == 0
    finally:
        await runner.cleanup()

    (sold,) = answer["seatbid"][0]["bid"]
    assert (sold["price"], sold["adomain"], sold["impid"]) == (9.0, ["outside.example"], "1")
    assert asked[0]["imp"][0]["id"] == "top"
    # Under GDPR and without a consent string nobody hears of the visitor.
    agreed_to, opted_out = asked[-2:]
    assert "visitor-7" not in json.dumps(asked[:-2])
    # Who agreed is known to the bidder by its own id, who opted out to nobody.
    assert agreed_to["user"] == {"id": "visitor-7", "buyeruid": "web-7"}
    assert "user" not in opted_out
    assert [entry["seller_id"] for entry in sellers["sellers"]] == [keys.shop.tenant_id]
    assert [entry["bidder"] for entry in synced["bidder_status"]] == ["web"]
