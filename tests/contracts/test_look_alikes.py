"""Do look-alike campaigns reach the same visitors, whether near products are found in this process or by the kNN of
Elasticsearch, and line items are all in memory or are found?

Over random inventories and requests: the same products are near, the same bids are let in, and the same win.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backends.elasticsearch_client import open_async_client
from backends.neighbours_exact import ExactNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from backends.product_neighbours_elasticsearch import ElasticsearchProductNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from common.clock import SteppedClock
from exchange.answer import Answer
from exchange.campaign_values import Strategy
from exchange.near_products import NearProducts
from exchange.ports import LineItemRecord, ProductNeighbours
from exchange.request import PageView
from exchange.visitor import Visitor
from feed.recommender.ports import Neighbours
from streams.product import Product
from tests.builders import Market, a_creative, a_line_item, a_page_view, a_placement, a_product
from tests.contracts.test_direct_inventory import DirectMarket, finalists, sold
from tests.elastic_worlds import ElasticWorld, elastic, exact_vectors

__all__ = ["elastic"]

PRODUCTS = 240
STRATEGIES = (Strategy.LOOK_ALIKE, Strategy.LOOK_ALIKE, Strategy.RETARGET, Strategy.BRAND_CAMPAIGN)


def a_catalogue() -> dict[str, Product]:
    """Of few categories, brands and words, so that many products are near one another."""
    chance = Random(11)
    return {
        f"product-{number}": a_product(
            number,
            name=" ".join(chance.choices(("oak", "pine", "brass", "small", "round", "chair", "lamp", "table"), k=3)),
            brand=chance.choice(("North", "South", "East")),
            category=chance.choice(("chairs", "lamps", "tables", "rugs")),
            price_micros=chance.choice((9, 19, 49, 199)) * 1_000_000,
        )
        for number in range(1, PRODUCTS + 1)
    }


CATALOGUE = a_catalogue()
PRODUCT = st.integers(1, PRODUCTS).map("product-{}".format)


@st.composite
def line_items(draw: st.DrawFn) -> list[LineItemRecord]:
    """Look-alikes, among others that want the same places."""
    items = []
    for number in range(1, draw(st.integers(5, 40)) + 1):
        strategy = draw(st.sampled_from(STRATEGIES))
        products = tuple(draw(st.lists(PRODUCT, min_size=1, max_size=4, unique=True)))
        targeting = {
            Strategy.LOOK_ALIKE: {"near_product": products},
            Strategy.RETARGET: {"seen_product": products},
            Strategy.BRAND_CAMPAIGN: {},
        }[strategy]
        if draw(st.integers(0, 4)) == 0:
            targeting = {**targeting, "keyword": ("sale",)}
        dear = strategy == Strategy.LOOK_ALIKE
        items.append(
            a_line_item(
                number,
                strategy=int(strategy),
                targeting=targeting,
                bid_micros=draw(st.integers(4, 40) if dear else st.integers(1, 10)) * 250_000,
                creatives=(a_creative(number, product_id=products[0]),),
            )
        )
    return items


@st.composite
def page_views(draw: st.DrawFn) -> PageView:
    looked_at = draw(st.dictionaries(PRODUCT, st.sampled_from((0.05, 0.7, 1.0, 2.5)), max_size=12))
    return a_page_view(
        visitor_id="",
        affinities=tuple(looked_at.items()),
        keywords=draw(st.sampled_from(((), ("sale",)))),
        placements=tuple(a_placement(name, floor_micros=0) for name in "ab"),
    )


def near_by(neighbours: ProductNeighbours) -> NearProducts:
    return NearProducts(neighbours, CATALOGUE.get, SteppedClock(), wait_s=60)


async def local(neighbours: Neighbours) -> LocalProductNeighbours:
    opened = LocalProductNeighbours(neighbours)
    await opened.put(list(CATALOGUE.values()))
    return opened


@pytest.mark.slow
@pytest.mark.services
# The same examples each time, and none made smaller: each of them writes an index anew.
@settings(
    max_examples=20, deadline=None, derandomize=True, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)
@given(line_items(), st.lists(page_views(), min_size=1, max_size=4))
def test_the_same_products_are_near_the_same_bids_are_let_in_and_the_same_win(
    elastic: ElasticWorld, items: list[LineItemRecord], views: list[PageView]
) -> None:
    elastic.empty()
    elastic.put(items)
    exact = exact_vectors()

    async def hold() -> None:
        here = await local(ExactNeighbours())
        client = open_async_client(elastic.url)
        there = ElasticsearchProductNeighbours(client, elastic.indices, mapping=exact)
        try:
            elastic.ensure([exact])
            await there.put(list(CATALOGUE.values()))
            whole, direct = Market(items, near=near_by(here)), DirectMarket(elastic, client, near=near_by(there))
            told = [Visitor(affinities=dict(view.affinities)) for view in views]
            by_memory, by_elastic = await near_by(here).widened(told), await near_by(there).widened(told)
            assert [one.near for one in by_elastic] == [one.near for one in by_memory]
            snapshot = await direct.direct.snapshot_for(views, by_elastic)
            asked = list(zip(views, by_memory, strict=True))
            assert finalists(snapshot, asked, direct) == finalists(whole.snapshot, asked, whole)
            assert sold(await direct.ask(*views)) == sold(await whole.ask(*views))
        finally:
            await client.close()
            await here.close()

    asyncio.run(hold())


def chair_and_lamp() -> tuple[Product, Product, Product]:
    """A chair, another one like it, and something else."""
    chair = a_product(1)
    return (
        chair,
        a_product(2, name="Oak chair, small"),
        a_product(3, name="Brass lamp", category="lamps", brand="Light"),
    )


async def ask(near: NearProducts, items: Sequence[LineItemRecord], **changes: object) -> Answer:
    return await Market(items, near=near).ask_one(visitor_id="", **changes)


@pytest.mark.parametrize("make", [ExactNeighbours, UsearchNeighbours])
async def test_a_look_alike_is_shown_to_who_looked_at_something_like_it_and_to_nobody_else(
    make: type[ExactNeighbours | UsearchNeighbours],
) -> None:
    products = {product.product_id: product for product in chair_and_lamp()}
    neighbours = LocalProductNeighbours(make())
    await neighbours.put(list(products.values()))
    near = NearProducts(neighbours, products.get, SteppedClock(), wait_s=60)
    item = a_line_item(1, strategy=int(Strategy.LOOK_ALIKE), targeting={"near_product": ("product-2",)})

    like = await ask(near, [item], affinities=(("product-1", 3.0),))
    nothing_like = await ask(near, [item], affinities=(("product-3", 3.0),))
    itself = await ask(near, [item], affinities=(("product-2", 3.0),))
    without_consent = await ask(near, [item], affinities=(("product-1", 3.0),), permissions=0)
    await neighbours.close()

    assert like.placements[0].ad is not None
    assert [one.placements[0].ad for one in (nothing_like, itself, without_consent)] == [None] * 3


async def test_among_random_inventories_look_alikes_do_win() -> None:
    """The contract above would hold if nothing was ever near."""
    neighbours = await local(ExactNeighbours())
    near = near_by(neighbours)
    items = [
        a_line_item(
            number,
            strategy=int(Strategy.LOOK_ALIKE),
            targeting={"near_product": (f"product-{number}",)},
            creatives=(a_creative(number),),
        )
        for number in range(1, 41)
    ]
    views = [
        a_page_view(request_id=f"{number}", visitor_id="", affinities=((f"product-{number}", 2.0),))
        for number in range(100, 140)
    ]
    market = Market(items, near=near)

    answers = await market.ask(*views)
    await neighbours.close()

    assert sum(answer.placements[0].ad is not None for answer in answers) > 20
