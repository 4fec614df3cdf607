"""When does the traffic of a campaign come? Rates by hour of the week, learned as it comes, flat until it is known.

An hour of the week is shrunk towards the same hour of any day, and that towards the account's mean, each by what one
hour of watching is worth: an hour that was never watched counts as an ordinary one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

HOURS_OF_WEEK = 168
QUARTER_MS = 900_000
# What the prior weighs, in seconds of watching.
_PRIOR_S = 3_600.0
# What was watched counts half after four weeks.
_HALF_LIFE_S = 28 * 86_400.0
_DECAY_EVERY_S = 3_600.0


class TrafficCurves:
    """Counts of auctions by account (rows) and hour of the week."""

    def __init__(self, rows: int = 0) -> None:
        self.met = np.zeros((rows, HOURS_OF_WEEK))
        self.seconds = np.zeros((rows, HOURS_OF_WEEK))
        self._since_decay_s = 0.0

    def resize(self, rows: int) -> None:
        """Room for so many rows; new ones know nothing."""
        more = rows - len(self.met)
        if more > 0:
            self.met = np.concatenate([self.met, np.zeros((more, HOURS_OF_WEEK))])
            self.seconds = np.concatenate([self.seconds, np.zeros((more, HOURS_OF_WEEK))])

    def add(self, rows: NDArray[np.int64], hours: NDArray[np.int64], met: NDArray[np.float64], seconds: float) -> None:
        """So many auctions were met by these rows (each once) within `seconds` of their hour of the week."""
        self.met[rows, hours] += met
        self.seconds[rows, hours] += seconds
        self._since_decay_s += seconds
        if self._since_decay_s >= _DECAY_EVERY_S:
            kept = 0.5 ** (self._since_decay_s / _HALF_LIFE_S)
            self.met *= kept
            self.seconds *= kept
            self._since_decay_s = 0.0

    def rates(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Relative traffic of each hour of the week, (rows, 168), above zero and with a mean near 1."""
        met, seconds = self.met[rows], self.seconds[rows]
        watched = seconds.sum(axis=1)
        known = watched > 0
        mean = np.where(known, met.sum(axis=1) / np.where(known, watched, 1.0), 0.0)
        mean = np.where(mean > 0, mean, 1.0)[:, None]
        day_met = met.reshape(-1, 7, 24).sum(axis=1)
        day_seconds = seconds.reshape(-1, 7, 24).sum(axis=1)
        by_hour = (day_met + _PRIOR_S * mean) / (day_seconds + _PRIOR_S)
        prior = np.tile(by_hour, (1, 7))
        rates = (met + _PRIOR_S * prior) / (seconds + _PRIOR_S)
        # Nothing at all is never expected: a plan must have some time left to spend in.
        return np.maximum(rates / mean, 0.001)


@lru_cache(maxsize=1024)
def quarters_of(day: int, time_zone: str) -> tuple[int, NDArray[np.int64]]:
    """(when the day begins in UTC ms, the hour of the week of each of its quarters of an hour, not to be changed).

    `day` as exchange.campaign_days counts. A day has 92, 96 or 100 quarters where clocks are changed by an hour.
    """
    zone = ZoneInfo(time_zone)
    first = _midnight_ms(date.fromordinal(day), zone)
    end = _midnight_ms(date.fromordinal(day) + timedelta(days=1), zone)
    hours = []
    for at_ms in range(first, end, QUARTER_MS):
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
        hours.append(local.weekday() * 24 + local.hour)
    return first, np.array(hours, np.int64)


def hours_between(first_hour: int, length_ms: int) -> NDArray[np.float64]:
    """How many seconds of each hour of the week lie in `length_ms` from the beginning of `first_hour` on."""
    whole, rest = divmod(max(length_ms, 0) / 1000.0, HOURS_OF_WEEK * 3600.0)
    seconds = np.full(HOURS_OF_WEEK, whole * 3600.0)
    full, part = divmod(rest, 3600.0)
    seconds[(first_hour + np.arange(int(full))) % HOURS_OF_WEEK] += 3600.0
    seconds[(first_hour + int(full)) % HOURS_OF_WEEK] += part
    return seconds


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    # Where midnight is skipped, `fold` 0 names the moment of the change: the day begins there.
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)
