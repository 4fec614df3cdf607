"""Do all backends of `ProductNeighbours` find the same, and how much do the approximate ones miss?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Protocol

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from backends.elasticsearch_client import open_async_client
from backends.elasticsearch_mappings import PRODUCT_VECTORS, Mapping
from backends.neighbours_exact import ExactNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from backends.product_neighbours_elasticsearch import ElasticsearchProductNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from streams.product import Product
from streams.product_vectors import vectors_of
from tests.builders import a_product
from tests.elastic_worlds import ElasticWorld, bare_elastic, exact_vectors

__all__ = ["bare_elastic"]

EXACT = ["exact", pytest.param("elasticsearch, flat", marks=pytest.mark.services)]
ALL = [*EXACT, "usearch", pytest.param("elasticsearch", marks=pytest.mark.services)]
MANY = 5_000
SOME = 50


class Opened(Protocol):
    async def put(self, products: Sequence[Product]) -> None: ...

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]: ...


@pytest.fixture
async def neighbours(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param in ("exact", "usearch"):
        local = LocalProductNeighbours(ExactNeighbours() if request.param == "exact" else UsearchNeighbours())
        yield local
        await local.close()
        return
    elastic: ElasticWorld = request.getfixturevalue("bare_elastic")
    mapping: Mapping = exact_vectors() if request.param == "elasticsearch, flat" else PRODUCT_VECTORS
    client = open_async_client(elastic.url)
    elastic.ensure([mapping])
    yield ElasticsearchProductNeighbours(client, elastic.indices, mapping=mapping)
    await client.close()


def products(count: int, seed: int = 3) -> list[Product]:
    """Of some categories, brands and words each, as of a shop."""
    chance = Random(seed)
    return [
        a_product(
            number,
            name=" ".join(f"word{chance.randrange(300)}" for _ in range(chance.randrange(1, 6))),
            brand=f"brand {chance.randrange(40)}",
            category=f"category {chance.randrange(25)}",
            price_micros=chance.randrange(1, 500) * 1_000_000,
        )
        for number in range(1, count + 1)
    ]


def exactly(of: Sequence[Product], among: Sequence[Product], limit: int) -> list[list[int]]:
    """The largest inner products of each."""
    inner = vectors_of(of).astype(np.int64) @ vectors_of(among).astype(np.int64).T
    return [sorted(row, reverse=True)[:limit] for row in inner.tolist()]


@pytest.mark.parametrize("neighbours", ALL, indirect=True)
async def test_inner_products_are_exact_and_the_largest_comes_first(neighbours: Opened) -> None:
    known = products(40)
    await neighbours.put(known)

    found = await neighbours.nearest(vectors_of(known[:3]), 40)

    assert [[inner for _, inner in one] for one in found] == exactly(known[:3], known, 40)
    assert [one[0][0] for one in found] == [product.product_id for product in known[:3]]


@pytest.mark.parametrize("neighbours", ALL, indirect=True)
async def test_nothing_known_and_nothing_asked_is_nothing_found(neighbours: Opened) -> None:
    await neighbours.put([a_product(1)])

    assert await neighbours.nearest(vectors_of([]), 5) == []
    assert [len(one) for one in await neighbours.nearest(vectors_of([a_product(1)]), 5)] == [1]


@pytest.mark.parametrize("neighbours", ALL, indirect=True)
async def test_a_product_that_is_put_again_is_what_it_is_now(neighbours: Opened) -> None:
    chair, lamp = a_product(1), a_product(2, name="Brass lamp", category="lamps", brand="Light")
    await neighbours.put([chair, lamp])
    await neighbours.put([msgspec.structs.replace(lamp, product_id="product-1"), lamp])

    ((first, second),) = await neighbours.nearest(vectors_of([chair]), 2)

    assert first[1] == second[1] < 8_000


@pytest.mark.parametrize("neighbours", EXACT, indirect=True)
async def test_exact_ones_miss_nothing(neighbours: Opened) -> None:
    known = products(2_000)
    await neighbours.put(known)

    found = await neighbours.nearest(vectors_of(known[:20]), SOME)

    assert [[inner for _, inner in one] for one in found] == exactly(known[:20], known, SOME)


@pytest.mark.slow
@pytest.mark.parametrize(
    "neighbours", ["usearch", pytest.param("elasticsearch", marks=pytest.mark.services)], indirect=True
)
async def test_approximate_ones_find_95_of_the_nearest_100(neighbours: Opened) -> None:
    known = products(MANY)
    await neighbours.put(known)

    found = await neighbours.nearest(vectors_of(known[:40]), 100)

    assert recall(found, exactly(known[:40], known, 100)) >= 0.95


def recall(found: Sequence[Sequence[tuple[str, int]]], exact: Sequence[Sequence[int]]) -> float:
    """The share of what is at least as near as the last of the exact ones."""
    shares = [sum(inner >= best[-1] for _, inner in one) / len(best) for one, best in zip(found, exact, strict=True)]
    print(f"recall {np.mean(shares):.4f}")
    return float(np.mean(shares))
