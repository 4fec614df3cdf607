"""What does clearing have to keep to? Price rules, floors, deals and page rules of a batch, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.page_rules import USUAL, PageRules
from exchange.request import PageView


class ClearingTerms(NamedTuple):
    """The terms of a batch. Money is in micros per thousand impressions of the auction's currency."""

    placement_start: NDArray[np.int32]  # (page views + 1): cuts the placements by page view
    # One entry for each page view.
    price_rule: NDArray[np.int32]  # exchange.request.PriceRule
    most_per_advertiser: NDArray[np.int32]
    most_ads: NDArray[np.int32]
    separate: NDArray[np.uint8]  # SEPARATE_… bits of exchange.page_rules
    # One entry for each placement.
    floor_micros: NDArray[np.int64]
    private_auction: NDArray[np.uint8]  # 1: sold under deals alone
    deal_start: NDArray[np.int32]  # (placements + 1): cuts the deals by placement
    # One entry for each deal of each placement; `Bids.deal` counts within the placement.
    deal_floor_micros: NDArray[np.int64]
    deal_price_rule: NDArray[np.int32]  # 0: as the page view
    deal_guaranteed: NDArray[np.uint8]


def clearing_terms(
    views: Sequence[PageView],
    placement_start: NDArray[np.int32],
    *,
    page_rules: PageRules = USUAL,
    to_auction: Callable[[PageView, int], int] | None = None,
) -> ClearingTerms:
    """The terms of these page views; `page_rules` are those of page views that bring none.

    `to_auction(view, micros)` turns money of the page view's currency into the auction's, rounded up; it is asked only
    for page views that name a currency.
    """
    placements = [placement for view in views for placement in view.placements]
    floors = [placement.floor_micros for placement in placements]
    rules = [view.price_rule for view in views]
    own = [at for at, view in enumerate(views) if view.page_rules is not None]
    converted = [at for at, view in enumerate(views) if view.currency] if to_auction is not None else []
    starts = placement_start.tolist()
    for at in converted:
        assert to_auction is not None
        for place in range(starts[at], starts[at + 1]):
            floors[place] = to_auction(views[at], floors[place])
    counts = placement_start[1:] - placement_start[:-1]
    most, ads, separate = _limits(page_rules, counts)
    for at in own:
        rule = views[at].page_rules
        assert rule is not None
        most[at], ads[at], separate[at] = rule.limits(int(counts[at]))
    deal_start = np.zeros(len(placements) + 1, np.int32)
    deal_floors: list[int] = []
    deal_rules: list[int] = []
    guaranteed: list[bool] = []
    private = np.zeros(len(placements), np.uint8)
    special = [at for at, placement in enumerate(placements) if placement.deals or placement.private_auction]
    if special:
        page_of = np.repeat(np.arange(len(views)), counts).tolist()
        in_other = set(converted)
        for at in special:
            placement, page = placements[at], page_of[at]
            private[at] = placement.private_auction
            deal_start[at + 1] = len(placement.deals)
            for deal in placement.deals:
                floor = deal.floor_micros
                if page in in_other:
                    assert to_auction is not None
                    floor = to_auction(views[page], floor)
                deal_floors.append(floor)
                deal_rules.append(deal.price_rule)
                guaranteed.append(deal.guaranteed)
        deal_start = np.cumsum(deal_start, dtype=np.int32)
    return ClearingTerms(
        placement_start=placement_start,
        price_rule=np.array(rules, np.int32),
        most_per_advertiser=most,
        most_ads=ads,
        separate=separate,
        floor_micros=np.array(floors, np.int64),
        private_auction=private,
        deal_start=deal_start,
        deal_floor_micros=np.array(deal_floors, np.int64),
        deal_price_rule=np.array(deal_rules, np.int32),
        deal_guaranteed=np.array(guaranteed, np.uint8),
    )


def _limits(
    rules: PageRules, counts: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """`PageRules.limits` of every page view, worked out once where no share depends on the page."""
    most, ads, separate = rules.limits(0)
    if rules.most_share_per_advertiser or rules.most_ads_share:
        of_page = [rules.limits(count) for count in counts.tolist()]
        return (
            np.array([entry[0] for entry in of_page], np.int32),
            np.array([entry[1] for entry in of_page], np.int32),
            np.full(len(counts), separate, np.uint8),
        )
    return (
        np.full(len(counts), most, np.int32),
        np.full(len(counts), ads, np.int32),
        np.full(len(counts), separate, np.uint8),
    )
