"""How does a retargeting campaign bid? By how much this visitor cared for the product before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exchange.bidding import BidContext

# One click of the past is worth this share of the bid; `FULL_AFFINITY` of them all of it.
ONE_CLICK_SHARE_MILLIS = 700
FULL_AFFINITY = 3.0
# Below this the visitor has all but forgotten.
LEAST_AFFINITY = 0.1


class Retarget:
    """Bids by the visitor's affinity to the product; its targeting already needs consent and an affinity."""

    name = "retarget"
    strategy = 3

    def bid(self, context: BidContext) -> NDArray[np.int64]:
        """Between `ONE_CLICK_SHARE_MILLIS` thousandths and all of the standing bid; nothing below `LEAST_AFFINITY`."""
        affinity = np.minimum(np.maximum(context.match_weight.astype(np.float64), 0.0), FULL_AFFINITY)
        extra = (1000 - ONE_CLICK_SHARE_MILLIS) * np.maximum(affinity - 1.0, 0.0) / (FULL_AFFINITY - 1.0)
        share = ONE_CLICK_SHARE_MILLIS + extra.astype(np.int64)
        return np.where(affinity >= LEAST_AFFINITY, context.standing_bid_micros * share // 1000, 0)
