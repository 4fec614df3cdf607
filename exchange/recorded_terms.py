"""How was a batch cleared? What its record keeps of terms, deals and currencies, beside the bids themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from exchange.page_rules import USUAL
from ranking.kernel_cache import kernel
from streams.auction_block import OfferedDeal

if TYPE_CHECKING:
    from exchange.record import Held

_USUAL: Final = USUAL.limits(0)
_PAGE_RULES: Final = ("most_per_advertiser", "most_ads", "separate")


def recorded_terms(held: Held, bids: int, refused_ads: Callable[[], NDArray[np.int32]]) -> dict[str, Any]:
    """Columns of AuctionColumns; what most batches have no need of is left out.

    `bids` is how many are recorded: first those that were cleared, then `refused_ads` (rows of the snapshot).
    """
    terms = held.terms
    columns: dict[str, Any] = {"floor_micros": terms.floor_micros}
    own_floors = held.rows.bids.own_floor_micros
    own_rules, private, floors = _what_is_unusual(
        terms.most_per_advertiser, terms.most_ads, terms.separate, *_USUAL, terms.private_auction, own_floors
    )
    if own_rules:
        columns |= {name: getattr(terms, name).astype(np.uint32) for name in _PAGE_RULES}
    if private:
        columns["private_auction"] = terms.private_auction.astype(np.uint32)
    if floors:
        columns["bid_own_floor_plus_one"] = np.zeros(bids, np.int64)
        columns["bid_own_floor_plus_one"][: len(own_floors)] = own_floors + 1
    if len(terms.deal_floor_micros):
        columns |= _deals(held, bids)
    columns |= _currencies(held, bids, refused_ads)
    return columns


@kernel
def _what_is_unusual(of_most, of_ads, of_separate, most, ads, separate, private, floors):  # type: ignore[no-untyped-def]
    own_rules = False
    for page in range(of_most.shape[0]):
        own_rules |= of_most[page] != most or of_ads[page] != ads or of_separate[page] != separate
    any_private = False
    for placement in range(private.shape[0]):
        any_private |= private[placement] != 0
    any_floor = False
    for bid in range(floors.shape[0]):
        any_floor |= floors[bid] >= 0
    return own_rules, any_private, any_floor


def _deals(held: Held, bids: int) -> dict[str, Any]:
    terms = held.terms
    columns: dict[str, Any] = {}
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


def _currencies(held: Held, bids: int, refused_ads: Callable[[], NDArray[np.int32]]) -> dict[str, Any]:
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
    of_bid[cleared:] = of_ad[refused_ads()]
    return {
        "rate_table": held.rates.version,
        "currencies": list(numbers),
        "currency_rates": np.array([held.rates.factor(code, held.currency) for code in numbers], np.float64),
        "bid_currency": of_bid,
    }
