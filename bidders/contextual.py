"""How does a contextual campaign bid? The more of the page is about its words, the nearer to its full bid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exchange.bidding import BidContext

# One word in common may be chance; with `LEAST_MATCH` words a page is worth this share of the bid, with `FULL_MATCH`
# all of it.
LEAST_MATCH = 2
LEAST_SHARE_MILLIS = 600
FULL_MATCH = 4


class Contextual:
    """Bids by the number of matching categories and keywords; nothing where fewer than `LEAST_MATCH` match."""

    name = "contextual"
    strategy = 2

    def bid(self, context: BidContext) -> NDArray[np.int64]:
        """Between `LEAST_SHARE_MILLIS` thousandths and all of the standing bid."""
        matches = np.minimum(context.match_weight, FULL_MATCH).astype(np.int64)
        step = (1000 - LEAST_SHARE_MILLIS) // (FULL_MATCH - LEAST_MATCH)
        share = LEAST_SHARE_MILLIS + step * (matches - LEAST_MATCH)
        return np.where(matches >= LEAST_MATCH, context.standing_bid_micros * share // 1000, 0)
