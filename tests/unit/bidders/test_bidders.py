"""What holds for every inside bidder, and what each of them does with what it sees."""

from __future__ import annotations

import numpy as np
import pytest

from bidders.contextual import Contextual
from bidders.look_alike import LookAlike
from bidders.retarget import Retarget
from bidders.roster import ROSTER
from exchange.bidding import BidContext, Bidder


def a_context(match_weight: list[float], standing_bid_micros: int = 1_000_000) -> BidContext:
    count = len(match_weight)
    return BidContext(
        standing_bid_micros=np.full(count, standing_bid_micros, np.int64),
        pricing_model=np.ones(count, np.uint8),
        match_weight=np.array(match_weight, np.float32),
        click_prior=np.full(count, 0.004),
    )


@pytest.mark.parametrize("bidder", ROSTER, ids=lambda bidder: bidder.name)
@pytest.mark.parametrize("standing", [1, 999, 1_000_000, 10**12])
def test_no_bidder_goes_above_the_standing_bid_or_below_zero(bidder: Bidder, standing: int) -> None:
    context = a_context([0.0, 0.5, 1.0, 2.0, 3.0, 1e9], standing)

    offered = bidder.bid(context)

    assert offered.dtype == np.int64
    assert (offered <= standing).all()
    assert (offered >= 0).all()


@pytest.mark.parametrize("bidder", ROSTER, ids=lambda bidder: bidder.name)
def test_a_bidder_gives_the_same_answer_to_the_same_question(bidder: Bidder) -> None:
    assert bidder.bid(a_context([1.0, 2.0])).tolist() == bidder.bid(a_context([1.0, 2.0])).tolist()


def test_names_and_strategies_are_each_given_once() -> None:
    assert len({bidder.name for bidder in ROSTER}) == len(ROSTER)
    assert len({bidder.strategy for bidder in ROSTER}) == len(ROSTER)


def test_contextual_bids_more_the_more_of_the_page_matches() -> None:
    offered = Contextual().bid(a_context([0, 1, 2, 3, 4, 9])).tolist()

    assert offered == [0, 0, 600_000, 800_000, 1_000_000, 1_000_000]


def test_retarget_bids_by_affinity_and_lets_the_forgotten_go() -> None:
    offered = Retarget().bid(a_context([0.0, 0.05, 1.0, 2.0, 3.0, 30.0])).tolist()

    assert offered == [0, 0, 700_000, 850_000, 1_000_000, 1_000_000]


def test_look_alike_bids_by_affinity_times_similarity_and_lets_the_forgotten_go() -> None:
    offered = LookAlike().bid(a_context([0.0, 0.05, 0.5, 1.0, 2.0, 3.0, 30.0])).tolist()

    assert offered == [0, 0, 250_000, 500_000, 750_000, 1_000_000, 1_000_000]
