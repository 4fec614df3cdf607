"""One brand advertises in every format: each comes back as what it is, with the product as it is sold now."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from app.demo_formats import page_view
from app.demo_keys import DemoKeys
from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from client.exchange import ExchangeClient
from common.money import MICROS
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue
from protos import exchange_pb2 as exchange
from tests.scenarios.conftest import Serve

pytestmark = pytest.mark.slow

PUBLIC_URL = "https://ads.shop.example"


def creatives(advertiser_id: str) -> list[campaigns.Creative]:
    """One of each format, each of a product of its own, as a page shows no product twice."""
    formats: dict[exchange.Format.ValueType, dict[str, Any]] = {
        exchange.FORMAT_BANNER: {"width": 300, "height": 250, "image_url": "https://b.example/coat.png"},
        exchange.FORMAT_PRODUCT_LISTING: {},
        exchange.FORMAT_VIDEO: {
            "width": 640, "height": 360, "video_url": "https://b.example/coat.mp4", "duration_s": 15,
        },
        exchange.FORMAT_NATIVE: {"body": "Warm and dry.", "call_to_action": "Try it on"},
    }  # fmt: skip
    return [
        campaigns.Creative(
            advertiser_id=advertiser_id, format=format_, title="A coat", landing_url="https://b.example/coat",
            product_id=f"coat-{int(format_)}", **more,
        )
        for format_, more in formats.items()
    ]  # fmt: skip


def coat(number: int, price_micros: int) -> catalogue.Product:
    return catalogue.Product(
        product_id=f"coat-{number}", name="A coat", brand="Coats", category="outerwear", price_micros=price_micros,
        currency="EUR", landing_url="https://b.example/coat", image_url="https://b.example/coat.png", in_stock=True,
    )  # fmt: skip


async def until(shop: ExchangeClient, holds: Callable[[dict[str, exchange.Ad]], bool]) -> dict[str, exchange.Ad]:
    """Ask until the ads, by placement, are as they should be; at most five seconds."""
    started = time.monotonic()
    while time.monotonic() - started < 5:
        answer = await shop.hold_auction(page_view())
        ads = {entry.placement_id: entry.ad for entry in answer.placements if entry.HasField("ad")}
        if holds(ads):
            return ads
        await asyncio.sleep(0.01)
    raise AssertionError(f"not so after five seconds: {ads}")


async def test_a_brand_advertises_in_every_format(serve: Serve, keys: DemoKeys) -> None:
    with serve(set=f"public_url={PUBLIC_URL}") as haat:
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CatalogueClient(haat.target, keys.shop.key, keys.shop.tenant_id) as wares,
        ):
            await wares.put_products([coat(number, 120 * MICROS) for number in range(1, 5)])
            # A brand is on a page once, so each format has a brand of its own.
            made = [await one(haat.target, keys, number) for number in range(4)]
            ads = await until(shop, lambda ads: len(ads) == 4)
            assert {name: (ad.mtype, ad.duration_s) for name, ad in ads.items()} == {
                "banner": (1, 0), "product_listing": (4, 0), "video": (2, 15), "native": (4, 0),
            }  # fmt: skip
            # Followed without knowing what is signed into it, the address leads to the ad's own landing page.
            link = re.search(rf'href="{PUBLIC_URL}(/c/[^"]+)"', ads["banner"].markup)
            assert link is not None
            assert (await asyncio.to_thread(leads_to, f"http://{haat.http}{html.unescape(link[1])}")).startswith(
                "https://"
            )
            assert json.loads(ads["product_listing"].markup)["price"] == "120.00"
            native = json.loads(ads["native"].markup)
            assert {"type": 6, "len": 10, "value": "EUR\u00a0120.00"} in [
                asset.get("data") for asset in native["assets"]
            ]
            address = f"http://{haat.http}/vast/{ads['video'].impression_id}"
            served = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=5).read())
            assert served.decode() == ads["video"].markup
            assert fromstring(served)[0].attrib == {"id": ads["video"].impression_id}

            await wares.put_products([coat(2, 99 * MICROS)])
            await until(shop, lambda ads: json.loads(ads["product_listing"].markup)["price"] == "99.00")

            tenant, creative = made[3]
            async with CampaignClient(haat.target, tenant[0], tenant[1]) as mine:
                creative.title = "Another coat"
                changed = await mine.change_creative(creative.creative_id, creative)
            assert changed.review_state == campaigns.REVIEW_STATE_PENDING
            await until(shop, lambda ads: "native" not in ads)
        assert haat.stop() == 0


def leads_to(address: str) -> str:
    """Where a click is sent."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    with pytest.raises(urllib.error.HTTPError, match="302") as told:
        urllib.request.build_opener(Stay).open(address, timeout=5)
    told.value.close()
    return str(told.value.headers["location"])


async def one(target: str, keys: DemoKeys, number: int) -> tuple[tuple[str, str], campaigns.Creative]:
    """A brand with one line item of the format; its key and tenant, and its creative."""
    brand = keys.brands[number % len(keys.brands)]
    async with (
        CampaignClient(target, brand.key, brand.tenant_id) as mine,
        CampaignClient(target, keys.operator.key, brand.tenant_id) as operator,
    ):
        advertiser = await mine.create_advertiser(
            campaigns.Advertiser(name=f"Brand {number}", domain=f"b{number}.example")
        )
        campaign = await mine.create_campaign(
            campaigns.Campaign(
                advertiser_id=advertiser.advertiser_id, name="Autumn", currency="EUR",
                budget=campaigns.Budget(total_micros=100 * MICROS),
            )
        )  # fmt: skip
        creative = await mine.create_creative(creatives(advertiser.advertiser_id)[number])
        await operator.review_creative(creative.creative_id, campaigns.REVIEW_STATE_APPROVED)
        await mine.create_line_item(
            campaigns.LineItem(
                campaign_id=campaign.campaign_id, name="Everywhere", strategy=campaigns.STRATEGY_BRAND_CAMPAIGN,
                pricing_model=exchange.PRICING_MODEL_CPM, bid_micros=2 * MICROS, creative_ids=[creative.creative_id],
            )
        )  # fmt: skip
        # The review made a revision of its own, and a change without one is not guarded.
        creative.revision = 0
        return (brand.key, brand.tenant_id), creative
