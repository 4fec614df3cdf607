"""What would a bid have had to be? OpenRTB 2.6 §4.4.1, worked out of a cleared batch when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from exchange.clearing import Bids
from exchange.clearing_terms import ClearingTerms
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from exchange.request import PriceRule, PricingModel

_WON = CODE_INDEX[Refusal.WON]
_RIVALS = (CODE_INDEX[Refusal.LOST_TO_HIGHER_BID], CODE_INDEX[Refusal.LOST_TO_DEAL])
# Price decided on these; all other refusals have nothing to do with it, and are told nothing.
_BY_PRICE = frozenset(
    CODE_INDEX[code] for code in (Refusal.LOST_TO_HIGHER_BID, Refusal.BELOW_FLOOR, Refusal.BELOW_DEAL_FLOOR)
)


def min_to_win(
    bids: Bids,
    terms: ClearingTerms,
    winners: NDArray[np.int32],
    rows: Iterable[int],
    *,
    engagement_value_micros: int,
    conversion_rate: float,
) -> list[int]:
    """For each of `rows` of a batch that `clear` has filled in: the least bid to win, 0 where nothing is told.

    In micros per unit of the bid's pricing model and in its own currency, as the bid is. A winner sees what ties with
    the next bid, or the floor without one; under VCG its price, which is that already. Who lost by its price, or stood
    below the floor, sees what ties with the winner: its bid at first price, else what it pays; the floor where nobody
    won. Refused for another reason, or outranked by a guaranteed deal: 0.
    """
    asking = _Asking(bids, terms, winners, engagement_value_micros, conversion_rate)
    return [asking.of(row) for row in rows]


class _Asking:
    def __init__(
        self, bids: Bids, terms: ClearingTerms, winners: NDArray[np.int32], engagement: int, conversion_rate: float
    ) -> None:
        self._bids, self._terms, self._winners = bids, terms, winners
        self._engagement, self._conversion_rate = engagement, conversion_rate

    def of(self, row: int) -> int:
        bids = self._bids
        outcome = int(bids.outcome[row])
        if outcome == _WON:
            return self._won(row)
        winner = int(self._winners[bids.placement[row]])
        if outcome not in _BY_PRICE or (winner >= 0 and self._guaranteed(winner) and not self._guaranteed(row)):
            return 0
        if winner < 0:
            return self._in_own_units(row, self._floor(row))
        if self._rule(winner) == PriceRule.FIRST_PRICE:
            to_tie = float(bids.ecpm_micros[winner])
        else:
            to_tie = float(bids.price_micros[winner]) * self._weight(winner)
        return self._in_own_units(row, max(self._floor(row), to_tie + self._gain(winner) - self._gain(row)))

    def _won(self, row: int) -> int:
        bids = self._bids
        if self._rule(row) == PriceRule.VCG:
            return int(bids.price_micros[row])
        others = np.nonzero((bids.placement == bids.placement[row]) & np.isin(bids.outcome, _RIVALS))[0].tolist()
        needed = self._floor(row)
        if self._guaranteed(row):
            others = [other for other in others if self._guaranteed(other)]
        for other in others:
            needed = max(needed, float(bids.ecpm_micros[other]) + self._gain(other) - self._gain(row))
        return min(self._in_own_units(row, needed), int(bids.bid_micros[row]))

    def _rule(self, row: int) -> int:
        deal = self._deal(row)
        own = int(self._terms.deal_price_rule[deal]) if deal >= 0 else 0
        return own or int(self._terms.price_rule[self._page(row)])

    def _page(self, row: int) -> int:
        return int(np.searchsorted(self._terms.placement_start, self._bids.placement[row], side="right")) - 1

    def _deal(self, row: int) -> int:
        index = int(self._bids.deal[row])
        return int(self._terms.deal_start[self._bids.placement[row]]) + index if index >= 0 else -1

    def _guaranteed(self, row: int) -> bool:
        deal = self._deal(row)
        return deal >= 0 and bool(self._terms.deal_guaranteed[deal])

    def _floor(self, row: int) -> float:
        if (own := int(self._bids.own_floor_micros[row])) >= 0:
            return float(own)
        deal = self._deal(row)
        if deal >= 0:
            return float(self._terms.deal_floor_micros[deal])
        return float(self._terms.floor_micros[self._bids.placement[row]])

    def _gain(self, row: int) -> float:
        """What the shop itself gains from it, per thousand impressions; stays out of VCG, as in clearing."""
        if self._terms.price_rule[self._page(row)] == PriceRule.VCG:
            return 0.0
        return self._engagement * float(self._bids.click_probability[row]) * 1000.0

    def _weight(self, row: int) -> float:
        """Auction micros per thousand impressions for one micro of the bid."""
        rate, chance = float(self._bids.rate[row]), float(self._bids.click_probability[row])
        if self._bids.pricing[row] == PricingModel.CPM:
            return rate
        if self._bids.pricing[row] == PricingModel.VCPM:
            return rate * float(self._bids.viewable[row])
        return (
            1000.0 * rate * (chance if self._bids.pricing[row] == PricingModel.CPC else chance * self._conversion_rate)
        )

    def _in_own_units(self, row: int, per_mille: float) -> int:
        weight = self._weight(row)
        return max(int(np.ceil(per_mille / weight)), 1) if weight > 0.0 else 0
