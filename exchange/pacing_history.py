"""When did traffic come before this process began? Curves of accounts out of recorded auctions.

The record names the best bids of each placement and the first few refused ones, so what it says of an account is a
shape, not a volume: TrafficCurves.believe takes it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from exchange.pacing_plan import hour_at
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.traffic_curve import HOURS_OF_WEEK
from streams.auction_block import AuctionColumns

_HOUR_MS = 3_600_000

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


class PacingHistory:
    """Auctions by account and hour since 1970; `campaign_of` gives the campaign's number of a line item's."""

    def __init__(self, campaign_of: Mapping[int, int]) -> None:
        self._campaign_of = campaign_of
        self._met: dict[int, dict[int, int]] = {}
        # Hours in which the log holds anything at all: in the others nobody was watching.
        self._hours: set[int] = set()

    def count(self, batches: Iterable[AuctionColumns]) -> None:
        """Count the recorded bids of inside line items, whatever came of them."""
        for columns in batches:
            hour = columns.held_at_ms // _HOUR_MS
            self._hours.add(hour)
            numbers, counts = np.unique(columns.bid_line_item[columns.bid_line_item > 0], return_counts=True)
            for number, times in zip(numbers.tolist(), counts.tolist(), strict=True):
                campaign = self._campaign_of.get(number)
                if campaign is None:
                    continue
                for account in (number, campaign + CAMPAIGN_ACCOUNTS):
                    hours = self._met.setdefault(account, {})
                    hours[hour] = hours.get(hour, 0) + times

    def curve(self, account: int, time_zone: str) -> Curve | None:
        """(auctions, seconds watched) by hour of the week in a time zone; None when nothing is known of the account."""
        hours = self._met.get(account)
        if not hours:
            return None
        met, seconds = np.zeros(HOURS_OF_WEEK), np.zeros(HOURS_OF_WEEK)
        for hour in self._hours:
            of_week = _hour_of_week(hour, time_zone)
            met[of_week] += hours.get(hour, 0)
            seconds[of_week] += 3_600.0
        return met, seconds


@lru_cache(maxsize=20_000)
def _hour_of_week(hour: int, time_zone: str) -> int:
    return hour_at(hour * _HOUR_MS + _HOUR_MS // 2, time_zone)
