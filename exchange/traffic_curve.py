"""When does the traffic of a campaign come? Rates by hour of the week, learned as it comes, flat until it is known.

An hour of the week is shrunk towards the same hour of any day, and that towards the account's mean, each by what a
quarter of an hour of watching is worth: an hour that was never watched counts as an ordinary one.
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
_PRIOR_S = 900.0
# What the record of the days before the start weighs.
_RECORD_S = 3_600.0
# Nothing at all is never expected: a plan must have some time left to spend in.
_LEAST = 0.001
# What was watched counts half after four weeks.
_HALF_LIFE_S = 28 * 86_400.0
_DECAY_EVERY_S = 3_600.0


class TrafficCurves:
    """Counts of auctions by account (rows) and hour of the week, and the shape that is believed before."""

    def __init__(self, rows: int = 0) -> None:
        self.met = np.zeros((rows, HOURS_OF_WEEK))
        self.seconds = np.zeros((rows, HOURS_OF_WEEK))
        # Means of 1; flat unless something is known from before, and how many seconds of watching that is worth.
        self.shape = np.ones((rows, HOURS_OF_WEEK))
        self.belief_s = np.full(rows, _PRIOR_S)
        self._since_decay_s = 0.0

    def taken_over(self, kept: NDArray[np.int64]) -> TrafficCurves:
        """Curves of other rows: row i is what row `kept[i]` was here, new where that is below 0."""
        other = TrafficCurves(len(kept))
        old = kept >= 0
        for name in ("met", "seconds", "shape", "belief_s"):
            getattr(other, name)[old] = getattr(self, name)[kept[old]]
        return other

    def believe(self, row: int, met: NDArray[np.float64], seconds: NDArray[np.float64]) -> None:
        """What is known of a row from the record (168 hours): a shape, and no more than a shape."""
        watched = float(seconds.sum())
        if watched <= 0 or met.sum() <= 0:
            return
        mean = float(met.sum()) / watched
        self.shape[row] = (met + _PRIOR_S * mean) / (seconds + _PRIOR_S) / mean
        self.belief_s[row] = _RECORD_S

    def add(
        self,
        rows: NDArray[np.int64],
        hours: NDArray[np.int64],
        met: NDArray[np.float64],
        watched_s: NDArray[np.float64],
        passed_s: float,
    ) -> None:
        """So many auctions were met by these rows (each once) within what counts as `watched_s` of their hour of the
        week; `passed_s` have passed.
        """
        self.met[rows, hours] += met
        self.seconds[rows, hours] += watched_s
        self._since_decay_s += passed_s
        if self._since_decay_s >= _DECAY_EVERY_S:
            kept = 0.5 ** (self._since_decay_s / _HALF_LIFE_S)
            self.met *= kept
            self.seconds *= kept
            self._since_decay_s = 0.0

    def mean_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Auctions a second of these rows over the whole week, 0 before an hour was watched."""
        expected = np.einsum("rh,rh->r", self.seconds[rows], self.shape[rows])
        known = expected >= _DECAY_EVERY_S
        return np.asarray(np.where(known, self.met[rows].sum(axis=1) / np.where(known, expected, 1.0), 0.0))

    def rates(self, row: int) -> NDArray[np.float64]:
        """Relative traffic of each hour of the week, (168,), above zero and with a mean near 1."""
        met, seconds, shape, belief_s = self.met[row], self.seconds[row], self.shape[row], self.belief_s[row]
        expected = float(seconds @ shape)
        mean = float(met.sum()) / expected if expected > 0 else 0.0
        if mean <= 0:
            return np.asarray(np.maximum(shape, _LEAST))
        by_day = shape.reshape(7, 24).mean(axis=0)
        by_hour = (met.reshape(7, 24).sum(axis=0) + belief_s * mean * by_day) / (
            seconds.reshape(7, 24).sum(axis=0) + belief_s
        )
        prior = np.tile(by_hour / by_day, 7) * shape
        return np.asarray(np.maximum((met + belief_s * prior) / (seconds + belief_s) / mean, _LEAST))


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
