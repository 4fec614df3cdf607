"""How does a look-alike campaign bid? By how much this visitor cared for products like its own, and how like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exchange.bidding import BidContext

# Somebody who looked at something like it is worth less than somebody who looked at it: one click on its very twin is
# worth this share of the bid, `FULL_MATCH` of them all of it.
ONE_CLICK_SHARE_MILLIS = 500
FULL_MATCH = 3.0
# Below this the visitor has all but forgotten.
LEAST_MATCH = 0.1


class LookAlike:
    """Bids by affinity times similarity; its targeting already needs consent and a product that is near its own."""

    name = "look_alike"
    strategy = 4

    def bid(self, context: BidContext) -> NDArray[np.int64]:
        """Up to `ONE_CLICK_SHARE_MILLIS` thousandths of the standing bid for one click, from there up to all of it;
        nothing below `LEAST_MATCH`.
        """
        match = np.clip(context.match_weight.astype(np.float64), 0.0, FULL_MATCH)
        extra = (1000 - ONE_CLICK_SHARE_MILLIS) * np.maximum(match - 1.0, 0.0) / (FULL_MATCH - 1.0)
        share = (ONE_CLICK_SHARE_MILLIS * np.minimum(match, 1.0) + extra).astype(np.int64)
        return np.where(match >= LEAST_MATCH, context.standing_bid_micros * share // 1000, 0)
