"""All four engines for one haat, each behind a proxy, under names that nobody else has and that go at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

import psycopg

from backends.elasticsearch_client import open_client
from backends.elasticsearch_indices import Indices
from client.errors import CallFailed
from client.exchange import ExchangeClient
from tests.databases import empty_database
from tests.redis_worlds import remove
from tests.scenarios.test_from_campaign_to_bill import a_page_view
from tests.services.engines import address_of
from tests.services.kafka import a_prefix, kafka_behind_proxy
from tests.services.proxy import Proxy, proxy_before

_LIVE_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class FourEngines:
    """`settings` lead a haat through the proxies; `database_url` leads past them."""

    settings: dict[str, str]
    proxies: tuple[Proxy, ...]
    database_url: str


def four_engines(stack: ExitStack) -> FourEngines:
    """Made now, gone with the stack; Kafka is one of its own, since it tells its clients where it is."""
    prefix = a_prefix()
    elasticsearch, redis = address_of("elasticsearch"), address_of("redis")
    database_url = stack.enter_context(empty_database())
    stack.callback(remove, redis, prefix)
    stack.callback(_remove_indices, elasticsearch, prefix)
    _, kafka = stack.enter_context(kafka_behind_proxy())
    before = {
        name: stack.enter_context(proxy_before(address))
        for name, address in (
            ("database_url", database_url),
            ("elasticsearch_url", elasticsearch),
            ("redis_url", redis),
        )
    }
    settings = {
        "database_url": before["database_url"].before(database_url),
        "elasticsearch_url": before["elasticsearch_url"].before(elasticsearch),
        "redis_url": before["redis_url"].before(redis),
        "kafka_brokers": kafka.address,
        **{f"{name}_prefix": prefix for name in ("elasticsearch", "redis", "kafka")},
    }
    return FourEngines(settings, (kafka, *before.values()), database_url)


async def until_live(shop: ExchangeClient, first: int = 1_000_000) -> None:
    """Until an ad is sold: what was made comes by Elasticsearch, money by PostgreSQL, on a machine with much to do.

    Page views are numbered from `first`, whose sessions must be new. After a fault there may be one call under way to
    each engine, which is given up after 11 s at the most, and a look for Redis every 5 s: three times that is waited.
    """
    number, last = first, "no page view was answered"
    ends = monotonic() + _LIVE_WITHIN_S
    while True:
        try:
            place = (await shop.hold_auction(a_page_view(number))).placements[0]
        except CallFailed as error:
            last = str(error)
        else:
            if place.HasField("ad"):
                return
            last = f"the last page view sold nothing, for reason {place.no_ad_reason}"
        assert monotonic() < ends, last
        number += 1
        await asyncio.sleep(0.05)


async def until_taken_in(metric: Callable[[str], float], database_url: str) -> None:
    """Until every change that stands in the database runs: nothing of campaigns and their money is under way then.

    `metric` reads a metric of the haat by its name. The first ad may be sold before that: a line item is found as
    soon as it is written, and taken in once more when Elasticsearch is known to hold all before it.
    """
    with psycopg.connect(database_url) as connection:
        (newest,) = connection.execute("SELECT max(sequence) FROM outbox").fetchone() or (0,)
    ends = monotonic() + _LIVE_WITHIN_S
    while (taken_in := await asyncio.to_thread(metric, "haat_snapshot_sequence")) < newest:
        assert monotonic() < ends, f"changes up to {taken_in} of {newest} are taken in"
        await asyncio.sleep(0.05)


def _remove_indices(url: str, prefix: str) -> None:
    indices = Indices(open_client(url), prefix)
    indices.remove_all()
    indices.client.close()
