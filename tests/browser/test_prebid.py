"""Does unmodified Prebid.js sell with haat? A page in Chromium asks, shows three formats, and each is billed once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from app.demo_formats import page_view
from app.demo_keys import DemoKeys
from backends.budget_ledger_sql import SqlBudgetLedger
from client.campaigns import CampaignClient
from client.exchange import ExchangeClient
from common.money import MICROS
from protos import campaigns_pb2 as campaigns
from protos import exchange_pb2 as exchange
from tests.browser.conftest import PLAIN, Film, Shop
from tests.databases import open_database
from tests.scenarios.conftest import Serve

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Request, Route

pytestmark = pytest.mark.slow

CODES = ("banner", "native-frame", "video")
FORMATS: dict[exchange.Format.ValueType, dict[str, Any]] = {
    exchange.FORMAT_BANNER: {"width": 300, "height": 250, "image_url": "https://b.example/coat.svg"},
    exchange.FORMAT_NATIVE: {
        "body": "Warm and dry.", "call_to_action": "Try it on", "image_url": "https://b.example/coat.svg",
        "width": 600, "height": 600,
    },
    exchange.FORMAT_VIDEO: {
        "width": 640, "height": 360, "video_url": "https://b.example/coat.webm", "mime": "video/webm", "duration_s": 2,
    },
}  # fmt: skip
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 250"><rect width="300" height="250" fill="#2d5a4a"/>'
    '<text x="40" y="135" font-size="40" fill="#fff" font-family="sans-serif">A coat</text></svg>'
)


async def run_campaign(target: str, keys: DemoKeys, format_: exchange.Format.ValueType) -> campaigns.LineItem:
    """A brand with one approved creative of the format; each format has its own, as a page shows a brand once."""
    brand = keys.brands[int(format_) % len(keys.brands)]
    async with (
        CampaignClient(target, brand.key, brand.tenant_id) as mine,
        CampaignClient(target, keys.operator.key, brand.tenant_id) as operator,
    ):
        advertiser = await mine.create_advertiser(
            campaigns.Advertiser(name=f"Brand {format_}", domain=f"b{format_}.example")
        )
        campaign = await mine.create_campaign(
            campaigns.Campaign(
                advertiser_id=advertiser.advertiser_id, name="Autumn", currency="EUR",
                budget=campaigns.Budget(total_micros=100 * MICROS),
            )
        )  # fmt: skip
        creative = await mine.create_creative(
            campaigns.Creative(
                advertiser_id=advertiser.advertiser_id, format=format_, title="A coat",
                landing_url="https://b.example/coat", category="outerwear", **FORMATS[format_],
            )
        )  # fmt: skip
        await operator.review_creative(creative.creative_id, campaigns.REVIEW_STATE_APPROVED)
        return await mine.create_line_item(
            campaigns.LineItem(
                campaign_id=campaign.campaign_id, name="Everywhere", strategy=campaigns.STRATEGY_BRAND_CAMPAIGN,
                pricing_model=exchange.PRICING_MODEL_CPM, bid_micros=2 * MICROS,
                creative_ids=[creative.creative_id],
            )
        )  # fmt: skip


async def until_all_sell(target: str, key: str) -> None:
    """All formats are sold; asked under another visitor's page view, which nobody sees."""
    async with ExchangeClient(target, key, timeout_ms=5_000) as shop:
        started = time.monotonic()
        while time.monotonic() - started < 10:
            answer = await shop.hold_auction(page_view())
            if sum(entry.HasField("ad") for entry in answer.placements) >= len(FORMATS):
                return
            await asyncio.sleep(0.02)
    raise AssertionError(f"not all formats are sold after ten seconds: {answer}")


@asynccontextmanager
async def visit(browser: Browser, film: bytes, agent: str = PLAIN) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """A visitor with a profile of its own; pictures and films of the advertisers are there."""
    context = await browser.new_context(user_agent=agent, viewport={"width": 760, "height": 1060})

    async def advertisers(route: Route) -> None:
        is_film = route.request.url.endswith(".webm")
        content_type = "video/webm" if is_film else "image/svg+xml"
        await route.fulfill(body=film if is_film else PICTURE.encode(), content_type=content_type)

    await context.route("https://b.example/**", advertisers)
    try:
        yield context, await context.new_page()
    finally:
        await context.close()


def spent_micros(data_dir: Path, items: list[int]) -> list[int]:
    """What the ledger says of these line items' accounts."""
    engine = open_database(data_dir)
    try:
        ledger = SqlBudgetLedger(engine)
        return [ledger.state(item, int(time.time() * 1000)).spent_total_micros for item in items]
    finally:
        engine.dispose()


async def until(page: Page, holds: str, trouble: list[str]) -> None:
    """The page has come so far; else what it complained of."""
    from playwright.async_api import TimeoutError as TooLate

    try:
        await page.wait_for_function(holds, timeout=20_000)
    except TooLate:
        raise AssertionError(f"{await page.evaluate('said')} {trouble}") from None


async def impressions(target: str, keys: DemoKeys, items: list[campaigns.LineItem]) -> list[tuple[int, int]]:
    """(impressions, spend in micros) of each line item."""
    found = []
    for format_, item in zip(FORMATS, items, strict=True):
        brand = keys.brands[int(format_) % len(keys.brands)]
        async with CampaignClient(target, brand.key, brand.tenant_id) as mine:
            statistics = await mine.get_statistics(item.line_item_id)
            found.append((statistics.impressions, statistics.spend_micros))
    return found


@pytest.mark.parametrize("bidder", ["haat", "teal"])
async def test_prebid_gets_renders_and_bills_every_format(
    bidder: str, serve: Serve, keys: DemoKeys, shop: Shop, browser: Browser, film: Film, free_port: int, tmp_path: Path
) -> None:
    publishers = f"openrtb_publishers=shop={keys.shop.tenant_id},{shop.origin}"
    with serve(http_port=str(free_port), set=publishers) as haat:
        items = [await run_campaign(haat.target, keys, format_) for format_ in FORMATS]
        await until_all_sell(haat.target, keys.shop.key)
        shop.settings = {"haat": f"http://{haat.http}", "publisher": "shop", "bidder": bidder}
        asked: list[Request] = []
        trouble: list[str] = []
        async with visit(browser, await film()) as (context, page):
            context.on("request", lambda one: asked.append(one))
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.on("console", lambda line: trouble.append(line.text) if line.type == "error" else None)
            await page.goto(shop.origin)
            await until(page, "said.done && said.played && document.querySelector('video').ended", trouble)
            said = await page.evaluate("said")
            await page.screenshot(path=tmp_path / "shop.png", full_page=True)

            assert {code: said["bids"][code]["mediaType"] for code in CODES} == {
                "banner": "banner", "native-frame": "native", "video": "video",
            }  # fmt: skip
            assert {said["bids"][code]["bidderCode"] for code in CODES} == {bidder}
            assert {said["bids"][code]["currency"] for code in CODES} == {"EUR"}

            banner = page.frame_locator("#banner").frame_locator("iframe")
            assert await banner.locator("img[alt='A coat']").evaluate("picture => picture.complete") is True
            native = page.frame_locator("#native-frame")
            assert await native.locator("b", has_text="A coat").count() == 1
            assets = {asset["id"]: asset for asset in said["bids"]["native-frame"]["native"]["ortb"]["assets"]}
            assert assets[2]["img"]["url"] == "https://b.example/coat.svg"
            assert assets[4]["data"]["value"] == "Try it on"
            video = said["bids"]["video"]
            assert video["vastUrl"] == f"http://{haat.http}/vast/{video['videoCacheKey']}"
            assert await page.locator("#video").evaluate("video => video.videoWidth") == 640
            assert not said["failed"]
            assert trouble == []

            # What the browser told once it tells again: pixels, burl, the film's address.
            told = [one.url for one in asked if urlsplit(one.url).netloc == haat.http and one.method == "GET"]
            for url in told:
                again = await context.request.get(url, headers={"user-agent": PLAIN, "referer": shop.origin})
                assert again.status == 200
            assert await context.cookies() == []

        shown = Counter(url.rpartition("/")[2] for url in told if "/e/" in url and url.count("/") == 4)
        # Three impressions; the page itself told at least one of them twice, by Prebid's burl and the ad's own pixel.
        assert len(shown) == len(FORMATS)
        assert sum(number > 1 for number in shown.values()) >= 1
        # Prebid.js keeps to what needs no preflight.
        assert [one.method for one in asked if one.url.endswith("/openrtb2/auction")] == ["POST"]
        for _ in range(400):
            counted = await impressions(haat.target, keys, items)
            if all(number for number, _ in counted):
                break
            await asyncio.sleep(0.025)
        assert haat.stop() == 0

    # Alone in its auction an ad costs the page's floor of 0.50 for a thousand: 500 micros for the one impression. The
    # ledger is read when haat has stopped, so nothing that was told twice can still be on its way.
    assert counted == [(1, 500)] * len(FORMATS)
    assert spent_micros(haat.data_dir, [1, 2, 3]) == [500] * len(FORMATS)


async def test_no_bid_is_no_error_to_prebid(
    serve: Serve, keys: DemoKeys, shop: Shop, browser: Browser, free_port: int
) -> None:
    publishers = f"openrtb_publishers=shop={keys.shop.tenant_id},{shop.origin}"
    with serve(http_port=str(free_port), set=publishers) as haat:
        shop.settings = {"haat": f"http://{haat.http}", "publisher": "shop", "bidder": "haat"}
        trouble: list[str] = []
        statuses: list[int] = []
        async with visit(browser, b"") as (context, page):
            page.on("console", lambda line: trouble.append(line.text) if line.type == "error" else None)
            context.on(
                "response",
                lambda came: statuses.append(came.status) if came.url.endswith("/openrtb2/auction") else None,
            )
            await page.goto(f"{shop.origin}/?pbjs_debug=true")
            await until(page, "said.done", trouble)
            assert await page.evaluate("said.bids") == dict.fromkeys(CODES)
        assert statuses == [200]
        # The packaged core complains of a part for developer tools, which no bundle has to hold.
        assert [line for line in trouble if "ERROR" in line and "DevTools" not in line] == []
        assert haat.stop() == 0
