"""Ads are shown, clicked and bought over HTTP, bidders are told, and the report is the log, to the unit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web

from app.demo_keys import DemoKeys
from app.settings import load
from app.signing_keys import POSTBACK_KEYS, TOKEN_KEYS, SigningKeys, postback_secret
from app.trace import trace
from backends.event_log_lmdb import LmdbEventLog
from client.exchange import ExchangeClient
from common.money import MICROS
from exchange.conversion_endpoints import sign
from exchange.creatives.templates import EventUrls
from exchange.event_urls import SignedUrls
from exchange.holds import Terms
from exchange.tokens import Tokens, tenant_bytes
from protos import bidder_pb2, bidder_pb2_grpc, exchange_pb2, reports_pb2
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.schemas import NoticesTaken
from tests.scenarios.conftest import Serve, Served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold

pytestmark = pytest.mark.slow

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LANDING = "https://b.example/coat?click=${CLICK_ID}"
OUTSIDE_PAGE = "https://shop.example/outside"


class Outsider(bidder_pb2_grpc.BidderServiceServicer):
    """Bids high on one page and low on all others, and wants to be told of everything."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def BidStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "one call for each batch")
        yield

    async def Bid(self, request: bidder_pb2.BidRequest, context: object) -> bidder_pb2.BidResponse:  # noqa: N802
        return bidder_pb2.BidResponse(bids=[self._bid(opportunity) for opportunity in request.opportunities])

    def _bid(self, opportunity: bidder_pb2.Opportunity) -> bidder_pb2.Bid:
        def told(kind: str) -> str:
            return (
                f"{self._address}/{kind}?i=${{AUCTION_ID}}&p=${{AUCTION_PRICE}}&s=${{AUCTION_SEAT_ID}}"
                f"&l=${{AUCTION_LOSS}}&t=${{AUCTION_IMP_TS}}&b=${{AUCTION_PRICE:B64}}"
            )

        high = opportunity.page.url == OUTSIDE_PAGE
        return bidder_pb2.Bid(
            auction_id=opportunity.auction_id, placement_id="top", bid_id="b1", currency="EUR",
            bid_micros=(9 if high else 1) * MICROS, advertiser_domain="outside.example", creative_id="c1",
            format=exchange_pb2.FORMAT_BANNER, width=300, height=250, markup="<b data-p='${AUCTION_PRICE}'>x</b>",
            win_url=told("win"), billing_url=told("billing"), loss_url=told("loss"), seat="seat-7",
        )  # fmt: skip


@contextlib.asynccontextmanager
async def outsider() -> AsyncIterator[tuple[str, list[tuple[str, dict[str, list[str]]]]]]:
    """(where it bids, what it was told). It hears of billing the second time only."""
    heard: list[tuple[str, dict[str, list[str]]]] = []
    calls = Counter[str]()

    async def hear(request: web.Request) -> web.Response:
        calls[request.raw_path] += 1
        if request.path == "/billing" and calls[request.raw_path] == 1:
            return web.Response(status=503)
        heard.append((request.path, parse_qs(request.query_string, keep_blank_values=True)))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/{kind}", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server = grpc.aio.server()
    bidder_pb2_grpc.add_BidderServiceServicer_to_server(Outsider(f"http://127.0.0.1:{port}"), server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield target, heard
    finally:
        await server.stop(None)
        await runner.cleanup()


def urls_of(haat: Served, impression_id: str) -> EventUrls:
    tokens = Tokens(SigningKeys(haat.data_dir / TOKEN_KEYS))
    return EventUrls(SignedUrls(tokens, f"http://{haat.http}", Terms()), impression_id)


async def a_person(http: aiohttp.ClientSession, haat: Served, impression_id: str, *, clicks: bool) -> str:
    """Sees the ad, for a second and more, and clicks; every call is made twice. The click id of the landing page."""
    urls = urls_of(haat, impression_id)
    for name in ("impression", "viewable") * 2:
        async with http.get(urls.event(name)) as answer:
            assert answer.status == 200
    if not clicks:
        return ""
    await asyncio.sleep(0.15)  # a person is no faster than that, and what is faster does not count
    locations = []
    for _ in range(2):
        async with http.get(urls.click(LANDING), allow_redirects=False) as answer:
            assert answer.status == 302
            locations.append(answer.headers["location"])
    assert locations[0].startswith("https://b.example/coat?click=")
    return parse_qs(urlsplit(locations[0]).query)["click"][0]


async def convert(http: aiohttp.ClientSession, haat: Served, tenant_id: str, click_ids: list[str]) -> list[str]:
    body = json.dumps(
        {"tenant_id": tenant_id, "conversions": [{"click_id": c, "order_id": f"o{n}"} for n, c in enumerate(click_ids)]}
    ).encode()
    (key, *_) = SigningKeys(haat.data_dir / POSTBACK_KEYS)()
    signature = sign(postback_secret(key, tenant_bytes(tenant_id)), body, int(time.time()))
    async with http.post(f"http://{haat.http}/conversion", data=body, headers={"x-signature": signature}) as answer:
        assert answer.status == 200, await answer.text()
        return [outcome["verdict"] for outcome in (await answer.json())["outcomes"]]


async def report(haat: Served, key: str, **asked: Any) -> reports_pb2.Report:
    now_ms = int(time.time() * 1000)
    request = reports_pb2.GetReportRequest(from_ms=now_ms - 7_200_000, to_ms=now_ms + 7_200_000, **asked)
    async with grpc.aio.insecure_channel(haat.target) as channel:
        call: Any = channel.unary_unary("/haat.reports.v1.ReportService/GetReport")
        data = await call(request.SerializeToString(), metadata=(("x-api-key", key),), timeout=10)
    return reports_pb2.Report.FromString(data)


def recount(haat: Served) -> tuple[Counter[str], Counter[tuple[int, str]]]:
    """The log, read without any of the code that counts it: totals, and spend by line item and bidder."""
    totals, spend = Counter[str](), Counter[tuple[int, str]]()
    with closing(LmdbEventLog(haat.data_dir / "log", readonly=True)) as log:
        for record in log.read("auctions", 0, 1_000_000):
            event = schemas.decode("auctions", record)
            assert isinstance(event, AuctionColumns)
            totals["bids"] += int(event.bids_in.sum())
            totals["wins"] += int((event.winner_row_plus_one > 0).sum())
        for record in log.read("notices", 0, 1_000_000):
            notices = schemas.decode("notices", record)
            assert isinstance(notices, NoticesTaken)
            for notice in notices.notices:
                if notice.kind == 15:
                    totals["refunded"] += 1
                    totals[{1: "impressions", 2: "clicks", 3: "conversions"}[notice.corrects_kind]] -= 1
                elif notice.verdict == 6:
                    totals["invalid"] += 1
                else:
                    totals[{1: "impressions", 2: "clicks", 3: "conversions", 4: "viewable"}[notice.kind]] += 1
                totals["spend_micros"] += notice.billed_micros
                spend[notice.line_item_number, notice.bidder if not notice.line_item_number else ""] += (
                    notice.billed_micros
                )
    return totals, spend


async def settled(haat: Served, key: str, count: int) -> reports_pb2.Report:
    """The report over everything, when it has counted so many notices."""
    for _ in range(200):
        found = await report(haat, key)
        values = dict(zip(found.metrics, found.rows[0].values, strict=True)) if found.rows else {}
        if sum(values.get(n, 0) for n in ("impressions", "viewable", "clicks", "conversions", "invalid")) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("the report does not catch up with the log")


async def test_from_the_auction_to_the_report(serve: Serve, keys: DemoKeys) -> None:
    brand = keys.brands[0]
    async with outsider() as (target, heard):
        with serve(outside_bidder=f"outsider={target},EUR,500ms", set="private_addresses=allow") as haat:
            item = await run_campaign(haat.target, keys, brand, bid_micros=5 * MICROS)
            agent = {"user-agent": BROWSER}
            async with (
                ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
                aiohttp.ClientSession(headers=agent) as http,
            ):
                await until_sold(shop, line_item_id=item.line_item_id)
                ours = [(await shop.hold_auction(a_page_view(n))).placements[0].ad for n in range(8)]
                click_ids = [await a_person(http, haat, ad.impression_id, clicks=n < 2) for n, ad in enumerate(ours)]
                verdicts = [await convert(http, haat, brand.tenant_id, click_ids[:2]) for _ in range(2)]
                stranger = await convert(http, haat, keys.brands[1].tenant_id, click_ids[:1])
                theirs = []
                for n in range(4):
                    view = a_page_view(100 + n)
                    view.page.url = OUTSIDE_PAGE
                    theirs.append((await shop.hold_auction(view)).placements[0].ad)
                for ad in theirs[:3]:
                    await a_person(http, haat, ad.impression_id, clicks=False)
                # The storefront says it, too, and a robot comes by.
                said = await shop.report_notices(
                    [
                        exchange_pb2.Notice(
                            kind=exchange_pb2.Notice.KIND_IMPRESSION, impression_id=theirs[0].impression_id
                        )
                    ]
                )
                async with http.get(
                    urls_of(haat, theirs[3].impression_id).event("impression"), headers={"user-agent": "curl/8"}
                ) as answer:
                    assert answer.status == 200
            whole = await settled(haat, keys.operator.key, 8 + 8 + 2 + 2 + 3 + 3 + 1)
            mine = await report(haat, brand.key, tenant_id=brand.tenant_id, dimensions=["line_item", "creative"])
            shops = await report(haat, keys.operator.key, dimensions=["placement", "hour"], csv=True)
            nobodys = await report(
                haat, keys.brands[1].key, tenant_id=keys.brands[1].tenant_id, dimensions=["campaign"]
            )
            for _ in range(400):
                if sum(path == "/billing" for path, _ in heard) >= 3 and sum(p == "/win" for p, _ in heard) >= 4:
                    break
                await asyncio.sleep(0.05)
            haat.stop(signal.SIGTERM)
        totals, spend = recount(haat)

    assert verdicts == [["accepted"] * 2, ["duplicate"] * 2]
    assert stranger == ["unknown"]
    assert [outcome.verdict for outcome in said] == [exchange_pb2.NoticeOutcome.VERDICT_DUPLICATE]
    values = dict(zip(whole.metrics, whole.rows[0].values, strict=True))
    assert values == {name: totals[name] for name in whole.metrics}
    assert (values["impressions"], values["viewable"], values["clicks"], values["conversions"]) == (11, 11, 2, 2)
    assert values["invalid"] == 1
    rates = dict(zip(whole.rates, whole.rows[0].rates, strict=True))
    assert rates["win_rate"] == totals["wins"] / totals["bids"]
    assert (rates["viewable_rate"], rates["click_rate"]) == (1, 2 / 11)
    # Advertisers see what is theirs, and no more.
    inside = sum(micros for (item, _), micros in spend.items() if item)
    assert [row.values[list(mine.metrics).index("spend_micros")] for row in mine.rows] == [inside]
    assert list(nobodys.rows) == []
    assert shops.csv.splitlines()[0].startswith("placement,placement_name,hour,hour_name,bids,wins")
    # Every billing was told once in effect, though the bidder's ear fails, with what it costs; so was every win.
    billings = [query for path, query in heard if path == "/billing"]
    assert sorted(query["i"][0] for query in billings) == sorted(ad.impression_id[:32] for ad in theirs[:3])
    price = theirs[0].price_micros
    assert {Decimal(query["p"][0]) * MICROS for query in billings} == {price}
    assert {b64decode(query["b"][0]).decode() for query in billings} == {billings[0]["p"][0]}
    assert all(int(query["t"][0]) > 1_700_000_000_000 for query in billings)
    assert {query["s"][0] for query in billings} == {"seat-7"}
    assert {query["l"][0] for path, query in heard if path == "/loss"} == {"102"}
    assert {ad.markup for ad in theirs} == {f"<b data-p='{billings[0]['p'][0]}'>x</b>"}
    story = trace(load({"data_dir": str(haat.data_dir)}), theirs[0].impression_id)
    assert [entry["kind"] for entry in story["notices"]] == ["impression", "viewable"]
    assert {(entry["kind"], entry["state"]) for entry in story["told_to_bidders"]} == {
        ("win", "heard"),
        ("billing", "heard"),
    }
    clicked = trace(load({"data_dir": str(haat.data_dir)}), click_ids[0])
    assert [entry["kind"] for entry in clicked["notices"]] == ["impression", "viewable", "click", "conversion"]
    assert all("; counted" in entry["ledger"] for entry in clicked["notices"] if "ledger" in entry)


async def test_an_order_that_is_told_again_after_a_kill_gets_the_first_answer(serve: Serve, keys: DemoKeys) -> None:
    brand = keys.brands[0]

    async def told(
        http: aiohttp.ClientSession, haat: Served, click: str, **headers: str
    ) -> tuple[bool, list[str], int]:
        conversions = [{"click_id": click, "order_id": "o1"}]
        body = json.dumps({"tenant_id": brand.tenant_id, "conversions": conversions}).encode()
        (key, *_) = SigningKeys(haat.data_dir / POSTBACK_KEYS)()
        signature = sign(postback_secret(key, tenant_bytes(brand.tenant_id)), body, int(time.time()))
        signed = {"x-signature": signature, **headers}
        async with http.post(f"http://{haat.http}/conversion", data=body, headers=signed) as answer:
            outcomes = (await answer.json())["outcomes"]
            replayed = "idempotency-replayed" in answer.headers
            billed = sum(outcome["billed_micros"] for outcome in outcomes)
            return replayed, [outcome["verdict"] for outcome in outcomes], billed

    with serve() as haat:
        await run_campaign(haat.target, keys, brand, bid_micros=60 * MICROS, pricing=exchange_pb2.PRICING_MODEL_CPA)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            aiohttp.ClientSession(headers={"user-agent": BROWSER}) as http,
        ):
            await until_sold(shop)
            ad = (await shop.hold_auction(a_page_view(1))).placements[0].ad
            click = await a_person(http, haat, ad.impression_id, clicks=True)
            first = await told(http, haat, click, **{"idempotency-key": "A-1"})
        haat.stop(signal.SIGKILL)
    with serve() as haat:
        async with aiohttp.ClientSession(headers={"user-agent": BROWSER}) as http:
            again = await told(http, haat, click, **{"idempotency-key": "A-1"})
            without = await told(http, haat, click)
        haat.stop(signal.SIGTERM)
    totals, _ = recount(haat)

    assert first == (False, ["accepted"], ad.price_micros)
    # The same answer as the first time, and nothing was done; who has no key is told that it was known.
    assert again == (True, ["accepted"], ad.price_micros)
    assert without == (False, ["duplicate"], 0)
    assert (totals["conversions"], totals["spend_micros"]) == (1, ad.price_micros)


async def test_what_is_taken_back_is_taken_back_once_everywhere(serve: Serve, keys: DemoKeys) -> None:
    brand = keys.brands[0]
    with serve() as haat:
        item = await run_campaign(haat.target, keys, brand)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            aiohttp.ClientSession(headers={"user-agent": BROWSER}) as http,
        ):
            await until_sold(shop)
            ads = [(await shop.hold_auction(a_page_view(n))).placements[0].ad for n in range(3)]
            for ad in ads:
                await a_person(http, haat, ad.impression_id, clicks=False)
        async with grpc.aio.insecure_channel(haat.target) as channel:
            call: Any = channel.unary_unary("/haat.reports.v1.ReportService/TakeBack")
            request = reports_pb2.TakeBackRequest(impression_id=ads[0].impression_id, kind=1).SerializeToString()
            answers = [
                reports_pb2.TakeBackResponse.FromString(
                    await call(request, metadata=(("x-api-key", keys.operator.key),), timeout=10)
                )
                for _ in range(2)
            ]
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request, metadata=(("x-api-key", brand.key),), timeout=10)
        haat.stop(signal.SIGTERM)
    totals, _ = recount(haat)
    from backends.budget_ledger_sql import SqlBudgetLedger
    from backends.statistics_sql import SqlStatisticsStore
    from tests.databases import open_database

    engine = open_database(haat.data_dir)
    counted = SqlStatisticsStore(engine).totals(brand.tenant_id, item.line_item_id)
    spent = SqlBudgetLedger(engine).state(1, int(time.time() * 1000))
    engine.dispose()

    assert [answer.taken_back for answer in answers] == [True, False]
    assert {answer.refunded_micros for answer in answers} == {500}
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (totals["impressions"], totals["refunded"], totals["spend_micros"]) == (2, 1, 1000)
    assert counted is not None
    assert (counted.impressions, counted.spend_micros) == (2, 1000)
    assert (spent.spent_total_micros, spent.spent_today_micros) == (1000, 1000)
