"""Step 7: who wins the page, and what do they pay? One decision over all placements of a page view.

Bids are taken best first over the whole page: worth per thousand impressions plus what the shop itself gains from the
click. An advertiser and a product win at most one placement of a page. Money is reserved as a bid wins; a bid whose
money cannot be reserved is refused and the next one is looked at.

Second price plus (OpenRTB 2.6 §3.2.1, `at` = 2): the winner pays what it needs to stay ahead of the best bid that could
have had the placement instead, plus one step; never below the floor and never above its own bid.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal

# The "plus" of second price plus, per thousand impressions: a hundredth of a currency unit.
PRICE_STEP_MICROS = 10_000

PENDING = -1
_LOST = CODE_INDEX[Refusal.LOST_TO_HIGHER_BID]
_FLOOR = CODE_INDEX[Refusal.BELOW_FLOOR]
_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]
_BRAND = CODE_INDEX[Refusal.BRAND_ON_PAGE]
_PRODUCT = CODE_INDEX[Refusal.PRODUCT_ON_PAGE]


class Bids(NamedTuple):
    """The bids of a batch, by row; rows of one page view stand together, in the order of its placements."""

    placement: NDArray[np.int32]
    pricing: NDArray[np.uint8]
    bid_micros: NDArray[np.int64]  # per unit of the pricing model, in the bid's own currency
    click_probability: NDArray[np.float64]
    advertiser: NDArray[np.int64]  # equal numbers are one advertiser
    product: NDArray[np.int64]  # equal numbers are one product; -1 is none
    category: NDArray[np.int64]  # equal numbers are one creative category; -1 is none
    deal: NDArray[np.int32]  # index into the deals of its placement; -1 is an open bid
    rate: NDArray[np.float64]  # micros of the auction's currency for one micro of the bid's own; 1.0 in the same
    account: NDArray[np.int32]  # rows of the budget book; -1 for an outside bid
    campaign_account: NDArray[np.int32]
    outcome: NDArray[np.int32]  # PENDING, or an index into CODES when already refused; filled by `clear`
    ecpm_micros: NDArray[np.int64]  # filled by `clear`
    price_micros: NDArray[np.int64]  # filled by `clear`, winners only; in the bid's own currency
    reserved_micros: NDArray[np.int64]  # filled by `clear`, winners only; in the bid's own currency


def clear(
    bids: Bids,
    page_start: NDArray[np.int32],
    placement_start: NDArray[np.int32],
    floor_micros: NDArray[np.int64],
    first_price: NDArray[np.uint8],
    available_micros: NDArray[np.int64],
    *,
    engagement_value_micros: int,
    conversion_rate: float,
) -> NDArray[np.int32]:
    """Fill in outcomes, prices and reservations; the winning row of each placement, -1 when it is not sold.

    `page_start` (pages + 1) cuts the bids by page view, `placement_start` (pages + 1) the placements; `floor_micros` is
    by placement, `first_price` by page view. `available_micros` is the budget book's array: what winners reserve is
    taken out of it here, from both accounts of a bid or from neither.
    """
    winners = np.full(len(floor_micros), -1, np.int32)
    _clear(
        bids, page_start, placement_start, floor_micros, first_price, available_micros,
        float(engagement_value_micros), conversion_rate, winners,
    )  # fmt: skip
    return winners


@numba.njit(cache=True, nogil=True, inline="always")
def _impressions_per_unit(pricing, click_probability, conversion_rate):  # type: ignore[no-untyped-def]
    """How much of one unit of the pricing model an impression is expected to bring."""
    if pricing == 1:
        return 0.001
    if pricing == 2:
        return click_probability
    return click_probability * conversion_rate


@numba.njit(cache=True, nogil=True, inline="always")
def _expected_cost(pricing, price, share):  # type: ignore[no-untyped-def]
    """Whole micros that one impression is expected to cost, rounded up."""
    if pricing == 1:
        return (price + 999) // 1000
    return max(np.int64(1), np.int64(np.ceil(price * share)))


@numba.njit(cache=True, nogil=True)
def _clear(  # type: ignore[no-untyped-def]
    bids, page_start, placement_start, floor, first_price, available, engagement, conversion_rate, winners
):
    score = np.empty(bids.placement.shape[0], np.float64)
    share = np.empty(bids.placement.shape[0], np.float64)
    for page in range(page_start.shape[0] - 1):
        first, last = page_start[page], page_start[page + 1]
        for row in range(first, last):
            share[row] = _impressions_per_unit(bids.pricing[row], bids.click_probability[row], conversion_rate)
            if bids.pricing[row] == 1:
                bids.ecpm_micros[row] = bids.bid_micros[row]
            else:
                bids.ecpm_micros[row] = np.int64(bids.bid_micros[row] * share[row] * 1000.0)
            score[row] = bids.ecpm_micros[row] + engagement * bids.click_probability[row] * 1000.0
            if bids.outcome[row] == PENDING and bids.ecpm_micros[row] < floor[bids.placement[row]]:
                bids.outcome[row] = _FLOOR

        # Best first: each round sells one placement to the best bid that no rule keeps out.
        while True:
            best = -1
            for row in range(first, last):
                if bids.outcome[row] != PENDING or winners[bids.placement[row]] >= 0:
                    continue
                if best >= 0 and score[row] <= score[best]:
                    continue
                if not _conflicts(bids, winners, placement_start, page, row):
                    best = row
            if best < 0:
                break
            cost = _expected_cost(bids.pricing[best], bids.bid_micros[best], share[best])
            account, campaign = bids.account[best], bids.campaign_account[best]
            if account >= 0:
                if available[account] < cost or available[campaign] < cost:
                    bids.outcome[best] = _BUDGET
                    continue
                available[account] -= cost
                available[campaign] -= cost
                bids.reserved_micros[best] = cost
            bids.outcome[best] = 0
            winners[bids.placement[best]] = best

        for placement in range(placement_start[page], placement_start[page + 1]):
            winner = winners[placement]
            if winner < 0:
                continue
            price = bids.bid_micros[winner]
            if first_price[page] == 0:
                price = _second_price(bids, winners, placement_start, page, first, last, winner, score, share, floor)
            bids.price_micros[winner] = price
            account = bids.account[winner]
            if account >= 0:
                # Reserved by the bid, kept by the price: what is not needed goes back at once.
                cost = _expected_cost(bids.pricing[winner], price, share[winner])
                rest = bids.reserved_micros[winner] - cost
                bids.reserved_micros[winner] = cost
                available[account] += rest
                available[bids.campaign_account[winner]] += rest

        for row in range(first, last):
            if bids.outcome[row] == PENDING:
                bids.outcome[row] = _why_lost(bids, winners, placement_start, page, row, score)


@numba.njit(cache=True, nogil=True, inline="always")
def _conflicts(bids, winners, placement_start, page, row):  # type: ignore[no-untyped-def]
    """Did this advertiser (1) or this product (2) already win another placement of the page? 0 when neither."""
    for placement in range(placement_start[page], placement_start[page + 1]):
        winner = winners[placement]
        if winner < 0 or placement == bids.placement[row]:
            continue
        if bids.advertiser[winner] == bids.advertiser[row]:
            return 1
        if bids.product[row] >= 0 and bids.product[winner] == bids.product[row]:
            return 2
    return 0


@numba.njit(cache=True, nogil=True, inline="always")
def _second_price(  # type: ignore[no-untyped-def]
    bids, winners, placement_start, page, first, last, winner, score, share, floor
):
    placement = bids.placement[winner]
    runner_up = -1.0
    for row in range(first, last):
        if row == winner or bids.placement[row] != placement or bids.outcome[row] != PENDING:
            continue
        if score[row] > runner_up and not _conflicts(bids, winners, placement_start, page, row):
            runner_up = score[row]
    per_mille = float(floor[placement])
    if runner_up >= 0.0:
        own_gain = score[winner] - bids.ecpm_micros[winner]
        per_mille = max(per_mille, runner_up - own_gain + PRICE_STEP_MICROS)
    if bids.pricing[winner] == 1:
        price = np.int64(np.ceil(per_mille))
    else:
        price = np.int64(np.ceil(per_mille / (1000.0 * share[winner])))
    return min(bids.bid_micros[winner], max(price, np.int64(1)))


@numba.njit(cache=True, nogil=True, inline="always")
def _why_lost(bids, winners, placement_start, page, row, score):  # type: ignore[no-untyped-def]
    """A page-wide rule is the reason only where the bid would have won without it."""
    winner = winners[bids.placement[row]]
    if winner < 0 or score[row] > score[winner]:
        conflict = _conflicts(bids, winners, placement_start, page, row)
        if conflict == 1:
            return _BRAND
        if conflict == 2:
            return _PRODUCT
    return _LOST
