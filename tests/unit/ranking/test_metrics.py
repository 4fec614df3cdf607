"""Are the measures those that everyone else computes, and do intervals hold what they promise?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from ranking.metrics import MEASURES, Values, compare, interval_of, measure

CHANCE = np.random.default_rng(7)
CLICKS = (CHANCE.random(500) < 0.2).astype(np.int8)
# Many ties, as a smoothed rate has them.
CHANCES: Values = np.round(np.clip(0.2 + 0.1 * CLICKS + CHANCE.normal(0, 0.1, 500), 0.01, 0.9), 2).astype(np.float64)
WEIGHTS = CHANCE.integers(0, 4, 500).astype(np.float64)


def test_measures_agree_with_scikit_learn() -> None:
    found = measure(CLICKS, CHANCES, WEIGHTS)

    assert list(found) == list(MEASURES)
    assert found["log_loss"] == pytest.approx(log_loss(CLICKS, CHANCES, sample_weight=WEIGHTS))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(CLICKS, CHANCES, sample_weight=WEIGHTS))
    assert found["pr_auc"] == pytest.approx(average_precision_score(CLICKS, CHANCES, sample_weight=WEIGHTS))


def test_a_weight_of_two_is_the_impression_twice() -> None:
    times = WEIGHTS.astype(np.intp)

    repeated = measure(np.repeat(CLICKS, times), np.repeat(CHANCES, times), np.ones(int(times.sum())))

    assert repeated == pytest.approx(measure(CLICKS, CHANCES, WEIGHTS))


def test_the_click_rate_itself_is_calibrated_and_worth_one_normalised_entropy() -> None:
    found = measure(CLICKS, np.full(500, CLICKS.mean()), np.ones(500))

    assert found["normalised_entropy"] == pytest.approx(1.0)
    assert found["calibration_ratio"] == pytest.approx(1.0)
    assert found["roc_auc"] == pytest.approx(0.5)


def test_twice_the_click_rate_has_the_ratio_two() -> None:
    found = measure(CLICKS, np.full(500, 2 * CLICKS.mean()), np.ones(500))

    assert found["calibration_ratio"] == pytest.approx(2.0)
    assert found["calibration_error"] == pytest.approx(CLICKS.mean())


def test_areas_without_a_click_are_not_defined() -> None:
    found = measure(np.zeros(10, np.int8), np.full(10, 0.1), np.ones(10))

    assert math.isnan(found["roc_auc"])
    assert math.isnan(found["calibration_ratio"])
    assert found["log_loss"] == pytest.approx(-math.log(0.9))


def test_the_difference_is_paired() -> None:
    better = np.clip(CHANCES + 0.02 * CLICKS, 0.01, 0.95)

    model, prior, difference = compare(CLICKS, better, CHANCES, np.ones(500), 200, 3)

    # Each alone is uncertain by far more than the two differ, and yet the difference is sure.
    assert model["log_loss"].high > prior["log_loss"].low
    assert difference["log_loss"].high < 0.0
    assert difference["log_loss"].value == pytest.approx(model["log_loss"].value - prior["log_loss"].value)


def test_intervals_are_the_same_for_the_same_seed_and_hold_the_value() -> None:
    first, again = (compare(CLICKS, CHANCES, CHANCES, np.ones(500), 100, 5) for _ in range(2))

    assert first == again
    assert first[0]["roc_auc"].low < first[0]["roc_auc"].value < first[0]["roc_auc"].high
    assert first[2]["log_loss"].low == first[2]["log_loss"].high == 0.0


def test_an_interval_of_nothing_is_not_defined() -> None:
    assert all(map(math.isnan, interval_of(np.array([np.nan, np.nan]))))
