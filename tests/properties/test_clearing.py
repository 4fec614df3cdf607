"""Nobody pays above their bid, nobody is sold below the floor, no money is spent twice, whatever comes in."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exchange.clearing import PENDING, Bids, clear
from exchange.clearing_terms import ClearingTerms, clearing_terms
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from tests.builders import a_page_view, a_placement
from tests.examples import examples

PLACEMENTS = 3
ACCOUNTS = 6

bid = st.fixed_dictionaries(
    {
        "placement": st.integers(0, PLACEMENTS - 1),
        "pricing": st.integers(1, 4),
        "bid_micros": st.integers(1, 50_000_000),
        "click_probability": st.floats(1e-5, 0.5),
        "viewable": st.floats(0.001, 1.0),
        "advertiser": st.integers(0, 4),
        "product": st.integers(-1, 4),
        "account": st.integers(0, ACCOUNTS - 1),
    }
)
page = st.lists(bid, max_size=24).map(lambda bids: sorted(bids, key=lambda b: b["placement"]))


def as_bids(rows: list[dict[str, float]]) -> Bids:
    count = len(rows)
    account = np.array([row["account"] for row in rows], np.int32)
    return Bids(
        placement=np.array([row["placement"] for row in rows], np.int32),
        pricing=np.array([row["pricing"] for row in rows], np.uint8),
        bid_micros=np.array([row["bid_micros"] for row in rows], np.int64),
        click_probability=np.array([row["click_probability"] for row in rows], np.float64),
        viewable=np.array([row["viewable"] for row in rows], np.float64),
        advertiser=np.array([row["advertiser"] for row in rows], np.int64),
        product=np.array([row["product"] for row in rows], np.int64),
        category=np.full(count, -1, np.int64),
        deal=np.full(count, -1, np.int32),
        rate=np.ones(count, np.float64),
        account=account,
        campaign_account=(account + ACCOUNTS).astype(np.int32),
        own_floor_micros=np.full(count, -1, np.int64),
        outcome=np.full(count, PENDING, np.int32),
        ecpm_micros=np.zeros(count, np.int64),
        price_micros=np.zeros(count, np.int64),
        reserved_micros=np.zeros(count, np.int64),
    )


def the_terms(floors: list[int], rule: int) -> ClearingTerms:
    """One page view with so many placements, under the usual page rules and without deals."""
    placements = tuple(a_placement(str(at), floor_micros=floor_micros) for at, floor_micros in enumerate(floors))
    views = [a_page_view(placements=placements, price_rule=rule)]
    return clearing_terms(views, np.array([0, len(floors)], np.int32))


def cleared(
    rows: list[dict[str, float]], floors: list[int], money: list[int], first_price: bool, engagement: int
) -> tuple[Bids, NDArray[np.int32], NDArray[np.int64]]:
    bids = as_bids(rows)
    available = np.array(money, np.int64)
    winners = clear(
        bids,
        np.array([0, len(rows)], np.int32),
        the_terms(floors, 1 if first_price else 2),
        available,
        engagement_value_micros=engagement,
        conversion_rate=0.02,
    )
    return bids, winners, available


floors = st.lists(st.integers(0, 5_000_000), min_size=PLACEMENTS, max_size=PLACEMENTS)
money = st.lists(st.integers(0, 100_000), min_size=2 * ACCOUNTS, max_size=2 * ACCOUNTS)


@settings(max_examples=examples(400), deadline=None)
@given(page, floors, money, st.booleans(), st.integers(0, 50_000))
def test_prices_money_and_page_rules_hold(
    rows: list[dict[str, float]], floor: list[int], purse: list[int], first_price: bool, engagement: int
) -> None:
    bids, winners, available = cleared(rows, floor, purse, first_price, engagement)

    won = winners[winners >= 0]
    assert (bids.outcome != PENDING).all()
    assert sorted(won.tolist()) == np.nonzero(bids.outcome == 0)[0].tolist()
    assert (bids.price_micros[won] <= bids.bid_micros[won]).all()
    assert (bids.price_micros[won] >= 1).all() or not len(won)
    for row in won:
        assert bids.ecpm_micros[row] >= floor[bids.placement[row]]
        if bids.pricing[row] == 1:
            assert bids.price_micros[row] >= min(floor[bids.placement[row]], bids.bid_micros[row])
        if first_price:
            assert bids.price_micros[row] == bids.bid_micros[row]
    assert len(set(bids.advertiser[won].tolist())) == len(won)
    products = [product for product in bids.product[won].tolist() if product >= 0]
    assert len(set(products)) == len(products)
    assert (available >= 0).all()
    spent = np.zeros_like(available)
    np.add.at(spent, bids.account[won], bids.reserved_micros[won])
    np.add.at(spent, bids.campaign_account[won], bids.reserved_micros[won])
    assert (available + spent == np.array(purse)).all()
    assert (bids.price_micros[bids.outcome != 0] == 0).all()
    assert (bids.reserved_micros[bids.outcome != 0] == 0).all()


@settings(max_examples=examples(200), deadline=None)
@given(page, floors, st.booleans())
def test_an_unsold_placement_had_no_bid_that_could_have_taken_it(
    rows: list[dict[str, float]], floor: list[int], first_price: bool
) -> None:
    rich = [10**15] * (2 * ACCOUNTS)
    bids, winners, _ = cleared(rows, floor, rich, first_price, 0)

    page_rules = {CODE_INDEX[Refusal.BRAND_ON_PAGE], CODE_INDEX[Refusal.PRODUCT_ON_PAGE]}
    allowed = page_rules | {CODE_INDEX[Refusal.BELOW_FLOOR]}
    for placement in np.nonzero(winners < 0)[0]:
        assert set(bids.outcome[bids.placement == placement].tolist()) <= allowed


@settings(max_examples=examples(200), deadline=None)
@given(page, floors, st.integers(0, 23), st.integers(1, 50_000_000))
def test_what_the_winner_bids_above_the_price_does_not_change_the_price(
    rows: list[dict[str, float]], floor: list[int], which: int, more: int
) -> None:
    """Second price on one placement: the price is set by the others."""
    rows = [{**row, "placement": 0, "advertiser": index} for index, row in enumerate(rows)]
    rich = [10**15] * (2 * ACCOUNTS)
    before, winners, _ = cleared(rows, floor, rich, False, 0)
    if winners[0] < 0:
        return
    winner = int(winners[0])
    price = int(before.price_micros[winner])
    raised = [{**row, "bid_micros": row["bid_micros"] + more} if i == winner else row for i, row in enumerate(rows)]

    after, winners, _ = cleared(raised, floor, rich, False, 0)

    assert int(winners[0]) == winner
    # It was capped by its own bid before, or it stays as it was.
    assert int(after.price_micros[winner]) == price or price == before.bid_micros[winner]
