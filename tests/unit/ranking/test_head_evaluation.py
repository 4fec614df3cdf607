from __future__ import annotations

import numpy as np
import pytest

from ranking.head_evaluation import _estimates, _weights


def test_a_policy_is_credited_where_it_agrees_with_the_draw_by_how_unlikely_that_was() -> None:
    scores = np.array([[3.0, 1.0, 2.0, 0.0], [1.0, 3.0, 2.0, 0.0], [1.0, 1.0, 9.0, 9.0]])

    # The shown one is first; of the third list only two were there, alike: they share.
    assert _weights(scores, np.array([4, 4, 2])).tolist() == [4.0, 0.0, 1.0]


def test_ips_over_an_even_draw_finds_what_always_choosing_best_would_have_earned() -> None:
    chance = np.random.default_rng(1)
    worth = chance.random((40_000, 4))
    shown_reward = (chance.random(40_000) < worth[:, 0]).astype(float)
    listed = np.full(40_000, 4)
    by_worth, by_chance = (_weights(scores, listed) for scores in (worth, chance.random((40_000, 4))))

    found = _estimates(
        np.array(
            [len(worth), shown_reward.sum(), by_chance.sum(), (by_chance * shown_reward).sum(), by_worth.sum(),
             (by_worth * shown_reward).sum()]
        )
    )  # fmt: skip

    drawn, hand_ips, hand_snips, model_ips, model_snips, ips_gain, snips_gain = found.tolist()
    assert drawn == pytest.approx(0.5, abs=0.01)
    # The mean of the greatest of four even numbers is four fifths.
    assert model_ips == pytest.approx(0.8, abs=0.03)
    assert model_snips == pytest.approx(0.8, abs=0.015)
    assert hand_snips == pytest.approx(0.5, abs=0.02)
    assert ips_gain == pytest.approx(model_ips - hand_ips)
    assert snips_gain == pytest.approx(model_snips - hand_snips)
