"""How was a batch cleared? What its record keeps of terms, deals and currencies, beside the bids themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exchange.page_rules import USUAL
from streams.auction_block import OfferedDeal

if TYPE_CHECKING:
    from exchange.record import Held


def recorded_terms(held: Held, bids: int, refused_ads: NDArray[np.int32]) -> dict[str, Any]:
    """Columns of AuctionColumns; what most batches have no need of is left out.

    `bids` is how many are recorded: first those that were cleared, then `refused_ads` (rows of the snapshot).
    """
    columns: dict[str, Any] = {"floor_micros": held.terms.floor_micros}
    return columns | _page_rules(held) | _deals(held, bids) | _currencies(held, bids, refused_ads)


def _page_rules(held: Held) -> dict[str, Any]:
    terms = held.terms
    most, ads, separate = USUAL.limits(0)
    if (
        (terms.most_per_advertiser == most).all()
        and (terms.most_ads == ads).all()
        and (terms.separate == separate).all()
    ):
        return {}
    names = ("most_per_advertiser", "most_ads", "separate")
    return {name: getattr(terms, name).astype(np.uint32) for name in names}


def _deals(held: Held, bids: int) -> dict[str, Any]:
    terms = held.terms
    columns: dict[str, Any] = {}
    if terms.private_auction.any():
        columns["private_auction"] = terms.private_auction.astype(np.uint32)
    if not len(terms.deal_floor_micros):
        return columns
    of_bid = held.rows.bids.deal
    if (of_bid >= 0).any():
        columns["bid_deal_plus_one"] = np.zeros(bids, np.uint32)
        columns["bid_deal_plus_one"][: len(of_bid)] = of_bid + 1
    ids = (deal.deal_id for view in held.views for placement in view.placements for deal in placement.deals)
    place = np.repeat(np.arange(len(terms.floor_micros)), np.diff(terms.deal_start)).tolist()
    facts = (terms.deal_floor_micros.tolist(), terms.deal_price_rule.tolist(), terms.deal_guaranteed.tolist())
    columns["deals"] = [
        OfferedDeal(at, deal_id, floor, rule, bool(guaranteed))
        for at, deal_id, floor, rule, guaranteed in zip(place, ids, *facts, strict=True)
    ]
    return columns


def _currencies(held: Held, bids: int, refused_ads: NDArray[np.int32]) -> dict[str, Any]:
    views = {view.currency for view in held.views if view.currency} - {held.currency}
    if not held.foreign and not views:
        return {}
    snapshot, rows = held.snapshot, held.rows
    numbers = {held.currency: 0}
    of_snapshot = [numbers.setdefault(code, len(numbers)) for code in snapshot.currencies]
    # An unknown currency of a refused bid has no rate; it stands in the bid's own facts.
    of_outside = [
        numbers.setdefault(s.bid.currency, len(numbers)) if held.rates.rate(s.bid.currency, held.currency) else 0
        for s in rows.outside
    ]
    for code in sorted(views):
        numbers.setdefault(code, len(numbers))
    of_ad = np.array(of_snapshot, np.uint32)[snapshot.item_currency[snapshot.book.ad_item]]
    of_bid = np.zeros(bids, np.uint32)
    cleared = len(rows.ad)
    inside = rows.ad >= 0
    of_bid[:cleared][inside] = of_ad[rows.ad[inside]]
    of_bid[:cleared][~inside] = np.array(of_outside, np.uint32)[-1 - rows.ad[~inside]]
    of_bid[cleared:] = of_ad[refused_ads]
    return {
        "rate_table": held.rates.version,
        "currencies": list(numbers),
        "currency_rates": np.array([held.rates.factor(code, held.currency) for code in numbers], np.float64),
        "bid_currency": of_bid,
    }
