"""Step 6: may this bid take part? Outside bids are believed in nothing; inside ones passed these rules in the walk."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.money import ABSURD_PRICE_MICROS
from exchange.bidding import OutsideAnswer, OutsideBid
from exchange.eligibility import CODE_INDEX
from exchange.notice_urls import can_be_called
from exchange.refusals import Refusal
from exchange.request import PageView, Placement

MARKUP_LIMIT_BYTES = 16 * 1024
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_NAME_LIMIT = 64


class ScreenedBid(msgspec.Struct, frozen=True):
    """An outside bid with its placement (index in the batch) and WON (0) for "may take part", or its refusal."""

    bidder: int
    placement_row: int
    bid: OutsideBid
    refusal: Refusal


def screen_all(
    answers: Sequence[OutsideAnswer],
    auction_ids: Sequence[str],
    views: Sequence[PageView],
    placement_start: NDArray[np.int32],
    currency: str,
    saw: Callable[[int, int, int, Refusal], None],
) -> tuple[list[ScreenedBid], list[tuple[int, int]]]:
    """Every outside bid with its verdict, and what has no bid to hang a verdict on.

    The latter are (page view, index into CODES): a bidder that was late or failed counts once for each page view it was
    asked about, a bid for a placement that was not offered once for its page view; a bid for another auction altogether
    is told to `saw` alone, among the bidder's bids.
    """
    if not answers:
        return [], []
    page_rows = {auction_id: row for row, auction_id in enumerate(auction_ids)}
    starts = placement_start.tolist()
    screened: list[ScreenedBid] = []
    loose: list[tuple[int, int]] = []
    for answer in answers:
        saw(answer.bidder, len(views), len(answer.bids), answer.trouble)
        if answer.trouble:
            loose += [(row, CODE_INDEX[answer.trouble]) for row in range(len(views))]
        for bid in answer.bids:
            row = page_rows.get(bid.auction_id)
            if row is None:
                continue
            place = _place_of(bid, views[row])
            if place < 0:
                loose.append((row, CODE_INDEX[Refusal.INVALID_BID]))
                continue
            refusal = refusal_of(bid, views[row].placements[place], currency)
            screened.append(ScreenedBid(answer.bidder, starts[row] + place, bid, refusal))
    return screened, loose


def _place_of(bid: OutsideBid, view: PageView) -> int:
    for index, placement in enumerate(view.placements):
        if placement.placement_id == bid.placement_id:
            return index
    return -1


def refusal_of(bid: OutsideBid, placement: Placement, currency: str) -> Refusal:
    """The first rule that refuses this bid at this placement, or WON (0) when it may take part."""
    if not _well_formed(bid):
        return Refusal.INVALID_BID
    if bid.currency != currency:
        return Refusal.WRONG_CURRENCY
    if bid.format not in {shape[0] for shape in placement.shapes}:
        return Refusal.FORMAT_NOT_ALLOWED
    if (bid.format, bid.width, bid.height) not in placement.shapes:
        return Refusal.SIZE_NOT_ALLOWED
    if bid.advertiser_domain in placement.blocked_advertisers:
        return Refusal.ADVERTISER_BLOCKED
    if bid.category in placement.blocked_categories:
        return Refusal.CATEGORY_BLOCKED
    return Refusal.WON


def _well_formed(bid: OutsideBid) -> bool:
    return (
        0 < bid.bid_micros <= ABSURD_PRICE_MICROS
        and _DOMAIN.fullmatch(bid.advertiser_domain) is not None
        and 0 < len(bid.markup) <= MARKUP_LIMIT_BYTES
        and 0 < len(bid.creative_id) <= _NAME_LIMIT
        and max(len(bid.bid_id), len(bid.category), len(bid.product_id), len(bid.seat)) <= _NAME_LIMIT
        and all(can_be_called(url) for url in (bid.win_url, bid.billing_url, bid.loss_url))
    )
