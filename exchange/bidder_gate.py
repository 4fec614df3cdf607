"""May this bidder be asked now, and about how much? Quota, breaker, and a share of its traffic that follows its health.

Health is the smoothed share of requests that were answered well and in time. A bidder that does well gets all of its
traffic, one that does badly less of it, never below a probing share. After a run of failures the breaker opens: nothing
is sent for a while, then a single page view, which closes it again when it goes well. A call is one request where a
bidder takes the batch at once, and one for each page view where it takes them singly.
"""

from __future__ import annotations

from typing import Final

from exchange.bidder_quota import OwnQuota, Quota
from exchange.bidder_terms import BidderTerms

_SECOND_NS: Final = 1_000_000_000
# A request counts this much in the smoothed share: some thirty make an opinion.
_WEIGHT: Final = 1 / 32
# At and above this health everything is sent.
GOOD_HEALTH: Final = 0.9
FAILURES_TO_OPEN: Final = 16
FIRST_PAUSE_NS: Final = _SECOND_NS
LONGEST_PAUSE_NS: Final = 30 * _SECOND_NS


class BidderGate:
    """Decides for one bidder; all times are of the monotonic clock, in nanoseconds. Runs on one thread.

    `quota` is one that is shared with other nodes; without it the terms' own holds for this process.
    """

    def __init__(self, terms: BidderTerms, quota: Quota | None = None) -> None:
        self._terms = terms
        own = OwnQuota(terms.page_views_per_s) if terms.page_views_per_s else None
        self._quota = quota if quota is not None else own
        self.health = 1.0
        self.in_flight = 0
        # Page views that were left out, by why: "quota", "breaker", "throttle", "in_flight".
        self.left_out: dict[str, int] = {"quota": 0, "breaker": 0, "throttle": 0, "in_flight": 0}
        self._failures = 0
        self._pause_ns = FIRST_PAUSE_NS
        self._closed_until_ns = 0
        self._probing = False

    @property
    def share(self) -> float:
        """The part of its traffic that it gets now."""
        return 1.0 if self.health >= GOOD_HEALTH else max(self._terms.least_share, self.health / GOOD_HEALTH)

    @property
    def open(self) -> bool:
        """Has the breaker cut it off?"""
        return self._failures >= FAILURES_TO_OPEN

    def admit(self, chances: list[float], now_ns: int) -> list[int]:
        """Which of so many page views are sent, as indices; `chances` are uniform on [0, 1), one for each.

        Call `sent` when the call goes out and `saw` when it ends.
        """
        if not chances:
            return []
        if self.in_flight >= self._terms.most_in_flight:
            return self._leave_out("in_flight", len(chances))
        if self.open:
            if now_ns < self._closed_until_ns or self._probing:
                return self._leave_out("breaker", len(chances))
            self._probing = True
            self._leave_out("breaker", len(chances) - 1)
            return [0]
        share = self.share
        kept = [at for at, chance in enumerate(chances) if chance < share]
        self.left_out["throttle"] += len(chances) - len(kept)
        return self._within_quota(kept, now_ns)

    def sent(self) -> None:
        """A call went out."""
        self.in_flight += 1

    def left(self) -> None:
        """Nobody waits for a call any more: its answer could not matter."""
        self.in_flight -= 1
        self._probing = False

    def saw(self, well: int, badly: int, now_ns: int) -> None:
        """A call ended, of which so many requests were answered well and in time, and so many were late, failed or were
        answered with rubbish. They were under way together, so one that went well ends a run of failures.
        """
        self.in_flight -= 1
        requests = well + badly
        self.health += (1 - (1 - _WEIGHT) ** requests) * (well / requests - self.health)
        if well:
            self._failures, self._pause_ns, self._probing = 0, FIRST_PAUSE_NS, False
            return
        self._failures += badly
        if not self.open:
            return
        if self._probing:
            self._pause_ns = min(2 * self._pause_ns, LONGEST_PAUSE_NS)
        self._probing = False
        self._closed_until_ns = now_ns + self._pause_ns

    def _within_quota(self, kept: list[int], now_ns: int) -> list[int]:
        if self._quota is None:
            return kept
        may = self._quota.take(len(kept), now_ns)
        self.left_out["quota"] += len(kept) - may
        return kept[:may]

    def _leave_out(self, why: str, count: int) -> list[int]:
        self.left_out[why] += count
        return []
