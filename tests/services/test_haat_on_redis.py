"""Do two whole haats go on when their Redis is gone, and spend no more than there is? The long way: `make simulate`."""

from __future__ import annotations

import pytest

from common.money import MICROS
from tests.simulation.redis_outage import MOST_SEEN, play

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_auctions_go_on_without_redis_on_two_nodes_and_nothing_is_overspent(redis_url: str) -> None:
    found = play(redis_url, there_s=1, gone_s=4, budget_micros=40 * MICROS)

    assert found.asked > 50
    assert found.failed == 0
    # There was something to overspend: it was spent without Redis, and used up after its return.
    assert found.spent_while_gone_micros > 0
    assert 30 * MICROS < found.spent_micros <= found.budget_micros
    assert 0 < found.most_seen <= MOST_SEEN
