"""How much may be done in how little time? Buckets that fill as things are done and leak evenly, in whole microseconds.

A bucket is known by when it is empty again, one number, so that it can be kept anywhere and added to in one step.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MOST_BUCKETS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Use:
    """Something is done `times` times: it fills the bucket of `subject` and `what` by `cost_us` each.

    The bucket is full at `per_us`, and takes as long to be empty again. All above zero, `times * cost_us` below 2^52.
    """

    subject: str
    what: str
    per_us: int
    cost_us: int
    times: int = 1


class RateLimits(Protocol):
    """Buckets of many, which may be forgotten when they are empty. May be called from several threads."""

    def fill(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """Count what is done anyway: how full each bucket would be with it, in microseconds, above `per_us` when it is
        too much. What is too much fills the bucket and no more.
        """

    def admit(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """Count what there is room for: how many of the `times` of each."""


class MemoryRateLimits:
    """RateLimits of one process; of more than `most` buckets the one that was not used for the longest is forgotten."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._empty_at_us: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._changing = threading.Lock()

    def __len__(self) -> int:
        """How many buckets are known."""
        return len(self._empty_at_us)

    def fill(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """See RateLimits."""
        levels = []
        with self._changing:
            for use in uses:
                levels.append(self._level(use, now_us) + use.cost_us * use.times)
                self._put(use, now_us + min(levels[-1], use.per_us))
        return levels

    def admit(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """See RateLimits."""
        admitted = []
        with self._changing:
            for use in uses:
                level = self._level(use, now_us)
                admitted.append(min(use.times, (use.per_us - level) // use.cost_us))
                self._put(use, now_us + level + admitted[-1] * use.cost_us)
        return admitted

    def _level(self, use: Use, now_us: int) -> int:
        # A clock that was set back gives nothing, and takes nothing away.
        return min(max(self._empty_at_us.get((use.subject, use.what), 0) - now_us, 0), use.per_us)

    def _put(self, use: Use, empty_at_us: int) -> None:
        key = use.subject, use.what
        self._empty_at_us[key] = max(self._empty_at_us.get(key, 0), empty_at_us)
        self._empty_at_us.move_to_end(key)
        if len(self._empty_at_us) > self._most:
            self._empty_at_us.popitem(last=False)
