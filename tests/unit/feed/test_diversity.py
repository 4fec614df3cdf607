from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.diversity import BRAND_SHARE, CREATOR_SHARE, cap, divergence, select


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


def test_with_a_wanted_mix_the_page_comes_close_to_it_although_one_category_scores_best() -> None:
    chance = np.random.default_rng(1)
    categories = codes([5, 6, 7] * 40)
    scores = np.where(categories == 5, 2.0, 0.0) + chance.random(120)
    mix = {5: 0.5, 6: 0.3, 7: 0.2}

    page = select(scores, codes(list(range(120))), codes([-1] * 120), categories, 20, 20, mix)
    plain = select(scores, codes(list(range(120))), codes([-1] * 120), categories, 20, 20)

    counts = {code: [int(categories[at]) for at in page].count(code) for code in mix}
    assert all(abs(counts[code] / 20 - mix[code]) < 0.2 for code in mix), counts
    assert divergence(mix, counts) < divergence(mix, {5: [int(categories[at]) for at in plain].count(5)})
    # Within a category the score decides.
    of_five = [at for at in page if categories[at] == 5]
    assert of_five == sorted(np.flatnonzero(categories == 5).tolist(), key=lambda at: -scores[at])[: len(of_five)]


def test_no_divergence_is_none_and_a_missing_category_is_not_endless() -> None:
    assert divergence({1: 0.5, 2: 0.5}, {1: 3, 2: 3}) == pytest.approx(0.0)
    assert 0 < divergence({1: 0.5, 2: 0.5}, {1: 6}) < 2
