"""Do calibrated scores say how often clicks come, without ever turning the order round?"""

from __future__ import annotations

from typing import get_args

import msgspec
import numpy as np
import pytest

from ranking.calibration import LEAST, MOST, UNCALIBRATED, Calibration, apply_each
from ranking.calibration_fitting import fit_calibration
from ranking.settings import Calibrating

CHANCE = np.random.default_rng(3)
RAW = CHANCE.normal(0.0, 2.0, 4000)
# The truth is half as sure as the raw score, and lower.
CLICKS = (CHANCE.random(4000) < 1 / (1 + np.exp(-(0.5 * RAW - 2.0)))).astype(np.int8)
ONES = np.ones(4000)
METHODS: tuple[Calibrating, ...] = get_args(Calibrating)


@pytest.mark.parametrize("method", METHODS)
def test_mean_chance_is_the_click_rate(method: Calibrating) -> None:
    chances = fit_calibration(method, RAW, CLICKS, ONES).apply(RAW)

    assert chances.mean() == pytest.approx(CLICKS.mean(), rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_order_is_kept_and_chances_stay_inside(method: Calibrating) -> None:
    scores = np.array([-1e308, -1e6, -3.0, 0.0, 1e-9, 3.0, 1e6, 1e308])

    chances = fit_calibration(method, RAW, CLICKS, ONES).apply(scores)

    assert (np.diff(chances) >= 0).all()
    assert chances.min() >= LEAST
    assert chances.max() <= MOST


def test_platt_finds_slope_and_offset() -> None:
    found = fit_calibration("platt", RAW, CLICKS, ONES)

    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.offset == pytest.approx(-2.0, abs=0.15)


def test_a_model_that_ranks_the_wrong_way_round_says_the_same_of_everyone() -> None:
    found = fit_calibration("platt", -RAW, CLICKS, ONES)

    assert found.slope == 0.0
    assert found.apply(RAW).mean() == pytest.approx(CLICKS.mean(), rel=0.02)


def test_a_constant_score_becomes_the_click_rate() -> None:
    found = fit_calibration("platt", np.full(4000, 7.0), CLICKS, ONES)

    assert found.apply(np.array([7.0]))[0] == pytest.approx(CLICKS.mean(), rel=0.02)


def test_separable_scores_do_not_run_away() -> None:
    clicks = (RAW > 3.0).astype(np.int8)

    found = fit_calibration("platt", RAW, clicks, ONES)

    assert found.is_monotone()
    assert found.apply(np.array([-5.0]))[0] < 0.01 < 0.99 < found.apply(np.array([8.0]))[0]


@pytest.mark.parametrize("methods", [("platt", "platt"), ("platt", "isotonic"), ()])
def test_each_score_is_calibrated_as_it_is_alone(methods: tuple[Calibrating, ...]) -> None:
    each = [fit_calibration(method, RAW, CLICKS, ONES) for method in methods] + [UNCALIBRATED] * len(methods)

    for raw in CHANCE.normal(0.0, 20.0, (50, len(each))):
        alone = [one.apply(raw[at : at + 1])[0] for at, one in enumerate(each)]
        assert apply_each(each, raw).tolist() == alone


@pytest.mark.parametrize("method", METHODS)
def test_numbers_survive_being_written(method: Calibrating) -> None:
    found = fit_calibration(method, RAW, CLICKS, ONES)

    again = msgspec.json.decode(msgspec.json.encode(found), type=Calibration)

    assert again.is_monotone()
    assert np.array_equal(again.apply(RAW), found.apply(RAW))


@pytest.mark.parametrize(
    "broken",
    [
        Calibration("platt", -1.0, 0.0, (), ()),
        Calibration("platt", float("inf"), 0.0, (), ()),
        Calibration("isotonic", 1.0, 0.0, (), ()),
        Calibration("isotonic", 1.0, 0.0, (0.0, 1.0), (0.2, 0.1)),
        Calibration("isotonic", 1.0, 0.0, (1.0, 0.0), (0.1, 0.2)),
        Calibration("isotonic", 1.0, 0.0, (0.0, 1.0), (0.1, 1.2)),
        Calibration("isotonic", 1.0, 0.0, (0.0, 1.0), (0.1,)),
    ],
)
def test_numbers_that_are_no_rising_curve_are_noticed(broken: Calibration) -> None:
    assert not broken.is_monotone()
