"""What would a bidder that has not answered have to bid to matter? When it never bids so much, nobody waits for it.

The bar is worked out of the bids that are there, inside ones and those that outside bidders have answered with, and is
asked for anew with each answer. An auction that closes by it does so at once, so it sells what it would have sold had
everybody been waited for: nothing that the bar was made of can be refused in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.clearing import PENDING, Bids
from exchange.page_rules import USUAL, PageRules
from exchange.request import PageView, Placement, PriceRule, PricingModel
from ranking.kernel_cache import kernel

_SIMPLE_RULES = (int(PriceRule.FIRST_PRICE), int(PriceRule.SECOND_PRICE))
_NEVER = np.iinfo(np.int64).max


def least_to_matter(
    views: Sequence[PageView],
    placement_start: NDArray[np.int32],
    rows_so_far: Callable[[], BidRows],
    available_micros: NDArray[np.int64],
    *,
    conversion_rate: float,
    page_rules: PageRules,
) -> int:
    """Micros per thousand impressions at or below which no further bid wins or sets a price anywhere in the batch.

    `rows_so_far` makes the table of the bids that are there, as clearing would get it. 0, so that everybody is waited
    for, where a page view is sold by rules that let other bids matter too: deals, GSP, VCG, rules of its own for the
    page, pods, floors by length. Not counted is what is refused already, what its buyer wants with other bids or not at
    all, and what the budget book does not hold the money for, should it win wherever it bids.
    """
    if page_rules != USUAL or not all(map(_is_simple, views)):
        return 0
    rows = rows_so_far()
    bids = rows.bids
    share = _impressions_per_unit(bids, conversion_rate)
    worth = np.where(bids.pricing == PricingModel.CPM, bids.bid_micros, bids.bid_micros * share * 1000) * bids.rate
    # Whoever comes later may be asked earlier, and goes first among equals: an outside bid is beaten by its like.
    worth[rows.ad < 0] -= 1.0
    worth[(bids.outcome != PENDING) | _in_groups(rows) | ~_affordable(bids, share, available_micros)] = 0.0
    return bar_of(bids.placement, worth, bids.advertiser, bids.product, placement_start)


def _is_simple(view: PageView) -> bool:
    return view.price_rule in _SIMPLE_RULES and view.page_rules is None and all(map(_is_plain, view.placements))


def _is_plain(placement: Placement) -> bool:
    terms = placement.video
    return not (
        placement.deals
        or placement.private_auction
        or (terms is not None and (terms.pod_duration_s or terms.by_length is not None))
    )


def _impressions_per_unit(bids: Bids, conversion_rate: float) -> NDArray[np.float64]:
    """As exchange.clearing_prices.impressions_per_unit has it, for all bids."""
    pricing, chance = bids.pricing, bids.click_probability
    return np.select(
        [pricing == PricingModel.CPM, pricing == PricingModel.CPC, pricing == PricingModel.VCPM],
        [np.full(len(chance), 0.001), chance, 0.001 * bids.viewable],
        chance * conversion_rate,
    )


def _in_groups(rows: BidRows) -> NDArray[np.bool_]:
    grouped = np.zeros(len(rows.ad), np.bool_)
    if any(screened.bid.group for screened in rows.outside):
        for row in np.flatnonzero(rows.ad < 0).tolist():
            grouped[row] = rows.outside[-1 - int(rows.ad[row])].bid.group > 0
    return grouped


def _affordable(bids: Bids, share: NDArray[np.float64], available: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Does the budget book hold what the accounts of each bid would have to reserve if all of their bids won?"""
    cost = np.ceil(bids.bid_micros * share) + 1.0
    held = np.ones(len(cost), np.bool_)
    for account in (bids.account, bids.campaign_account):
        inside = account >= 0
        accounts, of_account = np.unique(account[inside], return_inverse=True)
        held[inside] &= (np.bincount(of_account, cost[inside], len(accounts)) <= available[accounts])[of_account]
    return held


def bar_of(
    placement: NDArray[np.int32],
    worth_micros: NDArray[np.float64],
    advertiser: NDArray[np.int64],
    product: NDArray[np.int64],
    placement_start: NDArray[np.int32],
) -> int:
    """The lowest bar of all placements; the first four arrays have one entry for each bid, placement by placement.

    `worth_micros` is 0 for bids that cannot be taken. `placement_start` (pages + 1) cuts the placements by page view.
    The page's other placements can each take two bids out of one's reach, by their winner's brand and by its product,
    so the bar of a placement on a page of n is its (2n)th best bid among those that share neither: one to win, one to
    set the price.
    """
    bar = np.zeros(1, np.float64)
    _bar(placement, worth_micros, advertiser, product, placement_start, bar)
    return int(min(max(bar[0], 0.0), float(_NEVER // 2)))


@kernel
def _bar(placement, worth, advertiser, product, placement_start, bar):  # type: ignore[no-untyped-def]
    rows = placement.shape[0]
    first = np.zeros(placement_start[-1] + 1, np.int64)
    for row in range(rows):
        first[placement[row] + 1] += 1
    for place in range(placement_start[-1]):
        first[place + 1] += first[place]
    taken = np.empty(rows, np.int64)
    used = np.zeros(rows, np.uint8)
    least = np.inf
    for page in range(placement_start.shape[0] - 1):
        needed = 2 * (placement_start[page + 1] - placement_start[page])
        for place in range(placement_start[page], placement_start[page + 1]):
            count = 0
            worst = 0.0
            while count < needed:
                best = -1
                for row in range(first[place], first[place + 1]):
                    if used[row] or worth[row] <= 0.0 or (best >= 0 and worth[row] <= worth[best]):
                        continue
                    best = row
                if best < 0:
                    break
                used[best] = 1
                clash = False
                for at in range(count):
                    other = taken[at]
                    if advertiser[other] == advertiser[best] or (
                        product[best] >= 0 and product[other] == product[best]
                    ):
                        clash = True
                        break
                if not clash:
                    taken[count] = best
                    count += 1
                    worst = worth[best]
            least = min(least, worst if count == needed else 0.0)
    bar[0] = least if least < np.inf else 0.0
