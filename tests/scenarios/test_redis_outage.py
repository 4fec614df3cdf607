"""Does a running haat go on without Redis, and with it again?"""

from __future__ import annotations

import asyncio
import contextlib
import re
import urllib.request
import uuid
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys
from client.campaigns import CampaignClient
from client.exchange import ExchangeClient
from common.money import MICROS
from tests.redis_worlds import remove
from tests.scenarios.conftest import Serve, Served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold
from tests.services.four_engines import until_live
from tests.services.proxy import proxy_before

pytestmark = [pytest.mark.services, pytest.mark.slow]


def counted(haat: Served) -> dict[str, int]:
    """What came of asking Redis, by connection and result."""
    with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=10) as page:
        text = page.read().decode()
    return {label: int(float(n)) for label, n in re.findall(r'haat_redis_total\{result="([^"]+)"\} (\S+)', text)}


async def test_auctions_go_on_while_redis_is_gone_and_it_is_asked_again_when_it_is_back(
    serve: Serve, keys: DemoKeys, tmp_path: Path, redis_url: str
) -> None:
    prefix = f"test-{uuid.uuid4().hex[:16]}"
    config = tmp_path / "haat.toml"
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(proxy_before(redis_url))
        settings = {"redis_url": proxy.before(redis_url), "redis_prefix": prefix, "redis_wait_ms": 500}
        config.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
        haat = stack.enter_context(serve(config=str(config)))
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
            assert counted(haat)["hot asked"] > 0

            proxy.cut()
            for at in range(50):
                view = a_page_view(1_000 + at)
                view.session_id = f"away-{at}"
                answer = await shop.hold_auction(view)
                assert answer.placements[0].ad.impression_id, f"nothing was sold in page view {at} without Redis"
            away = counted(haat)
            assert away["hot skipped"] > 0
            assert away["hot opened"] == 1

            proxy.heal()
            for at in range(600):
                view = a_page_view(2_000 + at)
                view.session_id = f"back-{at}"
                await shop.hold_auction(view)
                if counted(haat)["hot asked"] > away["hot asked"]:
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("Redis was not asked again")
        assert haat.stop() == 0
    remove(redis_url, prefix)


async def test_a_line_item_without_a_budget_of_its_own_sells_again_however_often_it_was_changed(
    serve: Serve, keys: DemoKeys, redis_url: str
) -> None:
    prefix, brand = f"test-{uuid.uuid4().hex[:16]}", keys.brands[0]
    with contextlib.ExitStack() as stack:
        stack.callback(remove, redis_url, prefix)
        haat = stack.enter_context(serve({"redis_url": redis_url, "redis_prefix": prefix}))
        item = await run_campaign(haat.target, keys, brand)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5_000) as shop,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            for turn in range(1, 4):
                await until_live(shop, 1_000_000 * turn)
                before = await asyncio.to_thread(haat.metric, "haat_snapshot_sequence")
                # All that was leased is given back, and leased again.
                await mine.change_bid(item.line_item_id, 2 * MICROS + turn)
                async with asyncio.timeout(60):
                    while await asyncio.to_thread(haat.metric, "haat_snapshot_sequence") == before:
                        await asyncio.sleep(0.05)
            await until_live(shop, 5_000_000)
