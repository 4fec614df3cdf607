"""What does a running haat do when PostgreSQL is gone, silent or slow? Through a proxy, so that others keep theirs."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from app.call import call
from app.demo_keys import DemoKeys, Keyed, make_keys
from client.billing import BillingClient
from client.campaigns import CampaignClient
from client.errors import CallFailed
from client.exchange import ExchangeClient
from common.money import MICROS
from exchange.refusals import Refusal
from protos import campaigns_pb2 as campaigns
from protos import exchange_pb2 as exchange
from tests.databases import empty_database
from tests.scenarios.conftest import Serve, Served, data_dir, serve
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign
from tests.services.proxy import Proxy, proxy_before

__all__ = ["data_dir", "serve"]

pytestmark = [pytest.mark.services, pytest.mark.slow]

# An impression costs at least this, so a lease of 5.00 is gone after a few of them.
PRICE_MICROS = 1 * MICROS
LEASE_MICROS = 5 * MICROS
# Nothing is left, or nothing is left and nobody knows whether there may be more.
SPENT = (Refusal.BUDGET_EXHAUSTED, Refusal.SPEND_UNKNOWN)
PAID_MICROS = 80 * MICROS
BUDGET_MICROS = 100 * MICROS


@dataclass
class World:
    """A haat on PostgreSQL behind a proxy, whose one brand has paid 80.00 and sells."""

    haat: Served
    proxy: Proxy
    keys: DemoKeys
    url: str
    advertiser_id: str
    campaign_id: str

    @property
    def brand(self) -> Keyed:
        return self.keys.brands[0]

    def shop(self) -> ExchangeClient:
        return ExchangeClient(self.haat.target, self.keys.shop.key, timeout_ms=5_000)

    def cashier(self) -> BillingClient:
        return BillingClient(self.haat.target, self.keys.operator.key, self.brand.tenant_id, timeout_ms=30_000)

    def mine(self) -> CampaignClient:
        return CampaignClient(self.haat.target, self.brand.key, self.brand.tenant_id)

    async def has_followed(self) -> bool:
        """Is all that was changed in the inventory, and leased by? Else a lease may be on its way back at the cut."""
        with psycopg.connect(self.url) as connection:
            (newest,) = connection.execute("SELECT max(sequence) FROM outbox").fetchone() or (0,)
        return int((await asyncio.to_thread(self._status))["snapshot_sequence"]) >= int(newest or 0)

    def _status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.haat.http}/status", timeout=10) as page:
            found: dict[str, Any] = json.loads(page.read())
            return found

    def balance_micros(self) -> int:
        asked = json.dumps({"advertiser_id": self.advertiser_id})
        found: dict[str, Any] = call(self.haat.target, self.brand.key, "GetBalance", asked)
        return int(found["balance_micros"])


@pytest.fixture
def world(serve: Serve, data_dir: Path) -> Iterator[World]:
    with empty_database() as url, proxy_before(url) as proxy:
        keys = make_keys(data_dir, ["A brand"], database_url=url)
        settings = {
            "database_url": proxy.before(url),
            "database_connect_timeout_s": "1",
            "database_statement_timeout_ms": "1000",
            "spend_stale_s": "10",
            # What was sold and not seen is free again soon.
            "impression_ttl_s": "5",
        }
        with serve(settings) as haat:
            campaign_id, advertiser_id = asyncio.run(opened(haat, keys))
            yield World(haat, proxy, keys, url, advertiser_id, campaign_id)


async def opened(haat: Served, keys: DemoKeys) -> tuple[str, str]:
    brand = keys.brands[0]
    item = await run_campaign(haat.target, keys, brand, bid_micros=2_000 * MICROS, budget_micros=BUDGET_MICROS)
    async with (
        CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        BillingClient(haat.target, keys.operator.key, brand.tenant_id) as cashier,
    ):
        advertiser_id = (await mine.get_campaign(item.campaign_id)).advertiser_id
        await cashier.top_up(advertiser_id, PAID_MICROS, idempotency_key="first")
    return item.campaign_id, advertiser_id


class Seller:
    """Holds auctions, and reports every ad as seen."""

    def __init__(self, shop: ExchangeClient) -> None:
        self._shop = shop
        self._number = 0
        self.billed_micros = 0

    async def sell(self) -> int:
        """Hold one; 0 when an ad was sold and seen, else why none was."""
        self._number += 1
        view = a_page_view(self._number)
        view.placements[0].floor_micros = 1_000 * PRICE_MICROS
        (place,) = (await self._shop.hold_auction(view)).placements
        if not place.HasField("ad"):
            return place.no_ad_reason
        seen = exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=place.ad.impression_id)
        (outcome,) = await self._shop.report_notices([seen])
        self.billed_micros += outcome.billed_micros
        return 0

    async def sell_until(self, *reasons: int) -> None:
        """Until an auction ends like one of these; 0 is a sale."""
        await eventually(self.sell, lambda found: found in reasons)


async def eventually(ask: Callable[[], Any], good: Callable[[Any], bool], within_s: float = 15.0) -> None:
    """Ask again until the answer is good."""
    deadline = time.monotonic() + within_s
    while not good(found := await ask()):
        assert time.monotonic() < deadline, f"still {found}"
        await asyncio.sleep(0.05)


async def refused(work: Any) -> str:
    """What a call says that the store does not answer to."""
    with pytest.raises(CallFailed) as failed:
        await work
    assert failed.value.code is grpc.StatusCode.UNAVAILABLE
    return str(failed.value)


async def test_without_the_database_no_money_is_taken_and_only_what_is_leased_is_spent(world: World) -> None:
    async with world.shop() as shop, world.cashier() as cashier, world.mine() as mine:
        seller = Seller(shop)
        await seller.sell_until(0)
        await eventually(world.has_followed, bool)
        before = seller.billed_micros

        world.proxy.cut()

        assert "haat doctor" in await refused(cashier.top_up(world.advertiser_id, MICROS, idempotency_key="gone"))
        assert "haat doctor" in await refused(mine.get_campaign(world.campaign_id))
        # A budget is money that may be spent: none is raised, and no campaign begins.
        assert "haat doctor" in await refused(
            mine.change_budget(world.campaign_id, campaigns.Budget(total_micros=900 * MICROS))
        )
        assert "haat doctor" in await refused(mine.create_campaign(another_campaign(world)))
        await seller.sell_until(*SPENT)
        spent = seller.billed_micros - before
        # What was left of one lease, and one that had just come.
        assert 0 < spent <= 2 * LEASE_MICROS

        world.proxy.heal()

        await seller.sell_until(0)
        (campaign,) = (await mine.list_campaigns(world.advertiser_id)).campaigns
        assert campaign.budget.total_micros == BUDGET_MICROS
        # Sent again with its key, as a cashier does who was told nothing.
        await eventually(lambda: topped_up(cashier, world), bool)
        await cashier.top_up(world.advertiser_id, MICROS, idempotency_key="gone")

        async def balance() -> int:
            return await asyncio.to_thread(world.balance_micros)

        await eventually(balance, lambda found: found == PAID_MICROS + MICROS - seller.billed_micros)
        trial = await asyncio.to_thread(call, world.haat.target, world.keys.operator.key, "GetTrialBalance", "{}")
        assert sum(int(line.get("balance_micros", 0)) for line in trial["accounts"]) == 0


def another_campaign(world: World) -> campaigns.Campaign:
    return campaigns.Campaign(
        advertiser_id=world.advertiser_id,
        name="Winter",
        currency="EUR",
        budget=campaigns.Budget(total_micros=900 * MICROS),
    )


async def topped_up(cashier: BillingClient, world: World) -> bool:
    try:
        await cashier.top_up(world.advertiser_id, MICROS, idempotency_key="gone")
    except CallFailed:
        return False
    return True


async def test_a_silent_database_stops_no_auction_and_is_given_up(world: World) -> None:
    async with world.shop() as shop, world.cashier() as cashier:
        seller = Seller(shop)
        await seller.sell_until(0)
        await eventually(world.has_followed, bool)

        # Not a byte comes from the database any more: what waits for it would wait until the test ends.
        world.proxy.stall()
        assert await seller.sell() == 0
        await refused(cashier.top_up(world.advertiser_id, MICROS, idempotency_key="gone"))
        await seller.sell_until(*SPENT)

        world.proxy.heal()
        await seller.sell_until(0)
        await eventually(lambda: topped_up(cashier, world), bool)


async def test_a_slow_database_still_takes_money_and_leases(world: World) -> None:
    world.proxy.slow(200)
    async with world.shop() as shop, world.cashier() as cashier:
        seller = Seller(shop)
        await seller.sell_until(0)
        await cashier.top_up(world.advertiser_id, MICROS, idempotency_key="slow")
        # More than one lease: they go on coming.
        await eventually(seller.sell, lambda _: seller.billed_micros > 2 * LEASE_MICROS, 30)
