"""Which bids can their placement not show after all? What the walk cannot know: a product's facts of this moment, the
time of a pod, a floor that grows with a video's length.

Runs between screening and clearing, and looks only at placements with terms for native ads or videos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.clearing import PENDING
from exchange.creatives.composer import Composer
from exchange.creatives.outside_markup import duration_in
from exchange.creatives.pods import PodBid, time_shares
from exchange.eligibility import CODE_INDEX
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import Deal, Format, PageView, Placement, PricingModel
from exchange.static_worth import CONVERSION_PRIOR

_FILTERED = CODE_INDEX[Refusal.CREATIVE_FILTERED]
_FLOOR = CODE_INDEX[Refusal.BELOW_FLOOR]
_DEAL_FLOOR = CODE_INDEX[Refusal.BELOW_DEAL_FLOOR]
# What is written in the placement's native assets.
_NATIVE_MARKUP = (Format.NATIVE, Format.PRODUCT_LISTING)


def refuse_unfit(
    rows: BidRows,
    views: Sequence[PageView],
    snapshot: Snapshot,
    composer: Composer,
    to_auction: Callable[[PageView, int], int] = lambda _, micros: micros,
) -> None:
    """Set the outcome of bids that cannot be shown: CREATIVE_FILTERED, or BELOW_FLOOR (BELOW_DEAL_FLOOR) where a video
    is too cheap for its length; and the floors of videos that go by it. `to_auction` puts micros of a page view's own
    currency into the auction's.
    """
    placements = [placement for view in views for placement in view.placements]
    special = [
        row for row, placement in enumerate(placements) if placement.native is not None or placement.video is not None
    ]
    if not special or not len(rows.ad):
        return
    bounds = np.searchsorted(rows.bids.placement, np.array([special, np.add(special, 1)]))
    start, end = (
        dict(zip(special, bounds[0].tolist(), strict=True)),
        dict(zip(special, bounds[1].tolist(), strict=True)),
    )
    for at in special:
        placement = placements[at]
        if placement.native is not None:
            _refuse_incomplete(rows, range(start[at], end[at]), snapshot, placement, composer)
    pods: dict[tuple[int, str, int], list[int]] = {}
    first = 0
    for number, view in enumerate(views):
        for at in range(first, first + len(view.placements)):
            terms = placements[at].video
            if terms is None:
                continue
            if terms.by_length is not None or any(deal.by_length is not None for deal in placements[at].deals):
                told = partial(to_auction, view) if view.currency else _as_it_is
                _hold_to_length(rows, range(start[at], end[at]), snapshot, placements[at], told)
            if terms.pod_duration_s:
                pod_id = terms.pod_id or placements[at].placement_id
                pods.setdefault((number, pod_id, terms.pod_duration_s), []).append(at)
        first += len(view.placements)
    for slots in pods.values():
        terms = placements[slots[0]].video
        assert terms is not None
        _share_time(rows, [range(start[at], end[at]) for at in slots], snapshot, terms.pod_duration_s)


def _refuse_incomplete(
    rows: BidRows, mine: range, snapshot: Snapshot, placement: Placement, composer: Composer
) -> None:
    for row in mine:
        ad = int(rows.ad[row])
        if ad < 0 or rows.bids.outcome[row] != PENDING or snapshot.ads[ad].format not in _NATIVE_MARKUP:
            continue
        if composer.missing(snapshot.ads[ad], placement.native):
            rows.bids.outcome[row] = _FILTERED


def _hold_to_length(
    rows: BidRows, mine: range, snapshot: Snapshot, placement: Placement, told: Callable[[int], int]
) -> None:
    bids, worth = rows.bids, _worth(rows, mine)
    for row in mine:
        if bids.outcome[row] != PENDING or _format(rows, row, snapshot) != Format.VIDEO:
            continue
        deal = placement.deals[bids.deal[row]] if bids.deal[row] >= 0 else None
        seconds = _duration_s(rows, row, snapshot)
        floor = floor_by_length(placement, deal, seconds)
        if floor is None:
            continue
        bids.own_floor_micros[row] = told(floor)
        if worth[row - mine.start] < bids.own_floor_micros[row]:
            bids.outcome[row] = _FLOOR if deal is None else _DEAL_FLOOR


def floor_by_length(placement: Placement, deal: Deal | None, seconds: int) -> int | None:
    """What a video of so many seconds (0: nobody knows) is sold for at least, in the page view's currency; None where
    its length does not matter. What the exchange asks for beyond the page view is never undercut.
    """
    if deal is not None:
        return None if deal.by_length is None else deal.by_length.floor_of(seconds, deal.floor_micros)
    terms = placement.video
    if terms is None or terms.by_length is None:
        return None
    floor = terms.by_length.floor_of(seconds, placement.floor_micros)
    return max(floor, placement.floor_micros) if placement.floor_raised else floor


def _as_it_is(micros: int) -> int:
    return micros


def _format(rows: BidRows, row: int, snapshot: Snapshot) -> int:
    ad = int(rows.ad[row])
    return snapshot.ads[ad].format if ad >= 0 else rows.outside[-1 - ad].bid.format


def _share_time(rows: BidRows, slots: list[range], snapshot: Snapshot, seconds: int) -> None:
    bids = [
        PodBid(int(rows.bids.advertiser[row]), _duration_s(rows, row, snapshot), int(worth))
        for mine in slots
        for row, worth in zip(mine, _worth(rows, mine).tolist(), strict=True)
        if rows.bids.outcome[row] == PENDING
    ]
    for mine, share in zip(slots, time_shares(bids, seconds, len(slots)), strict=True):
        for row in mine:
            # A length that nobody named could be any.
            if rows.bids.outcome[row] == PENDING and not 0 < _duration_s(rows, row, snapshot) <= share:
                rows.bids.outcome[row] = _FILTERED


def _duration_s(rows: BidRows, row: int, snapshot: Snapshot) -> int:
    ad = int(rows.ad[row])
    if ad >= 0:
        return snapshot.ads[ad].duration_s
    bid = rows.outside[-1 - ad].bid
    return bid.duration_s or duration_in(bid.markup)


def _worth(rows: BidRows, mine: range) -> NDArray[np.int64]:
    """Micros per thousand impressions in the auction's currency, as clearing will see them."""
    bids = rows.bids
    cut = slice(mine.start, mine.stop)
    per_click = bids.bid_micros[cut] * bids.click_probability[cut] * 1000.0
    pricing, micros = bids.pricing[cut], bids.bid_micros[cut].astype(np.float64)
    worth = np.select(
        [pricing == PricingModel.CPM, pricing == PricingModel.CPC, pricing == PricingModel.VCPM],
        [micros, per_click, micros * bids.viewable[cut]],
        per_click * CONVERSION_PRIOR,
    )
    return (worth * bids.rate[cut]).astype(np.int64)
