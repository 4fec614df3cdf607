"""Whom purchasers trust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.reputation.trust import DAMPING, propagate, score


def trust(people: int, edges: list[tuple[int, int, float]], purchases: dict[int, float]) -> list[float]:
    bought = np.zeros(people)
    for person, count in purchases.items():
        bought[person] = count
    sources = np.array([edge[0] for edge in edges], np.int64)
    targets = np.array([edge[1] for edge in edges], np.int64)
    weights = np.array([edge[2] for edge in edges], np.float64)
    return list(propagate(people, sources, targets, weights, bought).tolist())


def test_without_a_purchase_there_is_no_trust() -> None:
    assert trust(3, [(0, 1, 1.0), (1, 2, 1.0)], {}) == [0.0, 0.0, 0.0]
    assert trust(0, [], {}) == []


def test_one_purchaser_who_vouches_for_nobody_else_counts_one() -> None:
    assert trust(2, [(0, 1, 3.0)], {0: 1})[1] == pytest.approx(1.0)


@pytest.mark.parametrize("size", [10, 100, 1_000])
def test_it_does_not_depend_on_the_size_of_the_network(size: int) -> None:
    rest = [(at, at + 1, 1.0) for at in range(10, size * 2, 2)]
    bought = dict.fromkeys(range(10, size * 2, 2), 1.0) | {0: 1.0, 1: 1.0, 2: 1.0}

    found = trust(size * 2 + 10, [(0, 5, 1.0), (1, 5, 1.0), (2, 5, 1.0), *rest], bought)

    assert found[5] == pytest.approx(3.0)


def test_accounts_that_nobody_vouches_for_give_nothing_however_many_they_are() -> None:
    sybils = [(at, 1, 1.0) for at in range(10, 1_000)]

    found = trust(1_000, [(0, 2, 1.0), *sybils], {0: 1})

    assert found[1] == 0.0
    assert found[2] == pytest.approx(1.0)


def test_a_ring_with_one_purchase_multiplies_it_no_more_than_damping_allows() -> None:
    ring = [(1 + at, 1 + (at + 1) % 20, 1.0) for at in range(20)]

    found = trust(21, [(0, 1, 1.0), *ring], {0: 1})

    assert sum(found[1:]) <= 1.0 / (1.0 - DAMPING) + 1e-9


def test_one_who_buys_a_hundred_times_is_not_a_hundred_people() -> None:
    many = trust(
        103, [(0, 101, 1.0), *((at, 102, 1.0) for at in range(1, 101))], {0: 100} | dict.fromkeys(range(1, 101), 1.0)
    )

    assert many[101] < many[102] / 10


def test_nobody_vouches_for_themselves() -> None:
    assert trust(2, [(0, 0, 9.0), (0, 1, 1.0)], {0: 1}) == pytest.approx([0.0, 1.0])


@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19), st.floats(0.1, 5)), min_size=1, max_size=60),
    st.dictionaries(st.integers(0, 19), st.floats(1, 50), min_size=1, max_size=20),
    st.permutations(range(20)),
)
def test_it_is_finite_and_does_not_depend_on_how_people_are_numbered(
    edges: list[tuple[int, int, float]], purchases: dict[int, float], order: list[int]
) -> None:
    found = trust(20, edges, purchases)
    renamed = trust(
        20,
        [(order[s], order[t], w) for s, t, w in edges],
        {order[person]: count for person, count in purchases.items()},
    )

    assert all(np.isfinite(found))
    assert min(found) >= 0.0
    assert [renamed[order[person]] for person in range(20)] == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_trust_is_a_share_of_one() -> None:
    assert score(np.array([0.0, 3.0, 1e9])).tolist() == pytest.approx([0.0, 0.5, 1.0])
