"""Does an auction come to the same, whether its line items are all in memory or are found for it one batch at a time?

Over random inventories and requests: what is found holds every standing bid that the whole inventory would have let
in, and the same bids win at the same prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import numpy as np
import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backends.elasticsearch_client import open_async_client
from backends.elasticsearch_mappings import LINE_ITEMS
from backends.line_item_finder_elasticsearch import ElasticsearchLineItemFinder
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from exchange.answer import Answer
from exchange.direct_inventory import DirectInventory, FoundLineItems
from exchange.eligibility import eligible
from exchange.inventory import Snapshot
from exchange.inventory_follower import InventoryFollower
from exchange.near_products import NearProducts
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.ports import LineItemRecord
from exchange.request import PageView
from exchange.visitor import Visitor
from tests.builders import BANNER, Market, a_creative, a_line_item, a_page_view, a_placement
from tests.elastic_worlds import ElasticWorld, elastic
from tests.properties.test_eligibility import NOW_MS, line_items, page_views, visitors

__all__ = ["elastic"]

pytestmark = pytest.mark.services

MOST = 60


class DirectMarket(Market):
    """A market whose line items lie in Elasticsearch."""

    def __init__(
        self,
        elastic: ElasticWorld,
        client: AsyncElasticsearch,
        *,
        most: int = MOST,
        most_line_items: int = 10_000,
        near: NearProducts | None = None,
    ) -> None:
        super().__init__(find=True, near=near)
        found = FoundLineItems(ElasticsearchLineItemSource(elastic.indices))
        self.follower = InventoryFollower(found, self.compiler, self.clock)
        self.follower.load()
        finder = ElasticsearchLineItemFinder(client, elastic.indices.alias(LINE_ITEMS), self.clock, most=most)
        self.direct = DirectInventory(
            finder, found, self.follower, self.clock, wait_s=30, most_line_items=most_line_items
        )

    async def find(self, views: Sequence[PageView], visitors: Sequence[Visitor]) -> Snapshot:
        self.snapshot = await self.direct.snapshot_for(views, visitors)
        return self.snapshot


def finalists(snapshot: Snapshot, asked: list[tuple[PageView, Visitor]], market: Market) -> list[list[tuple[int, int]]]:
    """(line item, creative) of each finalist, placement by placement."""
    views, who = [view for view, _ in asked], [visitor for _, visitor in asked]
    pages = page_arrays(snapshot, HoursOfWeek(snapshot.zones), views, who)
    found = eligible(snapshot.book, pages, market.purse.available, snapshot.scratch, NOW_MS)
    book = snapshot.book
    return [
        list(zip(book.item_number[book.ad_item[ads]].tolist(), book.ad_creative[ads].tolist(), strict=True))
        for ads in (found.ad[at][:kept] for at, kept in enumerate(found.kept))
    ]


def sold(answers: list[Answer]) -> list[list[tuple[str, str, int] | None]]:
    return [
        [
            (one.ad.facts.line_item_id, one.ad.facts.creative_id, one.ad.price_micros) if one.ad is not None else None
            for one in answer.placements
        ]
        for answer in answers
    ]


@pytest.mark.slow
# The same examples each time, and none made smaller: each of them writes an index anew.
@settings(
    max_examples=25, deadline=None, derandomize=True, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)
@given(line_items(), st.lists(st.tuples(page_views(), visitors()), min_size=1, max_size=4))
def test_what_is_found_holds_the_same_finalists_and_the_same_bids_win(
    elastic: ElasticWorld, items: list[LineItemRecord], asked: list[tuple[PageView, Visitor]]
) -> None:
    elastic.empty()
    elastic.put(items)
    # The storefront says the segments, as nothing is kept of these visitors.
    views = [msgspec.structs.replace(view, segments=visitor.segments) for view, visitor in asked]

    async def hold() -> tuple[list[Answer], list[Answer]]:
        client = open_async_client(elastic.url)
        try:
            market = DirectMarket(elastic, client)
            snapshot = await market.direct.snapshot_for(views, [visitor for _, visitor in asked])
            assert finalists(snapshot, asked, market) == finalists(whole.snapshot, asked, whole)
            assert market.direct.decided["asked"] == len(views)
            return await market.ask(*views), await whole.ask(*views)
        finally:
            await client.close()

    whole = Market(items)
    direct, embedded = asyncio.run(hold())
    assert sold(direct) == sold(embedded)


@pytest.fixture
async def client(elasticsearch_url: str) -> AsyncIterator[AsyncElasticsearch]:
    opened = open_async_client(elasticsearch_url)
    yield opened
    await opened.close()


async def test_the_dearest_are_found_where_there_are_more_than_are_asked_for(
    elastic: ElasticWorld, client: AsyncElasticsearch
) -> None:
    chance = np.random.default_rng(7)
    items = [
        a_line_item(
            number,
            bid_micros=int(chance.integers(1, 5_000)) * 1_000,
            # Dear for CPC: bid × prior decides, not the bid.
            pricing_model=1 + number % 2,
            creatives=(a_creative(number, product_id=f"product-{number}"),),
        )
        for number in range(1, 301)
    ]
    elastic.empty()
    elastic.put(items)
    whole, market = Market(items), DirectMarket(elastic, client)
    views = [a_page_view(placements=tuple(a_placement(name, shapes=(BANNER,)) for name in "abc"))]
    asked = [(views[0], Visitor())]

    snapshot = await market.direct.snapshot_for(views, [Visitor()])

    assert len(snapshot.items) == MOST
    assert finalists(snapshot, asked, market) == finalists(whole.snapshot, asked, whole)
    assert sold(await market.ask(*views)) == sold(await whole.ask(*views))


async def test_schedules_are_kept_in_the_zone_of_the_campaign(
    elastic: ElasticWorld, client: AsyncElasticsearch
) -> None:
    zones = ("UTC", "Asia/Dhaka", "Asia/Kathmandu", "America/New_York", "Pacific/Auckland", "Australia/Lord_Howe")
    chance = np.random.default_rng(3)
    items = [
        a_line_item(
            number,
            time_zone=zones[number % len(zones)],
            hours_of_week=tuple(sorted(chance.choice(168, 40, replace=False).tolist())),
        )
        for number in range(1, 41)
    ]
    elastic.empty()
    elastic.put(items)
    whole, market = Market(items), DirectMarket(elastic, client)
    for _ in range(16):
        view = a_page_view(viewed_at_ms=market.clock.now_ms())
        assert sold(await market.ask(view)) == sold(await whole.ask(view))
        for one in (whole, market):
            one.clock.step(23 * 90_000_000)


async def test_page_views_that_want_the_same_ask_once_and_what_nobody_wants_is_let_go(
    elastic: ElasticWorld, client: AsyncElasticsearch
) -> None:
    elastic.empty()
    elastic.put([a_line_item(number, targeting={"keyword": (f"word-{number}",)}) for number in range(1, 21)])
    market = DirectMarket(elastic, client, most_line_items=5)
    view = a_page_view(keywords=("word-1",))

    await market.ask(view)
    await market.ask(view)
    assert market.direct.decided == {"known": 1, "asked": 1, "late": 0, "unavailable": 0}
    for number in range(2, 21):
        market.clock.step(1_000)
        answer = await market.ask_one(keywords=(f"word-{number}",))
        assert answer.placements[0].ad is not None
    assert len(market.follower.snapshot.items) == 5


async def test_a_change_of_what_was_found_is_followed(elastic: ElasticWorld, client: AsyncElasticsearch) -> None:
    elastic.empty()
    elastic.put([a_line_item(1), a_line_item(2, bid_micros=9_000_000)])
    elastic.moved_to(1)
    market = DirectMarket(elastic, client)
    assert (await market.ask_one()).placements[0].ad is not None
    assert len(market.follower.snapshot.items) == 2
    elastic.put([a_line_item(2, bid_micros=1_000_000, revision=2)], sequence=2)
    elastic.stop("item-1", 1, sequence=2)
    elastic.moved_to(2)

    await market.follower.catch_up()

    snapshot = market.follower.snapshot
    assert [(one.line_item_id, one.bid_micros) for one in snapshot.items] == [("item-2", 1_000_000)]
