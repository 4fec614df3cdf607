"""What would a bidder that has not answered have to bid to matter? When it never bids so much, nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import InsideRows
from exchange.order_book import OrderBook
from exchange.page_rules import USUAL, PageRules
from exchange.request import PageView, PriceRule, PricingModel
from ranking.kernel_cache import kernel

_SIMPLE_RULES = (int(PriceRule.FIRST_PRICE), int(PriceRule.SECOND_PRICE))
_NEVER = np.iinfo(np.int64).max


class AtHand(NamedTuple):
    """What is known before outside bidders have answered; arrays have one entry for each finalist."""

    book: OrderBook
    inside: InsideRows
    offered_micros: NDArray[np.int64]
    click_probability: NDArray[np.float64]
    rate: NDArray[np.float64] | None  # by currency of the line items; None when all are in the auction's own
    item_currency: NDArray[np.int32]
    placement_start: NDArray[np.int32]
    views: Sequence[PageView]
    viewable: NDArray[np.float64] | None = None  # by placement, where any bid is under vCPM


def least_to_matter(at_hand: AtHand, conversion_rate: float, page_rules: PageRules) -> int:
    """Micros per thousand impressions at or below which no further bid wins or sets a price anywhere in the batch.

    0, so that everybody is waited for, where a page view is sold by rules that let other bids matter too: deals, GSP,
    VCG, rules of its own for the page.
    """
    if page_rules != USUAL or not all(map(_is_simple, at_hand.views)):
        return 0
    book, inside = at_hand.book, at_hand.inside
    pricing = book.item_pricing[inside.item]
    chance = at_hand.click_probability
    per_mille = np.select(
        [pricing == PricingModel.CPM, pricing == PricingModel.CPC],
        [np.ones(len(chance)), 1000 * chance],
        1000 * chance * conversion_rate,
    )
    if at_hand.viewable is not None:
        per_mille = np.where(pricing == PricingModel.VCPM, at_hand.viewable[inside.placement], per_mille)
    worth = np.maximum(at_hand.offered_micros, 0) * per_mille
    if at_hand.rate is not None:
        worth = worth * at_hand.rate[at_hand.item_currency[inside.item]]
    return bar_of(
        inside.placement,
        worth,
        book.item_advertiser[inside.item].astype(np.int64),
        book.ad_product[inside.ad].astype(np.int64),
        at_hand.placement_start,
    )


def _is_simple(view: PageView) -> bool:
    return (
        view.price_rule in _SIMPLE_RULES
        and view.page_rules is None
        and not any(placement.deals or placement.private_auction for placement in view.placements)
    )


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
