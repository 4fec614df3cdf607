"""Does a forecast count the page views that look-alikes are let into, and no others?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from backends.neighbours_exact import ExactNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange.campaign_values import Strategy
from exchange.forecast import Chances, chances
from exchange.near_products import NearProducts
from exchange.near_recorded import RecordedNear
from exchange.request import PageView
from exchange.visitor import Visitor
from streams.auction_block import AuctionColumns
from streams.product import Product
from tests.builders import Market, a_creative, a_line_item, a_page_view, a_placement, a_product

PRODUCTS, PAGES = 160, 150


def a_catalogue(chance: Random) -> dict[str, Product]:
    return {
        f"product-{number}": a_product(
            number,
            name=" ".join(chance.choices(("oak", "pine", "brass", "small", "round", "chair", "lamp"), k=3)),
            brand=chance.choice(("North", "South")),
            category=chance.choice(("chairs", "lamps", "rugs")),
            price_micros=chance.choice((9, 19, 49)) * 1_000_000,
        )
        for number in range(1, PRODUCTS + 1)
    }


def traffic(chance: Random) -> list[PageView]:
    """Some of whose visitors looked at products, one of them unknown; each carries its place in the row."""
    return [
        a_page_view(
            visitor_id="",
            affinities=tuple(
                (f"product-{number}", chance.choice((0.5, 1.0, 3.0)))
                for number in chance.sample(range(1, PRODUCTS + 9), chance.choice((0, 1, 3, 12)))
            ),
            placements=(a_placement(floor_micros=0),),
            wire=str(at).encode(),
        )
        for at in range(PAGES)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wanted", [1, 3])
async def test_the_page_views_that_are_forecast_are_those_that_the_auction_lets_it_into(seed: int, wanted: int) -> None:
    chance = Random(seed)
    catalogue, views = a_catalogue(chance), traffic(chance)
    neighbours = LocalProductNeighbours(ExactNeighbours())
    await neighbours.put(list(catalogue.values()))
    products = tuple(chance.sample(sorted(catalogue), wanted))
    # A campaign of this strategy bids wherever it is let in, so what it is let into shows in who has an ad.
    draft = a_line_item(
        9, strategy=int(Strategy.BRAND_CAMPAIGN), targeting={"near_product": products},
        creatives=(a_creative(9, product_id=products[0]),),
    )  # fmt: skip
    held = Market([draft], near=NearProducts(neighbours, catalogue.get, SteppedClock(), wait_s=60))
    let_in = {at for at, view in enumerate(views) if (await held.ask(view))[0].placements[0].ad is not None}

    recorded = Market()
    for view in views:
        await recorded.ask(view)
    near = RecordedNear(waiting(neighbours), catalogue.get)
    met = await asyncio.to_thread(met_by, Market([draft]), recorded.published, views, near)
    await neighbours.close()

    assert 10 < len(let_in) < PAGES - 10
    assert set(met.batch.tolist()) == let_in
    assert (met.page_views, met.batches) == (PAGES, PAGES)


def met_by(market: Market, batches: list[AuctionColumns], views: list[PageView], near: RecordedNear) -> Chances:
    return chances(market.snapshot, batches, lambda data, _: views[int(data)], widened=near.widened)


def waiting(neighbours: LocalProductNeighbours) -> Callable[..., list[list[tuple[str, int]]]]:
    return lambda vectors, limit: asyncio.run(neighbours.nearest(vectors, limit))


def test_a_product_is_asked_for_once_and_unknown_ones_not_at_all() -> None:
    asked: list[int] = []

    def nearest(vectors: object, limit: int) -> list[list[tuple[str, int]]]:
        asked.append(len(vectors))  # type: ignore[arg-type]
        return [[("product-2", 127 * 127)]]

    near = RecordedNear(nearest, {"product-1": a_product(1)}.get)
    nobody, somebody = Visitor(), Visitor(affinities={"product-1": 2.0, "unknown": 5.0})

    for _ in range(2):
        assert [one.near for one in near.widened([nobody, somebody])] == [{}, {"product-2": pytest.approx(2.0)}]
    assert asked == [1]


def test_neighbours_that_do_not_answer_are_told_and_no_forecast_is_made_without_them() -> None:
    def nearest(vectors: object, limit: int) -> list[list[tuple[str, int]]]:
        raise BackendUnavailable("gone")

    near = RecordedNear(nearest, {"product-1": a_product(1)}.get)

    with pytest.raises(BackendUnavailable):
        near.widened([Visitor(affinities={"product-1": 1.0})])
