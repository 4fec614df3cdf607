"""What one node hears of products, posts and people, does the other know it a moment later?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys
from backends.event_log_lmdb import LmdbEventLog
from backends.redis_connection import RedisConnection
from client.catalogue import CatalogueClient
from client.errors import CallFailed
from client.feed import FeedClient
from protos import feed_pb2 as feed
from streams.feed_events import PersonErased
from streams.schemas import decode
from streams.topics import ERASURES
from tests.scenarios.conftest import Serve
from tests.scenarios.test_feed_stock import OTHER, SHOWN, a_product, a_request, products_of, until
from tests.scenarios.test_people_of_the_feed import run_erase
from tests.scenarios.test_two_nodes import Pair

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(serve: Serve, data_dir: Path, tmp_path: Path) -> Iterator[Pair]:
    two = Pair(serve, data_dir, tmp_path)
    yield two
    two.close()


async def test_products_posts_and_erasures_reach_the_other_node(
    pair: Pair, keys: DemoKeys, data_dir: Path, tmp_path: Path
) -> None:
    one, two = pair.start(1), pair.start(2)
    async with (
        FeedClient(one.target, keys.shop.key, keys.shop.tenant_id, timeout_ms=5_000) as at_one,
        FeedClient(two.target, keys.shop.key, keys.shop.tenant_id, timeout_ms=5_000) as at_two,
        CatalogueClient(one.target, keys.shop.key, keys.shop.tenant_id) as wares_one,
        CatalogueClient(two.target, keys.shop.key, keys.shop.tenant_id) as wares_two,
    ):
        await wares_one.put_products([a_product(one) for one in (SHOWN, OTHER)])
        for product, creator in ((SHOWN, "ann"), (OTHER, "bob")):
            await _until_known(wares_two, product)
            tag = feed.ProductTag(product_id=product, x=0.5, y=0.5)
            await at_one.create_post(
                feed.Post(
                    creator_id=creator, caption="A look", image_urls=["https://img.example/1.jpg"], product_tags=[tag]
                )
            )
        await until(lambda: at_two.get_feed(a_request()), lambda page: products_of(page) == {SHOWN, OTHER})

        # What is sold out at one leaves the pages of the other.
        await wares_two.put_products([a_product(SHOWN, in_stock=False)])
        await until(lambda: at_one.get_feed(a_request()), lambda page: products_of(page) == {OTHER})

        run_erase(one, keys.shop.key, "bob")
        await until(lambda: at_two.get_feed(a_request()), lambda page: not products_of(page))
    assert (one.stop(), two.stop()) == (0, 0)
    # The other one's log keeps it in mind, whatever is made of that log again.
    log = LmdbEventLog(tmp_path / "node-2" / "log", readonly=True)
    erased = [decode(ERASURES.name, record) for record in log.read(ERASURES.name, 0)]
    log.close()
    assert [isinstance(event, PersonErased) for event in erased] == [True]


@pytest.mark.services
async def test_with_redis_a_session_has_the_same_feed_on_both_nodes(
    pair: Pair, keys: DemoKeys, redis: RedisConnection, redis_url: str
) -> None:
    pair.settings = {"redis_url": redis_url, "redis_prefix": redis.prefix, "redis_wait_ms": "1000"}
    one, two = pair.start(1), pair.start(2)
    async with (
        FeedClient(one.target, keys.shop.key, keys.shop.tenant_id, timeout_ms=5_000) as at_one,
        FeedClient(two.target, keys.shop.key, keys.shop.tenant_id, timeout_ms=5_000) as at_two,
        CatalogueClient(one.target, keys.shop.key, keys.shop.tenant_id) as wares,
    ):
        await wares.put_products([a_product(SHOWN)])
        for number in range(9):
            tag = feed.ProductTag(product_id=SHOWN, x=0.5, y=0.5)
            await at_one.create_post(
                feed.Post(
                    creator_id=f"creator-{number}", caption=f"Look number {number}",
                    image_urls=["https://img.example/1.jpg"], product_tags=[tag],
                )
            )  # fmt: skip

        def asked(session: str, size: int, cursor: str = "") -> feed.GetFeedRequest:
            return feed.GetFeedRequest(session_id=session, page_size=size, cursor=cursor)

        await until(lambda: at_two.get_feed(asked("looks", 9)), lambda page: len(page.items) == 9)
        first = await at_one.get_feed(asked("s", 3))
        second = await at_two.get_feed(asked("s", 3, first.next_cursor))
        again = await at_one.get_feed(asked("s", 3, first.next_cursor))
        # A scroll of its own, in the same session.
        third = await at_two.get_feed(asked("s", 3))
    assert again.page_id == second.page_id
    assert [item.post.post_id for item in again.items] == [item.post.post_id for item in second.items]
    assert len({item.post.post_id for page in (first, second, third) for item in page.items}) == 9
    assert (one.stop(), two.stop()) == (0, 0)


async def _until_known(wares: CatalogueClient, product_id: str) -> None:
    for _ in range(200):
        try:
            await wares.get_product(product_id)
            return
        except CallFailed:
            await asyncio.sleep(0.02)
    raise AssertionError(f"{product_id} is not known at the other node")
