"""How much should an account have spent by now, and how fast should it spend? The plan of its day on its own curve.

The day's budget is what is left of the daily limit and of today's share of the total. It is laid over the hours in
which the account's traffic is expected, its hours of the week and its dates. What could not be spent earlier is laid
over what is left of the day, never faster than CATCH_UP times the even pace.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.campaign_days import day_of
from exchange.pacing_ports import PacedAccount
from exchange.traffic_curve import HOURS_OF_WEEK, QUARTER_MS, hours_between, quarters_of


class DayPlan(msgspec.Struct, frozen=True):
    """Where an account stands in its day: weights are expected traffic, in seconds of its mean rate.

    `rate` is the weight of a second now, 0 outside of its hours; `left` from now to the end of the day; `whole` of the
    day; `later` from tomorrow to the end of the flight, for accounts with a total. `until_ms`: when to plan again.
    """

    day: int
    hour: int
    rate: float
    left: float
    whole: float
    later: float
    until_ms: int


def day_plan(account: PacedAccount, rates: NDArray[np.float64], now_ms: int) -> DayPlan:
    """The plan at `now_ms` over `rates` (168,), the account's own curve."""
    day = day_of(now_ms, account.time_zone)
    first_ms, hours = quarters_of(day, account.time_zone)
    weights = open_rates(account, rates)[hours] * (QUARTER_MS / 1000)
    starts = first_ms + QUARTER_MS * np.arange(len(hours), dtype=np.int64)
    weights = weights * _share_within(account, starts)
    at = min(max((now_ms - first_ms) // QUARTER_MS, 0), len(hours) - 1)
    gone = (now_ms - first_ms) / QUARTER_MS - at
    left = float(weights[at] * (1.0 - min(max(gone, 0.0), 1.0)) + weights[at + 1 :].sum())
    later = 0.0
    end_ms = int(starts[-1]) + QUARTER_MS
    if account.total_micros and account.ends_at_ms > end_ms:
        begins_ms = max(end_ms, account.starts_at_ms)
        _, tomorrow = quarters_of(day_of(begins_ms, account.time_zone), account.time_zone)
        from_hour = int(tomorrow[0]) if begins_ms == end_ms else hour_at(begins_ms, account.time_zone)
        later = float(open_rates(account, rates) @ hours_between(from_hour, account.ends_at_ms - begins_ms))
    # Not all accounts plan in the same second.
    until_ms = min(int(starts[at]) + QUARTER_MS, now_ms + 60_000 + account.account * 7_919 % 60_000)
    rate = float(weights[at]) * 1000 / QUARTER_MS
    return DayPlan(day, int(hours[at]), rate, left, float(weights.sum()), later, until_ms)


def open_rates(account: PacedAccount, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve, 0 in hours of the week in which the account does not run."""
    if not account.hours_of_week:
        return rates
    runs = np.zeros(HOURS_OF_WEEK)
    runs[list(account.hours_of_week)] = 1.0
    return rates * runs


def hour_at(at_ms: int, time_zone: str) -> int:
    """The hour of the week at a moment, in a time zone."""
    first_ms, hours = quarters_of(day_of(at_ms, time_zone), time_zone)
    return int(hours[min(max((at_ms - first_ms) // QUARTER_MS, 0), len(hours) - 1)])


def _share_within(account: PacedAccount, starts_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Which part of each quarter lies within the account's dates."""
    first = np.maximum(starts_ms, account.starts_at_ms)
    last = np.minimum(starts_ms + QUARTER_MS, account.ends_at_ms or (1 << 62))
    return np.clip((last - first) / QUARTER_MS, 0.0, 1.0)
