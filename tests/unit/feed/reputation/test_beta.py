"""What is known of somebody."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.reputation.beta import Beta, added, at, cautious, fold, mean
from feed.reputation.events import HALF_LIFE_MS, WEIGHTS, EventKind, ReputationEvent, Role

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
OF_AUTHORS = [kind for kind, weight in WEIGHTS.items() if weight.role is Role.AUTHOR]

events = st.lists(
    st.builds(
        ReputationEvent,
        tenant_id=st.just("t"),
        event_id=st.uuids().map(str),
        person_id=st.just("p"),
        kind=st.sampled_from(list(EventKind)),
        at_ms=st.integers(NOW_MS - 400 * DAY_MS, NOW_MS),
    ),
    max_size=25,
)


@given(events, st.randoms(use_true_random=False), st.sampled_from(list(Role)))
def test_events_come_to_the_same_in_any_order(made: list[ReputationEvent], chance: random.Random, role: Role) -> None:
    shuffled = made.copy()
    chance.shuffle(shuffled)

    one, other = fold(made, role), fold(shuffled, role)

    assert one.as_of_ms == other.as_of_ms
    assert (one.good, one.bad) == pytest.approx((other.good, other.bad), rel=1e-9, abs=1e-9)


@given(events, st.integers(0, 25))
def test_two_parts_folded_one_after_the_other_are_the_whole(made: list[ReputationEvent], cut: int) -> None:
    role = Role.AUTHOR
    parts = fold(made[:cut], role)
    for event in made[cut:]:
        if event.role is role:
            weight = WEIGHTS[event.kind]
            parts = added(parts, weight.good, weight.bad, event.at_ms, HALF_LIFE_MS[role])

    whole = fold(made, role)

    assert (parts.good, parts.bad) == pytest.approx((whole.good, whole.bad), rel=1e-9, abs=1e-9)


@given(events, st.sampled_from(OF_AUTHORS), st.integers(NOW_MS - 300 * DAY_MS, NOW_MS))
def test_what_is_taken_back_leaves_what_was_before(made: list[ReputationEvent], kind: EventKind, at_ms: int) -> None:
    half_life = HALF_LIFE_MS[Role.AUTHOR]
    before, weight = fold(made, Role.AUTHOR), WEIGHTS[kind]

    after = added(added(before, weight.good, weight.bad, at_ms, half_life), -weight.good, -weight.bad, at_ms, half_life)

    expected = at(before, after.as_of_ms, half_life)
    assert (after.good, after.bad) == pytest.approx((expected.good, expected.bad), rel=1e-6, abs=1e-6)


def test_what_is_a_half_life_old_counts_half() -> None:
    beta = added(Beta(), 8.0, 0.0, NOW_MS, 10 * DAY_MS)

    assert at(beta, NOW_MS + 10 * DAY_MS, 10 * DAY_MS).good == pytest.approx(4.0)
    assert added(beta, 0.0, 1.0, NOW_MS - 10 * DAY_MS, 10 * DAY_MS) == Beta(8.0, 0.5, NOW_MS)


def test_roles_are_reputations_of_their_own() -> None:
    made = [
        ReputationEvent("t", "1", "p", EventKind.POST_REMOVED, NOW_MS),
        ReputationEvent("t", "2", "p", EventKind.REPORT_UPHELD, NOW_MS),
    ]

    assert fold(made, Role.AUTHOR) == Beta(0.0, WEIGHTS[EventKind.POST_REMOVED].bad, NOW_MS)
    assert fold(made, Role.REPORTER) == Beta(1.0, 0.0, NOW_MS)
    assert fold(made, Role.REVIEWER) == Beta()


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_caution_is_below_the_mean_and_both_are_shares(good: float, bad: float) -> None:
    g, b = np.array([good]), np.array([bad])

    assert 0.0 <= cautious(g, b)[0] <= mean(g, b)[0] <= 1.0


def test_who_is_hardly_known_is_believed_less_than_who_is_known_well() -> None:
    good = np.array([1.0, 10.0, 100.0])

    assert list(np.argsort(cautious(good, good * 0.05))) == [0, 1, 2]
