"""Does a running haat sell by OpenRTB, over HTTP from a page and from a server, and over gRPC?"""

from __future__ import annotations

import asyncio
import gzip
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from app.demo_keys import DemoKeys
from app.explain import explain_auction
from app.settings import load
from client.exchange import ExchangeClient
from exchange.openrtb.protobuf import request_to_bytes, response_from_bytes
from exchange.replay import SAME
from protos import openrtb_pb2 as pb
from protos import openrtb_service_pb2_grpc as service
from tests.scenarios.conftest import Serve
from tests.scenarios.test_from_campaign_to_bill import run_campaign, until_sold

pytestmark = pytest.mark.slow

ORIGIN = "https://shop.example"
REQUEST: dict[str, Any] = {
    "id": "request-1",
    "at": 1,
    "imp": [{"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "bidfloorcur": "EUR"}],
    "site": {"page": "https://shop.example/", "publisher": {"id": "shop"}},
    "user": {"id": "visitor-7"},
    "regs": {"gdpr": 1},
}


def post(http: str, body: bytes, headers: dict[str, str], query: str = "") -> tuple[int, dict[str, str], bytes]:
    asked = urllib.request.Request(f"http://{http}/openrtb2/auction{query}", body, headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as came:
            return came.status, dict(came.headers), came.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


async def test_openrtb_sells_what_campaigns_offer(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    config = tmp_path / "haat.toml"
    config.write_text(
        'seller_domain = "exchange.example"\nads_txt_check = "enforce"\n[[openrtb_publishers]]\npublisher = "shop"\n'
        f'tenant = "{keys.shop.tenant_id}"\norigins = ["{ORIGIN}"]\n'
    )
    with serve(config=str(config)) as haat:
        item = await run_campaign(haat.target, keys, keys.brands[0], bid_micros=2_345_678)
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
        body = json.dumps(REQUEST).encode()

        async def ask(data: bytes, headers: dict[str, str], query: str = "") -> tuple[int, dict[str, str], bytes]:
            return await asyncio.to_thread(post, haat.http, data, headers, query)

        by_key = await ask(body, {"x-api-key": keys.shop.key, "content-type": "application/json"})
        packed = await ask(gzip.compress(body), {"origin": ORIGIN, "content-type": "text/plain"}, "?gzip=1")
        binary = await ask(
            request_to_bytes(REQUEST), {"x-api-key": keys.shop.key, "content-type": "application/x-protobuf"}
        )
        dear = {**REQUEST, "imp": [{**REQUEST["imp"][0], "bidfloor": 900}]}
        nothing = await ask(json.dumps(dear).encode(), {"x-api-key": keys.shop.key})
        malformed = await ask(b"{}", {"x-api-key": keys.shop.key})
        stranger = await ask(body, {"origin": "https://evil.example"})
        async with grpc.aio.insecure_channel(haat.target) as channel:
            by_grpc = await service.OpenRtbStub(channel).Auction(
                pb.BidRequest.FromString(request_to_bytes(REQUEST)), metadata=(("x-api-key", keys.shop.key),)
            )
        with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=10) as page:
            metrics = page.read().decode()
        assert haat.stop() == 0

    # shop.example has no ads.txt that could be had, which forbids nothing.
    assert 'haat_ads_txt_total{standing="unavailable"}' in metrics
    assert [came[0] for came in (by_key, packed, binary, nothing, malformed, stranger)] == [
        200,
        200,
        200,
        204,
        400,
        403,
    ]
    assert packed[1]["access-control-allow-origin"] == ORIGIN
    answers = [json.loads(by_key[2]), json.loads(packed[2]), response_from_bytes(binary[2])]
    bids = [answer["seatbid"][0]["bid"][0] for answer in answers]
    assert {(bid["price"], bid["cid"], bid["impid"]) for bid in bids} == {(2.345678, item.line_item_id, "1")}
    assert by_grpc.seatbid[0].bid[0].price == 2.345678
    # Any free port was asked for; the pixel's address names the one that was taken.
    assert f"http://{haat.http}/" in bids[0]["adm"]
    assert {problem["path"] for problem in json.loads(malformed[2])} == {"id", "imp", "site"}

    told = explain_auction(load({"data_dir": str(haat.data_dir)}, environment={}), bids[0]["id"].partition(".")[0])
    assert told["page_view"]["placements"][0]["placement_id"] == "top"
    assert told["replay"] == SAME
    assert "visitor-7" not in json.dumps(told)
