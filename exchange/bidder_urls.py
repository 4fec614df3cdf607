"""What are outside bidders to be told of this batch? Their URLs, with what the auction knows filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.bidding import OutsideBid
from exchange.eligibility import CODES
from exchange.notice_urls import BidFacts, in_url
from exchange.request import PageView

# What a bid would have had to be to win, in micros per thousand impressions, by row of the bids; None is not known.
# The least that each of these rows had to bid to win, in its own currency; 0 where nothing is told.
MinToWin = Callable[[Sequence[int]], Sequence[int]]


class BidderUrls(msgspec.Struct, frozen=True):
    """Of one bid: at the win, at billing (its macro for the impression's time is still there), at the loss."""

    win: str = ""
    billing: str = ""
    loss: str = ""


def bidder_urls(
    rows: BidRows,
    views: Sequence[PageView],
    auction_ids: Sequence[str],
    placement_start: NDArray[np.int32],
    min_to_win: MinToWin,
) -> dict[int, BidderUrls]:
    """By row of the bids, for those that brought URLs: a winner's win and billing, a loser's loss."""
    if not any(screened.bid.tells for screened in rows.outside):
        return {}
    urls: dict[int, BidderUrls] = {}
    bids = rows.bids
    telling = [row for row in np.nonzero(rows.ad < 0)[0].tolist() if _bid(rows, row).tells]
    for row, least in zip(telling, min_to_win(telling), strict=True):
        bid = _bid(rows, row)
        place = int(bids.placement[row])
        page = int(np.searchsorted(placement_start, place, side="right")) - 1
        facts = bid_facts(
            bid, auction_ids[page], bid.currency, test=views[page].test, outcome=int(CODES[int(bids.outcome[row])]),
            price_micros=int(bids.price_micros[row]), min_to_win_micros=least or None,
        )  # fmt: skip
        if facts.loss == 0:
            urls[row] = BidderUrls(
                win=in_url(bid.win_url, facts), billing=in_url(bid.billing_url, facts, keep_impression_time=True)
            )
        else:
            urls[row] = BidderUrls(loss=in_url(bid.loss_url, facts))
    return urls


def _bid(rows: BidRows, row: int) -> OutsideBid:
    return rows.outside[-1 - int(rows.ad[row])].bid


def bid_facts(
    bid: OutsideBid,
    auction_id: str,
    currency: str,
    *,
    test: bool,
    outcome: int,
    price_micros: int,
    min_to_win_micros: int | None = None,
) -> BidFacts:
    """What the macros of one bid are replaced by; a loser is told no price but that which it takes to win."""
    return BidFacts(
        auction_id=auction_id,
        imp_id=bid.placement_id,
        bid_id=bid.bid_id,
        seat=bid.seat,
        creative_id=bid.creative_id,
        currency=currency,
        bid_micros=bid.bid_micros,
        price_micros=price_micros if outcome == 0 else None,
        loss=outcome,
        min_to_win_micros=min_to_win_micros,
        test=test,
    )
