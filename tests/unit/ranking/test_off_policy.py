"""Is a policy's estimated value the one that it would have had?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from ranking.off_policy import logged_value, policy_value

CHANCE = np.random.default_rng(11)
COUNT, ACTIONS = 20_000, 4
SHOWN = CHANCE.integers(0, ACTIONS, COUNT)
# Action 3 is clicked six times as often as the others.
CLICKS = (CHANCE.random(COUNT) < np.where(SHOWN == 3, 0.3, 0.05)).astype(np.int8)
PROPENSITY = np.full(COUNT, 1 / ACTIONS)


def test_the_best_action_is_worth_its_own_click_rate() -> None:
    value = policy_value(CLICKS, PROPENSITY, SHOWN == 3, 200, 1)

    assert value.ips.low < 300.0 < value.ips.high
    assert value.snips.value == pytest.approx(1000.0 * CLICKS[SHOWN == 3].mean())
    assert value.snips.high - value.snips.low < value.ips.high - value.ips.low
    assert (value.agreed, value.agreed_clicks) == (int((SHOWN == 3).sum()), int(CLICKS[SHOWN == 3].sum()))


def test_unequal_propensities_are_made_good() -> None:
    propensity = np.where(SHOWN == 3, 0.1, 0.3)
    keep = CHANCE.random(COUNT) < np.where(SHOWN == 3, 1 / 3, 1.0)

    value = policy_value(CLICKS[keep], propensity[keep], (SHOWN == 3)[keep], 200, 1)

    assert value.ips.low < 300.0 < value.ips.high


def test_the_logged_policy_is_worth_what_was_clicked() -> None:
    value = logged_value(CLICKS, 200, 1)

    assert value.value == pytest.approx(1000.0 * CLICKS.mean())
    assert value.low < value.value < value.high


def test_a_policy_that_never_agrees_has_no_steady_value() -> None:
    value = policy_value(CLICKS, PROPENSITY, np.zeros(COUNT, np.bool_), 50, 1)

    assert value.ips.value == 0.0
    assert math.isnan(value.snips.value)
    assert value.agreed == 0


def test_no_agreed_click_is_not_taken_for_certainty() -> None:
    agrees = np.zeros(COUNT, np.bool_)
    agrees[np.flatnonzero(CLICKS == 0)[:100]] = True

    value = policy_value(CLICKS, PROPENSITY, agrees, 50, 1)

    assert (value.snips.value, value.snips.low) == (0.0, 0.0)
    # Under 3.69 % a hundred impressions without a click are too unlikely to be luck.
    assert value.snips.high == pytest.approx(36.9, abs=0.1)
    assert 0.0 < value.ips.high < value.snips.high
