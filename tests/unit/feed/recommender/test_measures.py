from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from backends.neighbours_exact import ExactNeighbours
from feed.recommender import baselines, measures
from feed.recommender.evaluation import Evaluation, evaluate, sentence
from feed.recommender.feedback import DAY_MS, Kind
from feed.recommender.intervals import Mean, mean
from feed.recommender.windows import cut
from tests.recommender_builders import NOW_MS, dense, shop, small

ITEMS = 40


def lists(*rows: list[int]) -> np.ndarray:
    return np.array([row + [-1] * (measures.LENGTH - len(row)) for row in rows], np.int64)


def test_ndcg_and_recall_by_hand() -> None:
    # The first finds its two targets at ranks 1 and 3, the second none of its one, the third has nothing to find.
    found = measures.found(lists([5, 6, 7], [1, 2], [3]), np.array([5, 7, ITEMS + 9]), ITEMS)

    assert found.ndcg_10[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    assert found.ndcg_10[1] == 0.0
    assert np.isnan(found.ndcg_10[2])
    assert found.recall_20[:2].tolist() == [1.0, 0.0]


def test_recall_beyond_ten_counts_at_twenty_alone() -> None:
    found = measures.found(lists(list(range(20))), np.array([15, 39]), ITEMS)

    assert (found.recall_10[0], found.recall_20[0], found.ndcg_10[0]) == (0.0, 0.5, 0.0)


def test_coverage_and_gini_tell_spread_from_sameness() -> None:
    same = lists(*[list(range(10))] * 4)
    spread = lists(*[list(range(first, first + 10)) for first in (0, 10, 20, 30)])

    assert (measures.coverage(same, ITEMS), measures.coverage(spread, ITEMS)) == (0.25, 1.0)
    assert measures.gini(spread, ITEMS) == pytest.approx(0.0)
    assert measures.gini(same, ITEMS) == pytest.approx(0.75)


def test_novelty_is_the_surprise_of_an_item() -> None:
    popularity = np.array([4.0, 4.0, 4.0, 4.0])

    assert measures.novelty(lists([0, 1]), popularity) == pytest.approx(2.0)


def test_diversity_is_one_for_unlike_and_nothing_for_like_items() -> None:
    vectors = csr_array(dense([1, 0], [1, 0], [0, 1]))

    assert measures.diversity(lists([0, 1]), vectors) == pytest.approx(0.0)
    assert measures.diversity(lists([0, 2]), vectors) == pytest.approx(1.0)


def test_calibration_is_nothing_for_the_mix_of_the_history() -> None:
    category = np.array([0, 0, 1, 1], np.int32)
    chosen = csr_array(dense([1, 0, 1, 0]))

    assert measures.calibration(lists([1, 3]), chosen, category) == pytest.approx(0.0)
    assert measures.calibration(lists([0, 1]), chosen, category) > 0.5


def test_an_interval_holds_its_mean_and_narrows_with_visitors() -> None:
    chance = np.random.default_rng(1)
    few, many = (mean(chance.normal(1.0, 1.0, count), 500, 1) for count in (50, 5_000))

    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low
    assert np.isnan(mean(np.array([np.nan]), 100, 1).value)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (Mean(0.02, 0.01, 0.03), "The hybrid beats the best baseline, EASE"),
        (Mean(0.01, -0.01, 0.03), "It is not shown"),
        (Mean(-0.02, -0.03, -0.01), "is worse"),
    ],
)
def test_the_sentence_says_no_more_than_the_interval(gain: Mean, said: str) -> None:
    assert said in sentence("EASE", gain)


def test_plain_lists_hold_only_what_is_allowed_and_not_taken() -> None:
    scores = dense([5, 4, 3, 2], [1, 2, 3, 4])

    best = baselines.lists(scores, np.array([True, True, False, True]), np.array([0, 4 + 3]))

    assert best[:, :3].tolist() == [[1, 3, -1], [1, 0, -1]]


def test_a_window_knows_nothing_of_what_follows() -> None:
    now_ms = NOW_MS - 10 * DAY_MS
    window = cut(shop(), now_ms, small().blend)

    assert int(window.learned.at_ms.max()) < now_ms
    assert int(window.histories.at_ms.max()) < now_ms
    assert len(window.target_keys) == len(np.unique(window.target_keys))


def test_what_is_revealed_is_not_to_be_foreseen() -> None:
    settings = small(blend={"revealed_share": 0.5}).blend
    now_ms = NOW_MS - 10 * DAY_MS
    window = cut(shop(), now_ms, settings)
    plain = cut(shop(), now_ms, small().blend)

    assert int(window.learned.at_ms.max()) < now_ms
    assert len(window.histories.items) > len(plain.histories.of(np.arange(len(plain.visitors))).items)
    assert len(window.target_keys) < len(plain.target_keys)


@pytest.mark.slow
def test_an_evaluation_stands_beside_every_baseline_and_is_the_same_again() -> None:
    def once() -> Evaluation:
        training = small(judging={"visitors_at_most": 60})
        return evaluate("shop", shop(), NOW_MS - 10 * DAY_MS, training, ExactNeighbours, lambda _: None)

    first, second = once(), once()

    assert [row.name for row in first.tasks[0].rows] == [
        "popularity", "recent popularity", "own history", "own history + recent popularity", "item-kNN", "ALS", "EASE",
        "hybrid",
    ]  # fmt: skip
    rows = {row.name: row for row in first.tasks[0].rows}
    assert rows["hybrid"].ndcg_10.value > rows["popularity"].ndcg_10.value
    # Figures that are not defined are NaN, which equals nothing.
    assert repr(first.tasks) == repr(second.tasks)
    assert first.cold.new_visitors > 0
    assert first.sampled
    own = {row.name: row for row in first.tasks[1].rows}["own history"]
    assert own.coverage == 0.0, "there is nothing new in what was chosen before"
    assert Kind.BUY in shop().targets
