"""Does an auction wait for an engine? A haat on all four, none of which lets a byte pass, and everybody is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys, make_keys
from client.exchange import ExchangeClient
from protos import exchange_pb2 as exchange
from tests.scenarios.conftest import Serve, Served, data_dir, serve
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign
from tests.services.four_engines import FourEngines, four_engines, until_live, until_taken_in
from tests.services.kafka import CUTS_CONNECTIONS, collected

__all__ = ["collected", "data_dir", "serve"]

pytestmark = [*CUTS_CONNECTIONS, pytest.mark.slow]

PAGE_VIEWS = 300


@pytest.fixture
def engines() -> Iterator[FourEngines]:
    with ExitStack() as stack:
        yield four_engines(stack)


def asked_of_redis(haat: Served) -> int:
    """Batches of page views that were not answered without it."""
    return int(haat.metric('haat_redis_total{result="hot asked"}'))


async def sold(shop: ExchangeClient, first: int) -> list[exchange.Ad]:
    """What so many page views of known visitors get, one after the other."""
    views = [a_page_view(first + number, visitor=f"visitor-{number % 7}") for number in range(PAGE_VIEWS)]
    for view in views:
        view.tmax_ms = 5_000
    return [place.ad for view in views for place in (await shop.hold_auction(view)).placements if place.HasField("ad")]


async def test_auctions_are_answered_and_sold_while_no_engine_lets_a_byte_pass(
    serve: Serve, data_dir: Path, engines: FourEngines
) -> None:
    keys: DemoKeys = make_keys(data_dir, ["A brand"], database_url=engines.database_url)
    with serve(engines.settings, profile="cluster") as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        # Who waits for PostgreSQL, Elasticsearch or Kafka waits longer than this, and gets no answer.
        async with ExchangeClient(haat.target, keys.shop.key, coalesce=False, timeout_ms=9_000) as shop:
            await until_live(shop)
            await until_taken_in(haat.metric, engines.database_url)
            for proxy in engines.proxies:
                proxy.stall()
            await sold(shop, 100_000)
            assert await asyncio.to_thread(asked_of_redis, haat) > 0

            # Whoever was looking for Redis at that moment may have had its answer, and be believed once more.
            for first in (200_000, 300_000):
                asked = await asyncio.to_thread(asked_of_redis, haat)
                ads = await sold(shop, first)
                asked_since = await asyncio.to_thread(asked_of_redis, haat) - asked
                if not asked_since:
                    break
            outcomes = await shop.report_notices(
                [exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=ad.impression_id) for ad in ads]
            )

            assert len(ads) == PAGE_VIEWS
            # It was found out before that Redis is silent: since then no page view has asked it.
            assert asked_since == 0
            accepted = exchange.NoticeOutcome.VERDICT_ACCEPTED
            assert [outcome.verdict for outcome in outcomes] == [accepted] * PAGE_VIEWS
            for proxy in engines.proxies:
                proxy.heal()
            await until_live(shop, 2_000_000)
