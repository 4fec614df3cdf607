from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feed.exploration import SHORTLIST, draw, spread
from feed.index import Rows
from tests.feed_builders import Feed, a_post


def pool(*rows: int) -> Rows:
    return np.array(rows, np.int32)


def test_every_fresh_post_is_drawn_as_often_as_its_propensity_says() -> None:
    shelf = Feed([a_post(n) for n in range(1, 7)]).shelf
    chance = np.random.default_rng(1)
    drawn: Counter[int] = Counter()
    for _ in range(3_000):
        rows, propensity, _ = draw(shelf, pool(0, 1, 2, 3, 4, 5), [5], 2, chance)
        drawn.update(rows)

    assert propensity == 2 / 5
    assert drawn[5] == 0
    assert all(abs(drawn[row] / 3_000 - propensity) < 0.04 for row in range(5))


def test_a_creator_has_one_post_in_the_draw_the_least_seen() -> None:
    shelf = Feed([a_post(n, creator_id="ana") for n in (1, 2, 3)]).shelf
    shelf.count_views(pool(0, 1))

    assert draw(shelf, pool(0, 1, 2), [], 3, np.random.default_rng(1)) == ([2], 1.0, [[]])


def test_each_place_is_one_of_a_short_list_that_is_drawn_evenly_too() -> None:
    shelf = Feed([a_post(n) for n in range(1, 12)]).shelf
    chance = np.random.default_rng(1)
    shown: Counter[int] = Counter()
    listed: Counter[int] = Counter()
    for _ in range(4_000):
        rows, _, alternatives = draw(shelf, pool(*range(11)), [], 2, chance)
        both = [*rows, *(row for others in alternatives for row in others)]
        assert len(both) == len(set(both)) == 2 * SHORTLIST
        shown.update(rows)
        listed.update(both)

    for row in range(11):
        assert abs(shown[row] / listed[row] - 1 / SHORTLIST) < 0.03


def test_a_pool_that_is_too_small_makes_shorter_lists() -> None:
    shelf = Feed([a_post(n) for n in range(1, 6)]).shelf

    rows, propensity, alternatives = draw(shelf, pool(*range(5)), [], 2, np.random.default_rng(1))

    assert (len(rows), propensity, [len(others) for others in alternatives]) == (2, 2 / 5, [1, 1])


def test_nothing_is_drawn_from_nothing() -> None:
    shelf = Feed([a_post(1)]).shelf

    assert draw(shelf, pool(), [], 3, np.random.default_rng(1)) == ([], 1.0, [])
    assert draw(shelf, pool(0), [0], 3, np.random.default_rng(1)) == ([], 1.0, [])


@given(ranked=st.integers(0, 40), drawn=st.integers(0, 10))
def test_drawn_posts_are_spread_and_never_on_top(ranked: int, drawn: int) -> None:
    order = spread(list(range(ranked)), list(range(100, 100 + drawn)))

    assert [row for row in order if row < 100] == list(range(ranked))
    assert sorted(row for row in order if row >= 100) == list(range(100, 100 + drawn))
    if ranked and drawn <= ranked:
        assert order[0] < 100
