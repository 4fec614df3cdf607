"""How many page views may a bidder still be sent this second? Its quota, of this process or of all nodes together."""

from __future__ import annotations

from typing import Final, Protocol

from common.clock import Clock
from common.rate_limits import RateLimits, Use

_SECOND_NS: Final = 1_000_000_000
_SECOND_US: Final = 1_000_000
# A node takes a twentieth of a second's worth at a time: so seldom it asks, and so much may lie idle.
_PARTS: Final = 20


class Quota(Protocol):
    """Page views of one bidder, a second's worth at once at most. Runs on one thread."""

    def take(self, wanted: int, now_ns: int) -> int:
        """How many of them it may be sent, from now on counted; `now_ns` is of the monotonic clock."""


class OwnQuota:
    """Quota of one process: a bucket that holds a second's worth."""

    def __init__(self, page_views_per_s: int) -> None:
        self._per_s = page_views_per_s
        self._tokens = float(page_views_per_s)
        self._filled_at_ns = 0

    def take(self, wanted: int, now_ns: int) -> int:
        """See Quota."""
        passed_ns = max(now_ns - self._filled_at_ns, 0) if self._filled_at_ns else 0
        self._filled_at_ns = now_ns
        self._tokens = min(self._tokens + self._per_s * passed_ns / _SECOND_NS, float(self._per_s))
        may = min(int(self._tokens), wanted)
        self._tokens -= may
        return may


class SharedQuota:
    """Quota of all nodes together: parts of it are taken from `rates` when they are needed, and lapse after a second.

    Where nothing was left nobody asks again before a part can have come back.
    """

    def __init__(self, bidder: str, page_views_per_s: int, rates: RateLimits, clock: Clock) -> None:
        self._bidder = bidder
        self._rates = rates
        self._clock = clock
        self._part = max(page_views_per_s // _PARTS, 1)
        # Rounded up: together they are never sent more.
        self._part_us = -(-self._part * _SECOND_US // page_views_per_s)
        self._left = 0
        self._taken_at_ns = 0
        self._not_before_ns = 0

    def take(self, wanted: int, now_ns: int) -> int:
        """See Quota."""
        if now_ns - self._taken_at_ns > _SECOND_NS:
            self._left = 0
        if wanted > self._left and now_ns >= self._not_before_ns:
            parts = -(-(wanted - self._left) // self._part)
            use = Use(f"bidder {self._bidder}", "page views", _SECOND_US, self._part_us, parts)
            (admitted,) = self._rates.admit([use], self._clock.now_ms() * 1_000)
            self._left += admitted * self._part
            self._taken_at_ns = now_ns
            if admitted < parts:
                self._not_before_ns = now_ns + self._part_us * 1_000
        may = min(wanted, self._left)
        self._left -= may
        return may
