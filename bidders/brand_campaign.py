"""How does a brand campaign bid? What its advertiser offers, wherever its targeting lets it run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exchange.bidding import BidContext


class BrandCampaign:
    """Bids the standing bid."""

    name = "brand_campaign"
    strategy = 1

    def bid(self, context: BidContext) -> NDArray[np.int64]:
        """The standing bids as they are."""
        return context.standing_bid_micros
