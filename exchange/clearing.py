"""Step 7: who wins the page, and what do they pay? One decision over all placements of a page view.

Bids are taken best first over the whole page: worth per thousand impressions plus what the shop itself gains from the
click. The page's rules keep a bid out where an advertiser, a product or a category has won what it may. Money is
reserved as a bid wins; a bid whose money cannot be reserved is refused and the next one is looked at. Bids under
guaranteed deals come before all others. Under VCG the slate with the highest sum is sold instead (clearing_vcg.py).

What a winner pays stands in clearing_prices.py, a rule a function; a deal may have a rule of its own.
"""

# numba's decorators carry no types; the functions that call these kernels do.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.clearing_prices import (
    impressions_per_unit,
    in_own_units,
    keeps_its_rank,
    runner_up,
    second_price,
    squashed,
    to_reserve,
)
from exchange.clearing_rules import keep_out
from exchange.clearing_terms import ClearingTerms
from exchange.clearing_vcg import sell_slate
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from ranking.kernel_cache import inlined, kernel

PENDING = -1
_FLOOR = CODE_INDEX[Refusal.BELOW_FLOOR]
_DEAL_FLOOR = CODE_INDEX[Refusal.BELOW_DEAL_FLOOR]
_PRIVATE = CODE_INDEX[Refusal.PRIVATE_AUCTION]
_LOST = CODE_INDEX[Refusal.LOST_TO_HIGHER_BID]
_LOST_TO_DEAL = CODE_INDEX[Refusal.LOST_TO_DEAL]
_AD_LOAD = CODE_INDEX[Refusal.AD_LOAD_REACHED]
_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]


class Bids(NamedTuple):
    """The bids of a batch, by row; rows of one page view stand together, in the order of its placements."""

    placement: NDArray[np.int32]
    pricing: NDArray[np.uint8]
    bid_micros: NDArray[np.int64]  # per unit of the pricing model, in the bid's own currency
    click_probability: NDArray[np.float64]
    viewable: NDArray[np.float64]  # chance that an impression there is in view; matters to bids under vCPM
    advertiser: NDArray[np.int64]  # equal numbers are one advertiser
    product: NDArray[np.int64]  # equal numbers are one product; -1 is none
    category: NDArray[np.int64]  # equal numbers are one creative category; -1 is none
    deal: NDArray[np.int32]  # index into the deals of its placement; -1 is an open bid
    rate: NDArray[np.float64]  # micros of the auction's currency for one micro of the bid's own; 1.0 in the same
    account: NDArray[np.int32]  # rows of the budget book; -1 for an outside bid
    campaign_account: NDArray[np.int32]
    own_floor_micros: NDArray[np.int64]  # in place of its deal's or placement's, as a video has by its length; -1: none
    outcome: NDArray[np.int32]  # PENDING, or an index into CODES when already refused; filled by `clear`
    ecpm_micros: NDArray[np.int64]  # filled by `clear`: worth per thousand impressions in the auction's currency
    price_micros: NDArray[np.int64]  # filled by `clear`, winners only; in the bid's own currency
    reserved_micros: NDArray[np.int64]  # filled by `clear`, winners only; in the bid's own currency


class Worth(NamedTuple):
    """What clearing works out of each bid; arrays by row."""

    score: NDArray[np.float64]  # what it is ranked by: worth per thousand, and the shop's own gain
    weight: NDArray[np.float64]  # score for one micro of the bid
    share: NDArray[np.float64]  # units of the pricing model that an impression is expected to bring
    floor: NDArray[np.float64]  # of its deal, else of its placement
    rule: NDArray[np.int32]  # what sets its price: its deal's rule, else the page's
    tier: NDArray[np.uint8]  # 1 under a guaranteed deal
    ahead_of: NDArray[np.float64]  # under GSP: the best score that it was sold before, -1.0 without any
    kept_out: NDArray[np.int32]  # the page rule (index into CODES) that winners of other placements set against it
    namesakes: NDArray[np.int32]  # winners of other placements by the same advertiser


def clear(
    bids: Bids,
    page_start: NDArray[np.int32],
    terms: ClearingTerms,
    available_micros: NDArray[np.int64],
    *,
    engagement_value_micros: int,
    conversion_rate: float,
    squashing: float = 1.0,
) -> NDArray[np.int32]:
    """Fill in outcomes, prices and reservations; the winning row of each placement, -1 when it is not sold.

    `page_start` (pages + 1) cuts the bids by page view. `available_micros` is the budget book's array: what winners
    reserve is taken out of it here, from both accounts of a bid or from neither. `squashing` is the exponent that
    quality counts with under generalised second price. Deterministic: the same arrays come to the same.
    """
    winners = np.full(len(terms.floor_micros), -1, np.int32)
    _clear(
        bids, page_start, terms, available_micros, float(engagement_value_micros), conversion_rate, squashing, winners
    )
    return winners


@kernel
def _clear(bids, page_start, terms, available, engagement, conversion_rate, squashing, winners):
    rows = bids.placement.shape[0]
    worth = Worth(
        np.empty(rows, np.float64), np.empty(rows, np.float64), np.empty(rows, np.float64),
        np.empty(rows, np.float64), np.empty(rows, np.int32), np.zeros(rows, np.uint8),
        np.empty(rows, np.float64), np.zeros(rows, np.int32), np.zeros(rows, np.int32),
    )  # fmt: skip
    for page in range(page_start.shape[0] - 1):
        first, last = page_start[page], page_start[page + 1]
        guaranteed = _weigh(bids, terms, worth, page, first, last, engagement, conversion_rate, squashing)
        by_slate = terms.price_rule[page] == 502
        if guaranteed or not by_slate:
            _sell_best_first(bids, terms, worth, available, winners, page, first, last, guaranteed, by_slate)
        if by_slate:
            sell_slate(bids, terms, worth, available, winners, page, first, last)
        _price(bids, terms, worth, available, winners, page)
        _tell_losers(bids, terms, worth, winners, page, first, last)


@inlined
def _weigh(bids, terms, worth, page, first, last, engagement, conversion_rate, squashing):
    """Work out what each bid is worth and which terms it stands under; is any under a guaranteed deal?"""
    placement_of, pricing, bid_micros, chance, viewable, deal_of = (
        bids.placement, bids.pricing, bids.bid_micros, bids.click_probability, bids.viewable, bids.deal
    )  # fmt: skip
    rate_of, outcome, ecpm_micros, floor_micros = bids.rate, bids.outcome, bids.ecpm_micros, terms.floor_micros
    private, score, weight_of, share_of = terms.private_auction, worth.score, worth.weight, worth.share
    floor_of, rule_of = worth.floor, worth.rule
    guaranteed = False
    rule = terms.price_rule[page]
    # Under VCG the shop's own gain stays out: a discount for it could go below the floor.
    own = 0.0 if rule == 502 else engagement
    for row in range(first, last):
        placement, rate = placement_of[row], rate_of[row]
        share = impressions_per_unit(pricing[row], chance[row], conversion_rate, viewable[row])
        if pricing[row] == 1:
            weight = rate
            ecpm = bid_micros[row] if rate == 1.0 else np.int64(min(bid_micros[row] * rate, 4e18))
        else:
            weight = share * 1000.0 * rate
            ecpm = np.int64(min(bid_micros[row] * share * 1000.0 * rate, 4e18))
        ranked = np.float64(ecpm)
        # Only what clicks tell of quality is squashed.
        if rule == 501 and squashing != 1.0 and pricing[row] != 1 and pricing[row] != 4:
            weight = squashed(share, squashing) * 1000.0 * rate
            ranked = bid_micros[row] * weight
        ecpm_micros[row], share_of[row], weight_of[row] = ecpm, share, weight
        score[row] = ranked + own * chance[row] * 1000.0
        rule_of[row] = rule
        floor = floor_micros[placement]
        refusal = _FLOOR
        if deal_of[row] >= 0:
            deal = terms.deal_start[placement] + deal_of[row]
            floor = terms.deal_floor_micros[deal]
            refusal = _DEAL_FLOOR
            if terms.deal_price_rule[deal] != 0:
                rule_of[row] = terms.deal_price_rule[deal]
            if terms.deal_guaranteed[deal] != 0:
                worth.tier[row] = 1
                guaranteed = True
        elif private[placement] != 0 and outcome[row] == PENDING:
            outcome[row] = _PRIVATE
        if bids.own_floor_micros[row] >= 0:
            floor = bids.own_floor_micros[row]
        floor_of[row] = np.float64(floor)
        if outcome[row] == PENDING and ecpm < floor:
            outcome[row] = refusal
    return guaranteed


@inlined
def _sell_best_first(bids, terms, worth, available, winners, page, first, last, guaranteed, only_guaranteed):
    """Each round sells one placement to the best bid that no rule keeps out, under guaranteed deals first."""
    placement_of, outcome, score, tier_of, kept_out = (
        bids.placement, bids.outcome, worth.score, worth.tier, worth.kept_out
    )  # fmt: skip
    left = terms.most_ads[page]
    tier = 1 if guaranteed else 0
    while left > 0:
        best = -1
        for row in range(first, last):
            if outcome[row] != PENDING or kept_out[row] != 0 or (best >= 0 and score[row] <= score[best]):
                continue
            if winners[placement_of[row]] < 0 and tier_of[row] >= tier:
                best = row
        if best < 0:
            if tier == 0 or only_guaranteed:
                break
            tier = 0
            continue
        cost = to_reserve(bids.pricing[best], bids.bid_micros[best], worth.share[best])
        account, campaign = bids.account[best], bids.campaign_account[best]
        if account >= 0:
            if available[account] < cost or available[campaign] < cost:
                outcome[best] = _BUDGET
                continue
            available[account] -= cost
            available[campaign] -= cost
            bids.reserved_micros[best] = cost
        if worth.rule[best] == 501:
            # Its rank is against those who may still win elsewhere, so they are looked at at the moment of the sale.
            worth.ahead_of[best] = runner_up(placement_of, outcome, score, tier_of, kept_out, best)
        outcome[best] = 0
        winners[placement_of[best]] = best
        left -= 1
        keep_out(
            placement_of, bids.advertiser, bids.product, bids.category, kept_out, worth.namesakes,
            terms.most_per_advertiser[page], terms.separate[page], first, last, best,
        )  # fmt: skip


@inlined
def _price(bids, terms, worth, available, winners, page):
    """Set the prices, and give back what was reserved by the bid and is not needed by the price."""
    placement_of, outcome, pricing, bid_micros, rate = (
        bids.placement, bids.outcome, bids.pricing, bids.bid_micros, bids.rate
    )  # fmt: skip
    ecpm_micros, score, share, floor = bids.ecpm_micros, worth.score, worth.share, worth.floor
    rule, tier, kept_out = worth.rule, worth.tier, worth.kept_out
    for placement in range(terms.placement_start[page], terms.placement_start[page + 1]):
        winner = winners[placement]
        if winner < 0:
            continue
        bid = bid_micros[winner]
        if rule[winner] == 1:
            bids.price_micros[winner] = bid
        elif rule[winner] == 3:
            bids.price_micros[winner] = in_own_units(floor[winner], pricing[winner], share[winner], rate[winner], bid)
        elif rule[winner] == 501:
            own_gain = score[winner] - bid * worth.weight[winner]
            least = in_own_units(floor[winner], pricing[winner], share[winner], rate[winner], bid)
            bids.price_micros[winner] = keeps_its_rank(
                worth.ahead_of[winner], own_gain, worth.weight[winner], least, bid
            )
        elif bids.price_micros[winner] == 0:
            own_gain = score[winner] - ecpm_micros[winner]
            others = runner_up(placement_of, outcome, score, tier, kept_out, winner)
            per_mille = second_price(others, own_gain, floor[winner])
            bids.price_micros[winner] = in_own_units(per_mille, pricing[winner], share[winner], rate[winner], bid)
        account = bids.account[winner]
        if account >= 0:
            cost = to_reserve(pricing[winner], bids.price_micros[winner], share[winner])
            rest = bids.reserved_micros[winner] - cost
            bids.reserved_micros[winner] = cost
            available[account] += rest
            available[bids.campaign_account[winner]] += rest


@inlined
def _tell_losers(bids, terms, worth, winners, page, first, last):
    """Give every bid that is left its outcome: a page rule only where the bid would have won without it."""
    placement_of, outcome, deal_of, score, tier, kept_out = (
        bids.placement, bids.outcome, bids.deal, worth.score, worth.tier, worth.kept_out
    )  # fmt: skip
    for row in range(first, last):
        if outcome[row] != PENDING:
            continue
        winner = winners[placement_of[row]]
        if winner < 0:
            # Nothing else can have kept it from an empty placement than the page's rules.
            outcome[row] = kept_out[row] if kept_out[row] != 0 else _AD_LOAD
        elif kept_out[row] != 0 and score[row] > score[winner] and tier[row] >= tier[winner]:
            outcome[row] = kept_out[row]
        elif tier[row] < tier[winner] or (deal_of[winner] >= 0 and deal_of[row] < 0):
            outcome[row] = _LOST_TO_DEAL
        else:
            outcome[row] = _LOST
