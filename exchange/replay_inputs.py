"""What does a replay need that the rest of the record does not say? Exact chances, who is whom, and sometimes money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exchange.eligibility import CODE_INDEX
from exchange.packed_bids import NONE, ClearedBids, packed
from exchange.refusals import Refusal
from exchange.request import PriceRule, PricingModel

if TYPE_CHECKING:
    from exchange.record import Held

_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]
# Plain integers: an array compares with an enum's member in twice the time.
_VCPM = int(PricingModel.VCPM)
_VCG = int(PriceRule.VCG)


def replay_inputs(held: Held, line_item: NDArray[np.uint32], creative: NDArray[np.uint32]) -> dict[str, Any]:
    """Columns of AuctionColumns; `line_item` and `creative` by recorded bid, the cleared ones first."""
    bids = held.rows.bids
    cleared = len(bids.placement)
    told = ClearedBids(bids.click_probability, bids.pricing, bids.advertiser, bids.product, bids.category)
    columns = packed(line_item[:cleared], creative[:cleared], told)
    by_view = np.flatnonzero(bids.pricing == _VCPM)
    if len(by_view):
        viewable = np.ones(len(held.winners), np.float64)
        viewable[bids.placement[by_view]] = bids.viewable[by_view]
        columns["placement_viewable"] = viewable
    if len(held.refused_before):
        columns["refused_before"] = held.refused_before.astype(np.uint32)
    if held.available_micros is not None and (held.terms.price_rule == _VCG).any():
        short = bids.placement[bids.outcome == _BUDGET]
        if (held.terms.price_rule[held.page_of_placement[short]] == _VCG).any():
            columns |= _money(held, held.available_micros)
    return columns


def _money(held: Held, after: NDArray[np.int64]) -> dict[str, Any]:
    """What the accounts had: what they have, and what was reserved. Nothing else has run in between."""
    bids = held.rows.bids
    inside = bids.account >= 0
    accounts = np.unique(np.concatenate([bids.account[inside], bids.campaign_account[inside]]))
    available = after[accounts]
    columns = {}
    for name, of in (("bid_account", bids.account), ("bid_campaign_account", bids.campaign_account)):
        index = np.searchsorted(accounts, of[inside])
        np.add.at(available, index, bids.reserved_micros[inside])
        columns[name] = np.full(len(of), NONE, np.uint32)
        columns[name][inside] = index
    return {**columns, "available_micros": available}
