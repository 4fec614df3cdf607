"""Do nodes together send a bidder what its quota allows, and no more?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.clock import SteppedClock
from common.rate_limits import MemoryRateLimits, Use
from exchange.bidder_gate import BidderGate
from exchange.bidder_quota import SharedQuota
from exchange.bidder_terms import BidderTerms


class Counted(MemoryRateLimits):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def admit(self, uses: Sequence[Use], now_us: int) -> list[int]:
        self.asked += 1
        return super().admit(uses, now_us)


@pytest.mark.parametrize("quota", [1, 3, 19, 20, 500, 3_000, 123_457])
@pytest.mark.parametrize("nodes", [1, 3])
def test_nodes_together_send_a_seconds_worth_at_once_and_so_much_each_second(quota: int, nodes: int) -> None:
    clock, rates = SteppedClock(1_000_000), MemoryRateLimits()
    quotas = [SharedQuota("acme", quota, rates, clock) for _ in range(nodes)]
    sent = []
    for _ in range(10):
        this_second = 0
        for _ in range(100):
            this_second += sum(one.take(quota, clock.monotonic_ns()) for one in quotas)
            clock.step(10)
        sent.append(this_second)

    # The first second has the full measure and what comes back meanwhile.
    assert sent[0] <= 2 * quota
    assert sum(sent) <= 11 * quota
    # What lapses is what was taken and not needed, or came back within the last part of a second.
    assert sum(sent) >= 9 * quota


def test_what_is_taken_and_not_needed_lapses() -> None:
    clock, rates = SteppedClock(1_000_000), MemoryRateLimits()
    one = SharedQuota("acme", 100, rates, clock)
    assert one.take(1, clock.monotonic_ns()) == 1
    clock.step(60_000)

    # Not the four that were left a minute ago, beside a full second's worth.
    assert one.take(1_000, clock.monotonic_ns()) == 100


def test_who_is_sent_everything_already_is_not_asked_for_with_each_batch() -> None:
    clock, rates = SteppedClock(1_000_000), Counted()
    one = SharedQuota("acme", 100, rates, clock)
    for _ in range(1_000):
        one.take(10, clock.monotonic_ns())
        clock.step(1)

    assert rates.asked <= 35


def test_the_gate_goes_by_the_shared_quota() -> None:
    clock, rates = SteppedClock(1_000_000), MemoryRateLimits()
    terms = BidderTerms(page_views_per_s=10)
    gates = [BidderGate(terms, SharedQuota("acme", 10, rates, clock)) for _ in range(2)]

    sent = [len(gate.admit([0.0] * 8, clock.monotonic_ns())) for gate in gates]

    assert sent == [8, 2]
    assert [gate.left_out["quota"] for gate in gates] == [0, 6]
