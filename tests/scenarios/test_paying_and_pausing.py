"""A brand pays before and spends no more, is billed for it, pauses all; the operator stops and starts the exchange."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.call import call
from app.demo_keys import DemoKeys
from client.billing import BillingClient
from client.campaigns import CampaignClient
from client.exchange import ExchangeClient
from exchange.refusals import Refusal
from protos import campaigns_pb2 as campaigns
from protos import exchange_pb2 as exchange
from tests.scenarios.conftest import Serve
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold

pytestmark = pytest.mark.slow


def haat(target: str, key: str, *arguments: str) -> Any:
    """Run a command against the server; its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments, "--target", target, "--json", "--set", f"api_key={key}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def sell(shop: ExchangeClient, first: int, views: int) -> tuple[int, int]:
    """(ads that were seen, micros that were billed) of so many page views."""
    seen = billed = 0
    for number in range(first, first + views):
        answer = await shop.hold_auction(a_page_view(number))
        if answer.placements[0].HasField("ad"):
            notice = exchange.Notice(
                kind=exchange.Notice.KIND_IMPRESSION, impression_id=answer.placements[0].ad.impression_id
            )
            (outcome,) = await shop.report_notices([notice])
            seen += 1
            billed += outcome.billed_micros
    return seen, billed


async def test_a_prepaid_balance_is_spent_to_the_end_and_not_beyond(
    serve: Serve, keys: DemoKeys, tmp_path: Path
) -> None:
    brand = keys.brands[0]
    with serve() as served:
        async with (
            CampaignClient(served.target, brand.key, brand.tenant_id) as mine,
            BillingClient(served.target, keys.operator.key, brand.tenant_id) as cashier,
            ExchangeClient(served.target, keys.shop.key) as shop,
        ):
            item = await run_campaign(served.target, keys, brand)
            advertiser_id = (await mine.get_campaign(item.campaign_id)).advertiser_id
            await cashier.top_up(advertiser_id, 5_000, idempotency_key="bank 1")
            await cashier.top_up(advertiser_id, 5_000, idempotency_key="bank 1")
            await until_sold(shop)
            # Ads that nobody saw have some of it reserved, so it may end a little before.
            _, billed = await sell(shop, 0, 40)
            assert 0 < billed <= 5_000
            last = await shop.hold_auction(a_page_view(999))
            assert last.placements[0].no_ad_reason == Refusal.BUDGET_EXHAUSTED

            await cashier.top_up(advertiser_id, 100_000)
            await until_sold(shop)

            def settled() -> bool:
                found = call(served.target, brand.key, "GetBalance", json.dumps({"advertiser_id": advertiser_id}))
                return int(found["balance_micros"]) == 105_000 - billed

            deadline = time.monotonic() + 10
            while not await asyncio.to_thread(settled) and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            assert settled()
        month = time.strftime("%Y-%m", time.gmtime())
        tenant = ("--tenant", brand.tenant_id)
        (issued,) = haat(
            served.target, keys.operator.key, "invoice", "issue", advertiser_id, month, "--interim", *tenant
        )
        assert int(issued["net_micros"]) == billed
        out = tmp_path / "invoice.pdf"
        haat(served.target, brand.key, "invoice", "pdf", issued["invoice_id"], "--out", str(out))
        assert out.read_bytes().startswith(b"%PDF-")
        trial = haat(served.target, keys.operator.key, "balance", "trial")
        assert trial["totals_micros"] == {"EUR": 0}


async def test_a_paused_advertiser_and_a_paused_exchange_sell_nothing_until_they_are_resumed(
    serve: Serve, keys: DemoKeys
) -> None:
    brand = keys.brands[0]
    with serve() as served:
        async with (
            CampaignClient(served.target, brand.key, brand.tenant_id) as mine,
            ExchangeClient(served.target, keys.shop.key) as shop,
        ):
            item = await run_campaign(served.target, keys, brand)
            advertiser_id = (await mine.get_campaign(item.campaign_id)).advertiser_id
            await until_sold(shop)
            await mine.set_state(advertiser_id, campaigns.STATE_PAUSED)
            await until_sold(shop, sold=False)
            assert await sell(shop, 0, 5) == (0, 0)
            await mine.set_state(advertiser_id, campaigns.STATE_ACTIVE)
            await until_sold(shop)

            await asyncio.to_thread(haat, served.target, keys.operator.key, "pause", "--reason", "fire drill")
            answer = await shop.hold_auction(a_page_view(1))
            assert answer.placements[0].no_ad_reason == Refusal.EXCHANGE_PAUSED
    with serve() as served:
        async with ExchangeClient(served.target, keys.shop.key) as shop:
            answer = await shop.hold_auction(a_page_view(2))
            assert answer.placements[0].no_ad_reason == Refusal.EXCHANGE_PAUSED
            await asyncio.to_thread(haat, served.target, keys.operator.key, "resume")
            await until_sold(shop)
