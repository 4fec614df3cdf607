from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feed.diversity import BRAND_SHARE, CREATOR_SHARE, cap, select


def codes(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


def test_without_anything_in_common_the_best_come_first() -> None:
    chosen = select(np.array([1.0, 3.0, 2.0]), codes([1, 2, 3]), codes([1, 2, 3]), codes([1, 2, 3]), 2, 2)

    assert chosen == [1, 2]


def test_a_second_post_of_a_category_gives_way_to_one_of_another_that_is_nearly_as_good() -> None:
    chosen = select(np.array([1.0, 0.9, 0.8]), codes([1, 2, 3]), codes([-1] * 3), codes([5, 5, 6]), 3, 12)

    assert chosen == [0, 2, 1]


def test_posts_without_brand_or_category_are_neither_capped_nor_penalised() -> None:
    scores = np.arange(20, 0, -1).astype(float)

    assert select(scores, codes(list(range(20))), codes([-1] * 20), codes([-1] * 20), 20, 20) == list(range(20))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 3), st.integers(-1, 3), st.floats(-2, 2)), max_size=60),
    st.integers(1, 30),
)
def test_caps_hold_as_long_as_other_posts_are_left(posts: list[tuple[int, int, int, float]], size: int) -> None:
    creators = codes([creator for creator, _, _, _ in posts])
    brands = codes([brand for _, brand, _, _ in posts])
    categories = codes([category for _, _, category, _ in posts])
    scores = np.array([post[3] for post in posts])

    chosen = select(scores, creators, brands, categories, size, size)

    assert len(chosen) == len(set(chosen)) == min(size, len(posts))
    creator_cap, brand_cap = cap(size, CREATOR_SHARE), cap(size, BRAND_SHARE)
    for place, at in enumerate(chosen):
        before = chosen[:place]
        over = [int(creators[b]) for b in before].count(int(creators[at])) >= creator_cap or (
            brands[at] >= 0 and [int(brands[b]) for b in before].count(int(brands[at])) >= brand_cap
        )
        if over:
            # It may only stand here because every post that was left is over a cap.
            for other in set(range(len(posts))) - set(chosen):
                assert [int(creators[b]) for b in before].count(int(creators[other])) >= creator_cap or (
                    brands[other] >= 0 and [int(brands[b]) for b in before].count(int(brands[other])) >= brand_cap
                )


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-2, 2)), min_size=1, max_size=40), st.integers(1, 40))
def test_a_shorter_selection_is_the_beginning_of_a_longer_one(posts: list[tuple[int, float]], count: int) -> None:
    some = codes([post[0] for post in posts])
    scores = np.array([post[1] for post in posts])

    assert select(scores, some, some, some, 40, 12)[:count] == select(scores, some, some, some, count, 12)
