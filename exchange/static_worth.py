"""What is a standing bid worth before anything is known of the page view? The order in which standing bids are met."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from exchange.ports import LineItemRecord, Ranker
from exchange.request import PricingModel
from exchange.viewable_rates import PRIOR

# A conversion follows this share of clicks until the exchange has counted its own.
CONVERSION_PRIOR = 0.02


def static_worth(
    bids: NDArray[np.float64],
    pricing: NDArray[np.uint8],
    rate: NDArray[np.float64],
    *,
    viewable_rate: float,
    engagement_value_micros: int,
) -> NDArray[np.int64]:
    """Bid × prior in micros per thousand impressions, with what clicks are worth to the shop itself; all arrays have
    one entry for each standing bid, `rate` is the prior chance of a click.
    """
    per_click = bids * rate * 1000
    worth = np.select(
        [pricing == PricingModel.CPM, pricing == PricingModel.CPC, pricing == PricingModel.VCPM],
        [bids, per_click, bids * viewable_rate],
        per_click * CONVERSION_PRIOR,
    )
    return (worth + rate * (1000 * engagement_value_micros)).astype(np.int64)


class StaticWorths:
    """The worth of line items outside of a snapshot, as a snapshot that is compiled at this moment would have it."""

    def __init__(
        self,
        *,
        ranker: Ranker,
        rate_of: Callable[[str], float] = lambda _: 1.0,
        viewable_rate: Callable[[], float] = lambda: PRIOR,
        engagement_value_micros: int = 0,
    ) -> None:
        self._ranker = ranker
        self._rate_of = rate_of
        self._viewable_rate = viewable_rate
        self._engagement_value_micros = engagement_value_micros

    def __call__(self, records: Sequence[LineItemRecord]) -> list[list[int]]:
        """For each line item the worth of each of its creatives, in their order."""
        pairs = [(record, creative) for record in records for creative in record.creatives]
        if not pairs:
            return [[] for _ in records]
        worth = static_worth(
            np.array([record.bid_micros * self._rate_of(record.currency) for record, _ in pairs], np.float64),
            np.array([record.pricing_model for record, _ in pairs], np.uint8),
            np.asarray(self._ranker.prior([creative.product_id for _, creative in pairs]))[:, 0],
            viewable_rate=self._viewable_rate(),
            engagement_value_micros=self._engagement_value_micros,
        ).tolist()
        ends = np.cumsum([len(record.creatives) for record in records]).tolist()
        return [worth[end - len(record.creatives) : end] for record, end in zip(records, ends, strict=True)]
