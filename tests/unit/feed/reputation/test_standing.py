"""What a reputation unlocks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feed.reputation.book import NEWCOMER, ReputationBook, page_of
from feed.reputation.standing import (
    LEAST_REACH,
    REACH_SPAN,
    THRESHOLDS,
    Tier,
    posts_a_day,
    reach,
    standing_of,
    tier_of,
    values,
)

share = st.floats(0, 1)


@given(share, share, share, share)
def test_more_reputation_and_more_trust_never_count_less(rep: float, trust: float, more: float, other: float) -> None:
    low = values(np.array([min(rep, more)]), np.array([min(trust, other)]))
    high = values(np.array([max(rep, more)]), np.array([max(trust, other)]))

    assert 0.0 <= low[0] <= high[0] <= 1.0
    assert LEAST_REACH <= reach(low)[0] <= reach(high)[0] <= LEAST_REACH + REACH_SPAN
    assert posts_a_day(float(low[0])) <= posts_a_day(float(high[0]))


def test_whom_all_trusted_and_who_has_turned_is_trusted_no_more() -> None:
    assert standing_of(0.05, 50.0, 1.0).value < NEWCOMER.value


def tier(asked: tuple[float, float, float], before: Tier = Tier.NONE) -> Tier:
    return tier_of(*asked, before=before)


def test_a_tier_asks_for_all_of_its_thresholds() -> None:
    for threshold in THRESHOLDS:
        reputation, evidence, trust = threshold.reputation, threshold.evidence, threshold.trust
        assert tier((reputation, evidence, trust)) is threshold.tier
        assert tier((reputation * 0.99, evidence, trust)) < threshold.tier
        assert tier((reputation, evidence * 0.99, trust)) < threshold.tier
        assert tier((reputation, evidence, trust * 0.99)) < threshold.tier


def test_a_tier_that_is_held_is_kept_a_little_below_its_thresholds() -> None:
    gold = THRESHOLDS[0]
    near = (gold.reputation * 0.95, gold.evidence * 0.95, gold.trust * 0.95)

    assert tier(near) is Tier.SILVER
    assert tier(near, Tier.GOLD) is Tier.GOLD
    assert tier((near[0] * 0.85, near[1], near[2]), Tier.GOLD) < Tier.GOLD


def test_the_book_gives_arrays_in_the_order_that_was_asked_and_newcomers_their_own() -> None:
    book = ReputationBook()
    assert book.values("t", ["nobody"]).tolist() == [np.float32(NEWCOMER.value)]
    good, bad = standing_of(0.9, 50.0, 0.9), standing_of(0.1, 50.0, 0.0)

    book.swap({"t": page_of({"good": good, "bad": bad})})

    asked = ["bad", "nobody", "good", "bad"]
    expected = np.array([bad.value, NEWCOMER.value, good.value, bad.value], np.float32)
    assert book.values("t", asked).tolist() == expected.tolist()
    assert book.reach("t", asked).dtype == np.float32
    assert book.reach("t", []).shape == (0,)
    assert book.values("other tenant", ["good"]).tolist() == [np.float32(NEWCOMER.value)]
    assert book.standing("t", "good") == good
