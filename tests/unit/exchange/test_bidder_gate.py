"""A bidder gets the traffic that it can deal with, and is always given the chance to do better."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.bidder_gate import FAILURES_TO_OPEN, FIRST_PAUSE_NS, BidderGate
from exchange.bidder_terms import BidderTerms

SECOND_NS = 1_000_000_000


def fail(gate: BidderGate, times: int, now_ns: int = 0) -> None:
    for _ in range(times):
        gate.sent()
        gate.saw(0, 1, now_ns)


def test_a_bidder_in_good_health_is_asked_about_everything() -> None:
    gate = BidderGate(BidderTerms())

    assert gate.admit([0.1, 0.999, 0.5], 0) == [0, 1, 2]


def test_a_bidder_that_is_often_late_is_asked_less_and_never_left_alone() -> None:
    gate = BidderGate(BidderTerms(least_share=0.2))
    chance = Random(1)
    for _ in range(400):
        gate.sent()
        well = chance.random() < 0.3
        gate.saw(int(well), int(not well), 0)

    share = len(gate.admit([chance.random() for _ in range(10_000)], 0)) / 10_000

    assert 0.2 <= share < 0.6
    assert abs(share - gate.share) < 0.02
    assert gate.left_out["throttle"] > 0


def test_it_gets_all_of_its_traffic_again_when_it_does_well_again() -> None:
    gate = BidderGate(BidderTerms())
    fail(gate, FAILURES_TO_OPEN - 1)
    assert gate.share < 1.0

    for _ in range(200):
        gate.sent()
        gate.saw(1, 0, 0)

    assert gate.share == 1.0


def test_the_breaker_opens_after_a_run_of_failures_and_lets_one_call_probe() -> None:
    gate = BidderGate(BidderTerms())
    fail(gate, FAILURES_TO_OPEN, now_ns=0)

    assert gate.open
    assert gate.admit([0.0] * 5, FIRST_PAUSE_NS - 1) == []
    assert gate.admit([0.0] * 5, FIRST_PAUSE_NS) == [0]
    # The probe is under way: nobody else goes.
    assert gate.admit([0.0], FIRST_PAUSE_NS) == []

    gate.sent()
    gate.saw(0, 1, FIRST_PAUSE_NS)
    assert gate.admit([0.0], 2 * FIRST_PAUSE_NS) == []
    assert gate.admit([0.0], 3 * FIRST_PAUSE_NS) == [0]

    gate.sent()
    gate.saw(1, 0, 3 * FIRST_PAUSE_NS)
    assert not gate.open


def test_a_call_of_many_requests_counts_as_much_as_many_calls() -> None:
    singly, together = BidderGate(BidderTerms()), BidderGate(BidderTerms())
    for _ in range(12):
        singly.sent()
        singly.saw(0, 1, 0)
    together.sent()
    together.saw(0, 12, 0)

    assert together.health == pytest.approx(singly.health)
    assert together.in_flight == singly.in_flight == 0
    fail(singly, FAILURES_TO_OPEN - 12)
    together.sent()
    together.saw(0, FAILURES_TO_OPEN - 12, 0)
    assert (singly.open, together.open) == (True, True)


def test_a_bidder_that_answers_in_part_loses_its_share_of_the_traffic_and_is_not_cut_off() -> None:
    gate = BidderGate(BidderTerms(least_share=0.2))
    for _ in range(20):
        gate.sent()
        gate.saw(16, 48, 0)

    assert gate.health == pytest.approx(0.25, abs=0.01)
    assert gate.share == pytest.approx(gate.health / 0.9)
    assert not gate.open


def test_calls_that_are_not_answered_are_bounded() -> None:
    gate = BidderGate(BidderTerms(most_in_flight=2))
    gate.sent()
    gate.sent()

    assert gate.admit([0.0], 0) == []
    gate.saw(1, 0, 0)
    assert gate.admit([0.0], 0) == [0]


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(0, SECOND_NS), st.integers(1, 50)), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_quota_and_its_bucket(quota: int, calls: list[tuple[int, int]]) -> None:
    gate = BidderGate(BidderTerms(page_views_per_s=quota))
    now_ns = 1
    first_ns = now_ns
    sent = 0
    for wait_ns, count in calls:
        now_ns += wait_ns
        sent += len(gate.admit([0.0] * count, now_ns))

    assert sent <= quota + quota * (now_ns - first_ns) / SECOND_NS + 1
    assert sent + gate.left_out["quota"] == sum(count for _, count in calls)
