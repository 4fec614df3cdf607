"""What is sold out leaves the feed and its ads at once, from a page that was served before as from a new one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.demo_keys import DemoKeys
from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from client.feed import FeedClient
from common.money import MICROS
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue
from protos import common_pb2 as common
from protos import exchange_pb2 as exchange
from protos import feed_pb2 as feed
from tests.scenarios.conftest import Serve

pytestmark = pytest.mark.slow

ADVERTISED, SHOWN, OTHER = "coat", "hat", "scarf"


def a_product(product_id: str, *, in_stock: bool = True) -> catalogue.Product:
    return catalogue.Product(
        product_id=product_id, name=product_id.title(), brand=f"{product_id} & co", category=f"{product_id}s",
        price_micros=50 * MICROS, currency="EUR", landing_url="https://b.example/it",
        image_url="https://b.example/it.png", in_stock=in_stock,
    )  # fmt: skip


def a_request(**more: Any) -> feed.GetFeedRequest:
    return feed.GetFeedRequest(
        session_id="session", page_size=3, ad_slots=1,
        visitor=common.Visitor(visitor_id="ana"),
        consent=common.Consent(granted=[common.PURPOSE_REMEMBER, common.PURPOSE_PERSONALISED_CONTENT]),
        **more,
    )  # fmt: skip


def products_of(page: feed.FeedPage) -> set[str]:
    return {tag.product_id for item in page.items for tag in item.post.product_tags}


def ads_of(page: feed.FeedPage) -> list[exchange.Ad]:
    return [item.ad for item in page.items if item.HasField("ad")]


async def until(ask: Callable[[], Awaitable[feed.FeedPage]], holds: Callable[[feed.FeedPage], bool]) -> feed.FeedPage:
    """Ask until the page is as it should be; at most five seconds."""
    started = time.monotonic()
    while time.monotonic() - started < 5:
        page = await ask()
        if holds(page):
            return page
        await asyncio.sleep(0.01)
    raise AssertionError(f"not so after five seconds: {page}")


async def test_what_is_sold_out_leaves_the_feed_and_its_ads(serve: Serve, keys: DemoKeys) -> None:
    with serve() as haat:
        async with (
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id, timeout_ms=5_000) as shop,
            CatalogueClient(haat.target, keys.shop.key, keys.shop.tenant_id) as wares,
        ):
            await wares.put_products([a_product(one) for one in (ADVERTISED, SHOWN, OTHER)])
            for number in range(12):
                tag = feed.ProductTag(product_id=SHOWN if number % 2 else OTHER, x=0.5, y=0.5)
                await shop.create_post(
                    feed.Post(
                        creator_id=f"creator-{number}", caption="A look", image_urls=["https://img.example/1.jpg"],
                        product_tags=[tag],
                    )
                )  # fmt: skip
            await _advertise(haat.target, keys)
            first = await until(lambda: shop.get_feed(a_request()), lambda page: bool(ads_of(page)))

            async def second() -> feed.FeedPage:
                return await shop.get_feed(a_request(cursor=first.next_cursor))

            page = await second()
            assert products_of(page) == {SHOWN, OTHER}
            (ad,) = ads_of(page)
            assert ad.product_id == ADVERTISED
            # The same page again is the same, with the same ads: nothing is sold twice.
            again = await second()
            assert (again.page_id, list(again.items)) == (page.page_id, list(page.items))

            over_http = urllib.request.Request(
                f"http://{haat.http}/v1/feed/pages",
                data=json.dumps({"session_id": "another", "page_size": 3}).encode(),
                headers={"x-api-key": keys.shop.key, "content-type": "application/json"},
            )
            answered = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(over_http, timeout=5)))
            assert len([item for item in answered["items"] if item["post"]]) == 3

            await wares.put_products([a_product(SHOWN, in_stock=False), a_product(ADVERTISED, in_stock=False)])

            left = await second()
            assert products_of(left) == {OTHER}
            assert ads_of(left) == []
            assert left.page_id == page.page_id
            fresh = await until(lambda: shop.get_feed(a_request()), lambda page: not ads_of(page))
            assert products_of(fresh) == {OTHER}

            await wares.put_products([a_product(SHOWN), a_product(ADVERTISED)])

            await until(
                lambda: shop.get_feed(a_request()), lambda page: bool(ads_of(page)) and SHOWN in products_of(page)
            )

        # The same, told from the data folder while the server runs.
        told = _haat(
            "feed", "explain", "ana", "--tenant", keys.shop.tenant_id, "--json", "--data-dir", str(haat.data_dir)
        )
        assert told["filters"]["stock"]["took_out"] == 0
        assert told["sources"]["newest"]["offered"] == 12
        assert told["session"].startswith("session: ")
        assert all(post["features"]["products"] > 0 for post in told["posts"])
        served = _haat("feed", "explain", page.page_id, "--json", "--data-dir", str(haat.data_dir))
        assert [one["post_id"] for one in served["posts"]] == [
            item.post.post_id for item in page.items if item.HasField("post")
        ]
        assert served["ranker"] == "hand-weighted"
        assert served["posts"][0]["features"]["products"] == 1.0
        ads = _haat("feed", "ads", "--json", "--data-dir", str(haat.data_dir))
        assert ads["slots"][0]["sold"] >= 3
        assert ads["slots"][0]["worth_micros"] > 0
        assert haat.stop() == 0


def _haat(*words: str) -> dict[str, Any]:
    ran = subprocess.run([sys.executable, "-m", "app", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


async def _advertise(target: str, keys: DemoKeys) -> None:
    brand = keys.brands[0]
    async with (
        CampaignClient(target, brand.key, brand.tenant_id) as mine,
        CampaignClient(target, keys.operator.key, brand.tenant_id) as operator,
    ):
        advertiser = await mine.create_advertiser(campaigns.Advertiser(name="Coats", domain="coats.example"))
        campaign = await mine.create_campaign(
            campaigns.Campaign(
                advertiser_id=advertiser.advertiser_id, name="Autumn", currency="EUR",
                budget=campaigns.Budget(total_micros=100 * MICROS),
            )
        )  # fmt: skip
        creative = await mine.create_creative(
            campaigns.Creative(
                advertiser_id=advertiser.advertiser_id, format=exchange.FORMAT_PRODUCT_LISTING, title="A coat",
                landing_url="https://b.example/coat", product_id=ADVERTISED,
            )
        )  # fmt: skip
        await operator.review_creative(creative.creative_id, campaigns.REVIEW_STATE_APPROVED)
        await mine.create_line_item(
            campaigns.LineItem(
                campaign_id=campaign.campaign_id, name="Everywhere", strategy=campaigns.STRATEGY_BRAND_CAMPAIGN,
                pricing_model=exchange.PRICING_MODEL_CPM, bid_micros=2 * MICROS, creative_ids=[creative.creative_id],
            )
        )  # fmt: skip
