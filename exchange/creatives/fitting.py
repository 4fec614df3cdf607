"""Which bids can their placement not show after all? What the walk cannot know: a product's facts of this moment, the
time of a pod, a floor that grows with a video's length.

Runs between screening and clearing, and looks only at placements with terms for native ads or videos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.clearing import PENDING
from exchange.creatives.composer import Composer
from exchange.creatives.pods import PodBid, least_worth_micros, time_shares
from exchange.eligibility import CODE_INDEX
from exchange.inventory import CONVERSION_PRIOR, Snapshot
from exchange.refusals import Refusal
from exchange.request import Format, PageView, Placement, PricingModel, VideoTerms

_FILTERED = CODE_INDEX[Refusal.CREATIVE_FILTERED]
_FLOOR = CODE_INDEX[Refusal.BELOW_FLOOR]
# What is written in the placement's native assets.
_NATIVE_MARKUP = (Format.NATIVE, Format.PRODUCT_LISTING)


def refuse_unfit(rows: BidRows, views: Sequence[PageView], snapshot: Snapshot, composer: Composer) -> None:
    """Set the outcome of bids that cannot be shown: CREATIVE_FILTERED, or BELOW_FLOOR where a video is too cheap for
    its length.
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
    pods: dict[tuple[int, str], list[int]] = {}
    for at in special:
        placement = placements[at]
        if placement.native is not None:
            _refuse_incomplete(rows, range(start[at], end[at]), snapshot, placement, composer)
        if placement.video is not None:
            _refuse_cheap(rows, range(start[at], end[at]), snapshot, placement.video)
    first = 0
    for number, view in enumerate(views):
        for at in range(first, first + len(view.placements)):
            terms = placements[at].video
            if terms is not None and terms.pod_id and terms.pod_duration_s:
                pods.setdefault((number, terms.pod_id), []).append(at)
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


def _refuse_cheap(rows: BidRows, mine: range, snapshot: Snapshot, terms: VideoTerms) -> None:
    if not terms.least_cpm_per_second_micros:
        return
    worth = _worth(rows, mine)
    for row in mine:
        least = least_worth_micros(terms, _duration_s(rows, row, snapshot))
        if rows.bids.outcome[row] == PENDING and worth[row - mine.start] < least:
            rows.bids.outcome[row] = _FLOOR


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
    return snapshot.ads[ad].duration_s if ad >= 0 else rows.outside[-1 - ad].bid.duration_s


def _worth(rows: BidRows, mine: range) -> NDArray[np.int64]:
    """Micros per thousand impressions, as clearing will see them."""
    bids = rows.bids
    cut = slice(mine.start, mine.stop)
    per_click = bids.bid_micros[cut] * bids.click_probability[cut] * 1000.0
    worth = np.select(
        [bids.pricing[cut] == PricingModel.CPM, bids.pricing[cut] == PricingModel.CPC],
        [bids.bid_micros[cut].astype(np.float64), per_click],
        per_click * CONVERSION_PRIOR,
    )
    return worth.astype(np.int64)
