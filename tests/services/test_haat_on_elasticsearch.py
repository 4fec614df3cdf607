"""Does a whole haat go on when its Elasticsearch is gone, slow, read-only, or not there at the start?"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.demo_keys import DemoKeys
from backends.elasticsearch_client import open_client
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import LINE_ITEMS
from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from client.exchange import ExchangeClient
from common.ids import new_id
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue
from protos import common_pb2 as common
from protos import exchange_pb2 as exchange
from tests.scenarios.conftest import Serve, Served, data_dir, keys, serve
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold
from tests.services.proxy import Proxy, proxy_before
from tests.simulation.elasticsearch_outage import snapshot_age_metric_s

__all__ = ["data_dir", "keys", "serve"]

pytestmark = [pytest.mark.services, pytest.mark.slow]

AUCTIONS = 200
in_both_ways = pytest.mark.parametrize("config", ["snapshot", "direct"], indirect=True)
in_memory = pytest.mark.parametrize("config", ["snapshot"], indirect=True)
found_directly = pytest.mark.parametrize("config", ["direct"], indirect=True)
WITHIN_S = 30.0


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[Proxy]:
    with proxy_before(elasticsearch_url) as opened:
        yield opened


@pytest.fixture
def indices(elasticsearch_url: str) -> Iterator[Indices]:
    """Those of this test's haat, past the proxy; removed at the end."""
    opened = Indices(open_client(elasticsearch_url), f"haat-test-{new_id(0)[-12:]}")
    yield opened
    opened.remove_all()
    opened.client.close()


@pytest.fixture
def config(
    request: pytest.FixtureRequest, tmp_path: Path, proxy: Proxy, indices: Indices, elasticsearch_url: str
) -> str:
    file = tmp_path / "elastic.toml"
    file.write_text(
        f'elasticsearch_url = "{proxy.before(elasticsearch_url)}"\n'
        f'elasticsearch_prefix = "{indices.prefix}"\n'
        f'inventory = "{request.param}"\n'
        # Two cores, all engines and the tests share them.
        "inventory_wait_ms = 1000\n"
    )
    return str(file)


def status(haat: Served) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{haat.http}/status", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


async def until(holds: Callable[[], bool], what: str) -> None:
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + WITHIN_S
    while not await asyncio.to_thread(holds):
        assert loop.time() < give_up_s, f"{what}: not within {WITHIN_S:.0f} s"
        await asyncio.sleep(0.05)


async def sold(shop: ExchangeClient, first: int) -> int:
    """How many of so many page views got an ad."""
    answers = [await shop.hold_auction(a_page_view(first + number)) for number in range(AUCTIONS)]
    return sum(answer.placements[0].HasField("ad") for answer in answers)


@in_both_ways
async def test_auctions_go_on_without_elasticsearch_and_changes_come_after_its_return(
    serve: Serve, keys: DemoKeys, config: str, proxy: Proxy
) -> None:
    with serve(config=config) as haat:
        brand = keys.brands[0]
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            item = await run_campaign(haat.target, keys, brand)
            await until_sold(shop)
            await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)
            await until_sold(shop, sold=False)
            await mine.set_state(item.line_item_id, campaigns.STATE_ACTIVE)
            await until_sold(shop)

            proxy.cut()

            assert await sold(shop, 10_000) >= 0.99 * AUCTIONS
            await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)
            await until(lambda: status(haat)["snapshot_age_s"] > 1, "the age of the snapshot")
            assert await asyncio.to_thread(snapshot_age_metric_s, haat) > 1
            assert "changes wait" in status(haat)["backends"]["inventory, search"]
            assert await sold(shop, 20_000) >= 0.99 * AUCTIONS

            proxy.heal()

            await until(lambda: status(haat)["snapshot_age_s"] < 1, "the age of the snapshot")
            await until_sold(shop, sold=False)
            assert "changes wait" not in status(haat)["backends"]["inventory, search"]
        assert haat.stop() == 0


@found_directly
async def test_a_slow_elasticsearch_keeps_no_auction_waiting(
    serve: Serve, keys: DemoKeys, config: str, proxy: Proxy
) -> None:
    with serve(config=config) as haat:
        brand = keys.brands[0]
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            item = await run_campaign(haat.target, keys, brand)
            await until_sold(shop)

            proxy.slow(200)

            assert await sold(shop, 10_000) >= 0.99 * AUCTIONS
            await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)
            await until_sold(shop, sold=False)


@in_memory
async def test_a_read_only_index_is_told_of_and_what_waits_comes_when_it_is_writable(
    serve: Serve, keys: DemoKeys, config: str, indices: Indices
) -> None:
    with serve(config=config) as haat:
        brand = keys.brands[0]
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            item = await run_campaign(haat.target, keys, brand)
            await until_sold(shop)
            name = indices.current(LINE_ITEMS)
            assert name is not None
            indices.client.indices.put_settings(index=name, settings={"index.blocks.write": True})

            await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)

            await until(lambda: "read-only" in status(haat)["backends"]["inventory, search"], "the word of it")
            assert await sold(shop, 10_000) >= 0.99 * AUCTIONS
            await until(lambda: status(haat)["snapshot_age_s"] > 1, "the age of the snapshot")
            indices.client.indices.put_settings(index=name, settings={"index.blocks.write": None})
            await until_sold(shop, sold=False)


@in_memory
async def test_without_elasticsearch_at_the_start_the_inventory_begins_with_the_record(
    serve: Serve, keys: DemoKeys, config: str, proxy: Proxy
) -> None:
    with serve() as embedded:
        await run_campaign(embedded.target, keys, keys.brands[0])
        assert embedded.stop() == 0
    proxy.cut()
    with serve(config=config) as haat:
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            assert await sold(shop, 10_000) >= 0.99 * AUCTIONS

            proxy.heal()

            await until(lambda: status(haat)["snapshot_age_s"] < 1, "the age of the snapshot")
            await until_sold(shop)


def chair(product_id: str, name: str) -> catalogue.Product:
    return catalogue.Product(
        product_id=product_id,
        name=name,
        brand="Chairs of Dhaka",
        category="chairs",
        price_micros=49_000_000,
        currency="EUR",
        landing_url=f"https://shop.example/{product_id}",
        in_stock=True,
    )


@in_both_ways
async def test_a_look_alike_reaches_who_looked_at_something_like_its_product(
    serve: Serve, keys: DemoKeys, config: str, indices: Indices
) -> None:
    lamp = chair("lamp", "Brass lamp")
    lamp.category, lamp.brand, lamp.price_micros = "lamps", "Light", 9_000_000
    brand = keys.brands[0]

    with serve(config=config) as haat:
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CatalogueClient(haat.target, keys.shop.key, keys.shop.tenant_id) as products,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            await products.put_products([chair("chair-1", "Oak chair"), chair("chair-2", "Oak chair small"), lamp])
            item = await run_campaign(haat.target, keys, brand, bid_micros=1_000_000)
            look_alike = await mine.create_line_item(
                campaigns.LineItem(
                    campaign_id=item.campaign_id,
                    name="Like our chair",
                    strategy=campaigns.STRATEGY_LOOK_ALIKE,
                    pricing_model=exchange.PRICING_MODEL_CPM,
                    bid_micros=8_000_000,
                    creative_ids=item.creative_ids,
                    targeting=campaigns.Targeting(near_products=["chair-2"]),
                )
            )

            async def shown_to(*looked_at: str) -> str:
                view = a_page_view(next(numbers))
                view.visitor.affinities.extend(common.Affinity(product_id=one, weight=2.0) for one in looked_at)
                return (await shop.hold_auction(view)).placements[0].ad.line_item_id

            numbers = iter(range(1, 100_000))
            loop = asyncio.get_running_loop()
            give_up_s = loop.time() + WITHIN_S
            while await shown_to("chair-1") != look_alike.line_item_id:
                assert loop.time() < give_up_s, f"the look-alike was not shown within {WITHIN_S:.0f} s"
                await asyncio.sleep(0.05)

            assert await shown_to("lamp") == item.line_item_id
            assert await shown_to("chair-2") == item.line_item_id
            assert await shown_to() == item.line_item_id
        assert haat.stop() == 0
