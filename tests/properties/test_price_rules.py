"""Under every price rule: the bid is never exceeded, the floor is met, and no bid is lost without a reason.

VCG is held against all slates there are, and bidders try all bids of a grid against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as all_of
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchange.clearing import PENDING
from exchange.clearing_prices import PRICE_STEP_MICROS
from exchange.eligibility import CODE_INDEX
from exchange.min_to_win import min_to_win
from exchange.page_rules import PageRules
from exchange.refusals import Refusal
from exchange.request import PriceRule
from tests.clearing_cases import CONVERSION_RATE, Cleared, cleared
from tests.examples import examples

RULES = (1, 2, 501, 502)
LOST = CODE_INDEX[Refusal.LOST_TO_HIGHER_BID]

Row = dict[str, Any]

bid = st.fixed_dictionaries(
    {
        "placement": st.integers(0, 2),
        "pricing": st.integers(1, 3),
        "bid_micros": st.integers(1, 20_000_000),
        "click_probability": st.floats(1e-3, 0.5),
        "advertiser": st.integers(0, 4),
        "product": st.integers(-1, 3),
        "category": st.integers(-1, 2),
        "deal": st.integers(-1, 1),
        "rate": st.sampled_from([1.0, 1.0, 0.5, 1.08, 0.0062]),
        "account": st.integers(-1, 3),
    }
)
rows = st.lists(bid, max_size=12).map(lambda found: sorted(found, key=lambda row: row["placement"]))
deal = st.fixed_dictionaries(
    {
        "floor_micros": st.integers(0, 4_000_000),
        "price_rule": st.sampled_from([0, 1, 2, 3, 501]),
        "guaranteed": st.booleans(),
    }
)
placement = st.fixed_dictionaries(
    {
        "floor_micros": st.integers(0, 4_000_000),
        "private_auction": st.booleans(),
        "deals": st.lists(deal, min_size=2, max_size=2),
    }
)
placements = st.lists(placement, min_size=3, max_size=3)
page_rules = st.builds(
    PageRules,
    most_per_advertiser=st.integers(0, 3),
    most_share_per_advertiser=st.sampled_from([0.0, 0.34, 1.0]),
    separate_products=st.booleans(),
    separate_categories=st.booleans(),
    most_ads=st.integers(0, 3),
    most_ads_share=st.sampled_from([0.0, 0.5, 1.0]),
)
money = st.dictionaries(st.sampled_from([0, 1, 2, 3, 100, 101, 102, 103]), st.integers(0, 100_000), max_size=4)


def weight_of(row: Row) -> float:
    share = {1: 0.001, 2: row["click_probability"], 3: row["click_probability"] * CONVERSION_RATE}[row["pricing"]]
    return float(share * 1000.0 * row.get("rate", 1.0))


def floor_of(row: Row, places: Sequence[Row]) -> int:
    place = places[row["placement"]]
    return int(place["deals"][row["deal"]]["floor_micros"] if row.get("deal", -1) >= 0 else place["floor_micros"])


def allowed(winners: Sequence[Row], rules: PageRules, places: int) -> bool:
    most, ads, _ = rules.limits(places)
    for one in winners:
        if sum(other["advertiser"] == one["advertiser"] for other in winners) > most:
            return False
    for at, one in enumerate(winners):
        for other in winners[:at]:
            if rules.separate_products and one["product"] == other["product"] >= 0:
                return False
            competes = one["advertiser"] != other["advertiser"] and one["category"] == other["category"] >= 0
            if rules.separate_categories and competes:
                return False
    return len(winners) <= ads


@settings(max_examples=examples(400), deadline=None)
@given(rows, placements, st.sampled_from(RULES), page_rules, st.integers(0, 30_000), money, st.sampled_from([1.0, 0.5]))
def test_every_rule_keeps_to_bid_floor_page_and_money(
    bids: list[Row],
    places: list[Row],
    rule: int,
    rules: PageRules,
    engagement: int,
    purse: dict[int, int],
    squashing: float,
) -> None:
    done = cleared(bids, places, rule, page_rules=rules, engagement=engagement, money=purse, squashing=squashing)

    won = done.winners[done.winners >= 0].tolist()
    assert (done.bids.outcome != PENDING).all()
    assert sorted(won) == np.nonzero(done.bids.outcome == 0)[0].tolist()
    assert len({bids[row]["placement"] for row in won}) == len(won)
    assert allowed([bids[row] for row in won], rules, len(places))
    for row in won:
        price, bid_micros = int(done.bids.price_micros[row]), bids[row]["bid_micros"]
        assert 1 <= price <= bid_micros
        # What is worth the floor to the micro is worth it; a price in its own units is rounded up.
        assert price * weight_of(bids[row]) >= floor_of(bids[row], places) * (1 - 1e-9) - 1
        assert bids[row]["deal"] >= 0 or not places[bids[row]["placement"]]["private_auction"]
    lost = [row for row in range(len(bids)) if row not in won]
    assert all(done.bids.price_micros[row] == 0 and done.bids.reserved_micros[row] == 0 for row in lost)
    spent = np.zeros_like(done.available)
    for row in won:
        if bids[row]["account"] >= 0:
            spent[done.bids.account[row]] += done.bids.reserved_micros[row]
            spent[done.bids.campaign_account[row]] += done.bids.reserved_micros[row]
    before = np.full(200, 10**15, np.int64)
    for account, micros in purse.items():
        before[account] = micros
    assert (done.available >= 0).all()
    assert (done.available + spent == before).all()


@settings(max_examples=examples(300), deadline=None)
@given(rows, placements, st.sampled_from(RULES), page_rules)
def test_what_a_loser_is_told_would_have_met_the_floor_and_nobody_else_is_told(
    bids: list[Row], places: list[Row], rule: int, rules: PageRules
) -> None:
    done = cleared(bids, places, rule, page_rules=rules)

    told = min_to_win(
        done.bids,
        done.terms,
        done.winners,
        range(len(bids)),
        engagement_value_micros=0,
        conversion_rate=CONVERSION_RATE,
    )
    for row, least in enumerate(told):
        outcome = int(done.bids.outcome[row])
        if outcome == 0:
            assert 1 <= least <= bids[row]["bid_micros"]
        elif least:
            assert outcome in {
                CODE_INDEX[code] for code in (Refusal.LOST_TO_HIGHER_BID, Refusal.BELOW_FLOOR, Refusal.BELOW_DEAL_FLOOR)
            }
            assert least * weight_of(bids[row]) >= floor_of(bids[row], places) * (1 - 1e-9)


@settings(max_examples=examples(300), deadline=None)
@given(rows, placements, st.sampled_from([1, 2, 501]), st.integers(0, 11), st.integers(1, 5_000_000))
def test_raising_a_losing_bid_never_lowers_the_price_of_the_winner(
    bids: list[Row], places: list[Row], rule: int, which: int, more: int
) -> None:
    before = cleared(bids, places, rule)
    losers = [row for row in range(len(bids)) if before.bids.outcome[row] != 0]
    assume(losers)
    raised = losers[which % len(losers)]

    after = cleared(
        [{**row, "bid_micros": row["bid_micros"] + more} if at == raised else row for at, row in enumerate(bids)],
        places,
        rule,
    )

    assume(after.bids.outcome[raised] != 0)
    assert after.winners.tolist() == before.winners.tolist()
    assert (after.bids.price_micros >= before.bids.price_micros).all()


def test_in_another_currency_the_same_bid_wins_the_same_and_pays_the_same_worth() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        bids: list[Row] = [
            {"placement": 0, "bid_micros": int(rng.integers(1, 4_000_000)) * 8, "advertiser": at} for at in range(5)
        ]
        # Powers of two: nothing is lost by rounding, so it must be the very same.
        rates = rng.choice([0.125, 0.25, 0.5, 2.0, 4.0], 5)
        other = [
            {**row, "bid_micros": int(row["bid_micros"] / rate), "rate": float(rate)}
            for row, rate in zip(bids, rates, strict=True)
        ]
        for rule in RULES:
            one = cleared(bids, [{"floor_micros": 1_000_000}], rule)
            two = cleared(other, [{"floor_micros": 1_000_000}], rule)
            assert one.bids.outcome.tolist() == two.bids.outcome.tolist()
            if one.winners[0] >= 0:
                row = int(one.winners[0])
                assert 0 <= two.bids.price_micros[row] * rates[row] - one.bids.price_micros[row] < max(rates[row], 1)


def worth(done: Cleared, winners: Sequence[int], places: Sequence[Row]) -> float:
    return float(sum(done.bids.ecpm_micros[row] - places[done.bids.placement[row]]["floor_micros"] for row in winners))


def best_slate(done: Cleared, bids: Sequence[Row], places: Sequence[Row], rules: PageRules, without: int = -1) -> float:
    """Every slate there is, one after the other."""
    choices = []
    for at, place in enumerate(places):
        able = [
            row
            for row in range(len(bids))
            if bids[row]["placement"] == at
            and bids[row]["advertiser"] != without
            and done.bids.ecpm_micros[row] >= place["floor_micros"]
        ]
        choices.append([-1, *able])
    slates = ([row for row in slate if row >= 0] for slate in all_of(*choices))
    return max(
        worth(done, slate, places) for slate in slates if allowed([bids[row] for row in slate], rules, len(places))
    )


plain_bid = st.fixed_dictionaries(
    {
        "placement": st.integers(0, 2), "pricing": st.integers(1, 2), "bid_micros": st.integers(1, 20_000_000),
        "click_probability": st.floats(1e-3, 0.5), "advertiser": st.integers(0, 4), "product": st.integers(-1, 3),
        "category": st.integers(-1, 2),
    }
)  # fmt: skip
plain_rows = st.lists(plain_bid, max_size=11).map(lambda found: sorted(found, key=lambda row: row["placement"]))
floors = st.lists(st.integers(0, 4_000_000), min_size=3, max_size=3)


@settings(max_examples=examples(300), deadline=None)
@given(plain_rows, floors, page_rules)
def test_vcg_sells_the_best_slate_and_charges_what_a_winner_costs_the_others(
    bids: list[Row], floor: list[int], rules: PageRules
) -> None:
    places: list[Row] = [{"floor_micros": micros} for micros in floor]

    done = cleared(bids, places, int(PriceRule.VCG), page_rules=rules)

    won = done.winners[done.winners >= 0].tolist()
    total = best_slate(done, bids, places, rules)
    assert worth(done, won, places) == pytest.approx(total)
    for advertiser in {bids[row]["advertiser"] for row in won}:
        mine = [row for row in won if bids[row]["advertiser"] == advertiser]
        others = total - worth(done, mine, places)
        harm = best_slate(done, bids, places, rules, without=advertiser) - others
        paid = sum(done.bids.price_micros[row] * weight_of(bids[row]) - floor[bids[row]["placement"]] for row in mine)
        # Each price is rounded up to a micro of its own unit, and down to its bid.
        slack = sum(weight_of(bids[row]) for row in mine) + len(mine)
        assert harm - slack - 1 <= paid <= harm + slack + 1


def best_answers(rule: int, rules: PageRules, seed: int, pages: int, one_placement: bool) -> list[float]:
    """What a bidder gains at most over bidding its value, over a grid of bids, by page; in micros per thousand."""
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(pages):
        places: list[Row] = [
            {"floor_micros": int(rng.integers(0, 1_000_000))} for _ in range(1 if one_placement else 3)
        ]
        # One value for each advertiser, and for each placement how much of it an impression there is worth.
        values = rng.integers(200_000, 5_000_000, 4)
        chances = np.sort(rng.uniform(0.01, 0.9, (4, len(places))))[:, ::-1]
        bids: list[Row] = [
            {
                "placement": at, "pricing": 2, "bid_micros": int(values[who]), "advertiser": who,
                "click_probability": float(chances[who, at]) / 1000, "category": who % 3, "product": who,
            }
            for at in range(len(places))
            for who in range(4)
        ]  # fmt: skip

        def gain_of(
            bid_micros: int, bids: list[Row] = bids, places: list[Row] = places, value: int = int(values[0])
        ) -> float:
            tried = [{**row, "bid_micros": bid_micros} if row["advertiser"] == 0 else row for row in bids]
            done = cleared(tried, places, rule, page_rules=rules)
            won = [row for row in done.winners.tolist() if row >= 0 and tried[row]["advertiser"] == 0]
            return float(sum((value - done.bids.price_micros[row]) * weight_of(tried[row]) for row in won))

        honest = gain_of(int(values[0]))
        grid = np.unique(np.concatenate([np.linspace(1, 8_000_000, 41).astype(int), values, values + 1, values - 1]))
        gains.append(max(gain_of(int(bid_micros)) for bid_micros in grid) - honest)
    return gains


TRUTHFUL_RULES = (
    PageRules(),
    PageRules(separate_categories=True),
    PageRules(most_per_advertiser=2),
    PageRules(most_ads=2),
)


@pytest.mark.parametrize("rules", TRUTHFUL_RULES, ids=["usual", "categories", "two each", "two ads"])
def test_under_vcg_nobody_gains_by_bidding_anything_but_its_value(rules: PageRules) -> None:
    gains = best_answers(int(PriceRule.VCG), rules, seed=11, pages=25, one_placement=False)

    # Prices are whole micros of a click; a thousand impressions here have at most three clicks.
    assert max(gains) <= 3.0


def test_at_second_price_nobody_gains_more_than_the_step_by_bidding_anything_but_its_value() -> None:
    gains = best_answers(int(PriceRule.SECOND_PRICE), PageRules(), seed=12, pages=40, one_placement=True)

    assert max(gains) <= PRICE_STEP_MICROS + 1


def test_gsp_is_not_truthful_a_lower_bid_may_gain_a_cheaper_placement() -> None:
    gains = best_answers(int(PriceRule.QUALITY_WEIGHTED_GSP), PageRules(), seed=13, pages=25, one_placement=False)

    assert max(gains) > 1_000


def test_a_search_that_is_cut_short_still_keeps_to_the_rules() -> None:
    """Twelve placements and the same eight brands everywhere: more slates than may be looked at."""
    rng = np.random.default_rng(3)
    bids: list[Row] = [
        {
            "placement": at, "bid_micros": int(rng.integers(1_000_000, 1_200_000)), "advertiser": who,
            "product": int(rng.integers(0, 9)), "category": int(rng.integers(0, 5)),
        }
        for at in range(12)
        for who in range(8)
    ]  # fmt: skip
    places: list[Row] = [{"floor_micros": 500_000}] * 12

    done = cleared(bids, places, int(PriceRule.VCG), page_rules=PageRules())

    won = done.winners[done.winners >= 0].tolist()
    assert len(won) >= 6
    assert allowed([bids[row] for row in won], PageRules(), 12)
    assert (done.bids.price_micros[won] >= 500_000).all()
    assert (done.bids.price_micros[won] <= done.bids.bid_micros[won]).all()
