"""Do all backends of `Neighbours` behave alike?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from backends.neighbours_elasticsearch import ElasticsearchNeighbours
from backends.neighbours_exact import ExactNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from feed.recommender.ports import Neighbours
from tests.elastic_worlds import elastic_world

BACKENDS: dict[str, Callable[[], Neighbours]] = {"exact": ExactNeighbours, "usearch": UsearchNeighbours}


@pytest.fixture(params=[*BACKENDS, pytest.param("elasticsearch", marks=pytest.mark.services)])
def neighbours(request: pytest.FixtureRequest) -> Iterator[Neighbours]:
    if request.param in BACKENDS:
        yield BACKENDS[request.param]()
        return
    with elastic_world(request.getfixturevalue("elasticsearch_url")) as elastic:
        opened = ElasticsearchNeighbours(elastic.client, f"{elastic.indices.prefix}-vectors")
        yield opened
        opened.close()


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def vectors(*numbers: tuple[float, ...]) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_the_largest_inner_product_comes_first_whatever_the_angle(neighbours: Neighbours) -> None:
    neighbours.put(rows(3, 7, 9), vectors((1, 0), (5, 5), (0, 1)))

    found, products = neighbours.nearest(vectors((1, 0.1)), 3)

    assert found.tolist() == [[7, 3, 9]]
    assert products[0] == pytest.approx([5.5, 1.0, 0.1])


def test_what_is_missing_is_filled_up(neighbours: Neighbours) -> None:
    nothing, _ = neighbours.nearest(vectors((1, 0)), 2)
    neighbours.put(rows(4), vectors((1, 0)))
    found, products = neighbours.nearest(vectors((1, 0), (0, 1)), 2)

    assert nothing.tolist() == [[-1, -1]]
    assert found.tolist() == [[4, -1], [4, -1]]
    assert products[:, 1].tolist() == [-np.inf, -np.inf]


def test_a_vector_is_put_in_place_of_an_earlier_one(neighbours: Neighbours) -> None:
    neighbours.put(rows(0, 1), vectors((1, 0), (0, 1)))
    neighbours.put(rows(0), vectors((0.5, 0.5)))
    found, products = neighbours.nearest(vectors((0, 1)), 2)

    assert found.tolist() == [[1, 0]]
    assert products[0] == pytest.approx([1.0, 0.5])


def test_a_longer_vector_may_come_later(neighbours: Neighbours) -> None:
    neighbours.put(rows(0, 1), vectors((1, 0), (0, 1)))
    neighbours.put(rows(2), vectors((100, 100)))

    assert neighbours.nearest(vectors((1, 0)), 3)[0].tolist() == [[2, 0, 1]]


def test_a_removed_row_is_not_found_and_removing_again_changes_nothing(neighbours: Neighbours) -> None:
    neighbours.put(rows(0, 1), vectors((1, 0), (0, 1)))
    neighbours.remove(rows(0, 5))
    neighbours.remove(rows(0))

    assert neighbours.nearest(vectors((1, 0)), 2)[0].tolist() == [[1, -1]]


def test_nothing_put_changes_nothing(neighbours: Neighbours) -> None:
    neighbours.put(rows(), np.zeros((0, 2), np.float32))

    assert neighbours.nearest(vectors((1, 0)), 1)[0].tolist() == [[-1]]


@pytest.mark.slow
def test_at_least_95_of_the_nearest_100_are_found(neighbours: Neighbours) -> None:
    chance = np.random.default_rng(5)
    # Lengths differ as those of factors do: popular items are long.
    items = (chance.normal(0, 1, (5_000, 32)) * chance.lognormal(0, 0.7, (5_000, 1))).astype(np.float32)
    queries = chance.normal(0, 1, (50, 32)).astype(np.float32)
    neighbours.put(np.arange(5_000), items)

    found, _ = neighbours.nearest(queries, 100)

    exact = np.argsort(-(queries @ items.T), axis=1)[:, :100]
    recall = np.mean([len(np.intersect1d(a, b)) / 100 for a, b in zip(found, exact, strict=True)])
    assert recall >= 0.95
