"""What does a page of the feed cost? Ranking alone, and the whole call with the auction that sells its ads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from app.haat import Haat
from app.settings import Settings
from backends.posts_sql import SqlPostStore
from backends.sql import open_engine, sqlite_url
from bench.measure import Round
from bench.settings import BenchSettings
from common.clock import SystemClock
from common.consent import Permission
from common.ids import new_id
from feed.cursor import Chain
from feed.index import FeedIndex
from feed.post import Post, ProductTag
from feed.sessions import InProcessSessions
from feed.timeline import Timeline
from feed.view import FeedQuery
from loadgen.quantities import Latencies
from protos import common_pb2, feed_pb2
from streams.product import Product

RANKING, WHOLE_CALL = "feed, ranking 500 posts to 50", "feed, whole call, 12 posts and 2 ads"
POSTS, CREATORS, STORED_POSTS = 5_000, 200, 1_500
_TENANT = "b" * 32
_DAY_MS = 86_400_000

Call = Callable[[int], Awaitable[object]]


async def measure_calls(call: Call, settings: BenchSettings) -> Round:
    """One round of one call after the other, on this process's own core; the warm-up is not counted."""
    latencies = Latencies()
    begun = time.monotonic()
    numbers = itertools.count()
    while time.monotonic() < begun + settings.warmup_s:
        await call(next(numbers))
    calls, cpu_before, start = 0, time.process_time(), time.monotonic()
    while time.monotonic() < start + settings.seconds and calls < settings.max_page_views:
        start_ns = time.monotonic_ns()
        await call(next(numbers))
        latencies.record_ns(time.monotonic_ns() - start_ns)
        calls += 1
    return Round(
        page_views=calls,
        failed=0,
        seconds=time.monotonic() - start,
        server_cpu_s=time.process_time() - cpu_before,
        p50_ms=latencies.quantile_ms(50),
        p99_ms=latencies.quantile_ms(99),
        fill=0.0,
    )


def ranking(seed: int) -> Call:
    """Decides pages of 50 out of 500 candidates and more, each of a session of its own whose visitor has a profile and
    follows creators, over 5,000 posts.
    """
    chance = Random(seed)
    clock = SystemClock()
    now_ms = clock.now_ms()
    shop = _Shop([_product(number, _TENANT) for number in range(1_000)])
    index = FeedIndex(products=shop)
    index.fold(_posts(POSTS, _TENANT, list(shop.by_id), now_ms, chance))
    shelf = index.shelf(_TENANT)
    for _ in range(2_000):
        shelf.count_action(chance.randrange(POSTS), 1.0, now_ms - chance.randrange(_DAY_MS))
    sessions = InProcessSessions()
    timeline = Timeline(index=index, sessions=sessions, products=shop, profiles=shop, clock=clock)

    async def call(number: int) -> object:
        session_id = f"session-{number}"
        session = sessions.read(_TENANT, session_id, now_ms)
        session.followed.update({f"creator-{number % CREATORS}": None, f"creator-{(number + 7) % CREATORS}": None})
        sessions.keep(_TENANT, session_id, session, now_ms)
        query = FeedQuery(
            _TENANT, session_id, now_ms, Chain(number), 50, visitor_id="somebody", country="DE",
            permissions=Permission.REMEMBER | Permission.PERSONALISE_CONTENT,
            categories=(f"category-{number % 24}", f"category-{(number + 5) % 24}"), keywords=(f"tag-{number % 60}",),
            affinities=tuple((f"p-{(number * 37 + at * 91) % 1_000}", 1.0 + at % 3) for at in range(12)),
        )  # fmt: skip
        page = timeline.page(query)
        assert len(page.picks) == 50, "the row measures full pages"
        return page

    return call


def whole_call(haat: Haat, tenant_id: str) -> Call:
    """Asks the running server's own method for pages, as its edge does, each in a session of its own."""
    consent = common_pb2.Consent(
        granted=[
            common_pb2.PURPOSE_REMEMBER,
            common_pb2.PURPOSE_PERSONALISED_ADS,
            common_pb2.PURPOSE_PERSONALISED_CONTENT,
        ]
    )

    async def call(number: int) -> object:
        page = await haat.feed_server.get_feed(
            feed_pb2.GetFeedRequest(
                session_id=f"bench-{number}",
                visitor=common_pb2.Visitor(visitor_id=f"visitor-{number % 1_000}"),
                consent=consent,
                page=common_pb2.Page(url="https://shop.example/feed", categories=["men"], keywords=["shoes"]),
                device=common_pb2.Device(country="DE", language="de"),
                page_size=12,
                ad_slots=2,
            ),
            tenant_id,
        )
        assert len(page.items) >= 12, "the row measures full pages"
        return page

    return call


def store_posts(settings: Settings, tenant_id: str, products: Sequence[str], seed: int) -> None:
    """Posts of the bench's shop, into its data folder."""
    clock = SystemClock()
    engine = open_engine(sqlite_url(settings.data_dir))
    try:
        store = SqlPostStore(engine)
        for number, post in enumerate(_posts(STORED_POSTS, tenant_id, products, clock.now_ms(), Random(seed))):
            store.create(post, f"bench-{number}", "bench", post.published_at_ms)
    finally:
        engine.dispose()


class _Shop:
    """A catalogue, and a visitor who likes a few products of it."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.by_id = {product.product_id: product for product in products}

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> list[Product | None]:
        return [self.by_id.get(product_id) for product_id in product_ids]

    def affinities(self, tenant_id: str, visitor_id: str) -> dict[str, float]:
        return {"p-11": 2.0, "p-222": 1.0, "p-333": 3.0}

    def remember(self, tenant_id: str, visitor_id: str, weights: object, now_ms: int) -> None:
        raise AssertionError("nobody acts in this row")


def _product(number: int, tenant_id: str) -> Product:
    return Product(
        f"p-{number}", tenant_id, f"Product {number}", f"brand-{number % 60}", f"category-{number % 24}",
        (10 + number % 90) * 1_000_000, "EUR", "", "https://b.example/p", number % 20 > 0, {},
    )  # fmt: skip


def _posts(count: int, tenant_id: str, products: Sequence[str], now_ms: int, chance: Random) -> list[Post]:
    """Of the last two weeks, by 200 creators, each with two or three products and two hashtags."""
    posts = []
    for _ in range(count):
        published_at_ms = now_ms - chance.randrange(14 * _DAY_MS)
        tagged = chance.sample(list(products), chance.randrange(2, 4))
        posts.append(
            Post(
                tenant_id=tenant_id,
                post_id=new_id(published_at_ms),
                creator_id=f"creator-{chance.randrange(CREATORS)}",
                caption="Three ways to wear it. Which one would you take?",
                image_urls=("https://img.example/1.jpg",),
                product_tags=tuple(ProductTag(product, 0.5, 0.5) for product in tagged),
                hashtags=(f"tag-{chance.randrange(60)}", f"tag-{60 + chance.randrange(20)}"),
                published_at_ms=published_at_ms,
            )
        )
    return posts
