"""What does a replay need that the rest of the record does not say? Exact chances, who is whom, and sometimes money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from exchange.request import PriceRule

if TYPE_CHECKING:
    from exchange.record import Held

_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]
# How the record writes an account, an advertiser, a product or a category that is none.
NONE = 0xFFFFFFFF


def replay_inputs(held: Held) -> dict[str, Any]:
    """Columns of AuctionColumns by cleared bid; each a copy of an array of clearing, cut to 32 bits where it is a
    number of something.
    """
    bids = held.rows.bids
    u32 = np.uint32
    columns: dict[str, Any] = {
        "bid_chance": bids.click_probability,
        "bid_pricing": bids.pricing.astype(u32),
        "bid_advertiser": bids.advertiser.astype(u32),
        "bid_product": bids.product.astype(u32),
        "bid_category": bids.category.astype(u32),
    }
    if len(held.refused_before):
        columns["refused_before"] = held.refused_before.astype(u32)
    if held.available_micros is not None and (held.terms.price_rule == PriceRule.VCG).any():
        short = bids.placement[bids.outcome == _BUDGET]
        if (held.terms.price_rule[held.page_of_placement[short]] == PriceRule.VCG).any():
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
