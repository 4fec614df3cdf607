"""Rate limits in Redis, for all nodes: what somebody does at several of them counts together.

All buckets of a subject are one hash, filled by one call of a script; a batch is one round trip. While Redis is away
each node goes by what it has seen itself, and everything fills a bucket as often as there are nodes: together they
allow no more than one did, but for one use that each allows. Keys are digests, so nobody is named in them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from backends.redis_connection import Call, RedisConnection
from common.errors import BackendUnavailable
from common.rate_limits import MOST_BUCKETS, MemoryRateLimits, Use

# Arguments of a script; more buckets of one subject are a mistake.
_MOST_OF_ONE: Final = 256


class RedisRateLimits:
    """RateLimits. `nodes` is how many share it. `counts`: batches that were counted by this node alone (`alone`)."""

    def __init__(self, connection: RedisConnection, nodes: Callable[[], int] = lambda: 1) -> None:
        self.counts: Counter[str] = Counter()
        self._connection = connection
        self._nodes = nodes
        self._prefix = f"{connection.prefix}:rate:"
        self._near = MemoryRateLimits(MOST_BUCKETS)

    def fill(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """See RateLimits; one round trip."""
        try:
            levels = self._asked("fill", uses, now_us)
        except BackendUnavailable:
            self.counts["alone"] += 1
            return self._near.fill(self._dearer(uses), now_us)
        self._near.fill(uses, now_us)
        return levels

    def admit(self, uses: Sequence[Use], now_us: int) -> list[int]:
        """See RateLimits; one round trip."""
        try:
            admitted = self._asked("admit", uses, now_us)
        except BackendUnavailable:
            self.counts["alone"] += 1
            return self._near.admit(self._dearer(uses), now_us)
        self._near.fill([replace(use, times=times) for use, times in zip(uses, admitted, strict=True) if times], now_us)
        return admitted

    def _asked(self, how: str, uses: Sequence[Use], now_us: int) -> list[int]:
        by_subject: defaultdict[str, list[int]] = defaultdict(list)
        for at, use in enumerate(uses):
            by_subject[use.subject].append(at)
        calls: list[Call] = []
        for subject, places in by_subject.items():
            assert len(places) <= _MOST_OF_ONE
            words: list[str | int] = [now_us, how]
            for use in (uses[at] for at in places):
                words += [use.what, use.per_us, use.cost_us, use.times]
            calls.append(((self._key(subject),), words))
        found = [0] * len(uses)
        for places, answer in zip(by_subject.values(), self._connection.run("rate_limits", calls), strict=True):
            for at, value in zip(places, answer, strict=True):
                found[at] = value
        return found

    def _dearer(self, uses: Sequence[Use]) -> list[Use]:
        nodes = max(self._nodes(), 1)
        # One use finds room in an empty bucket, however many nodes there are.
        return [replace(use, cost_us=max(min(use.cost_us * nodes, use.per_us), use.cost_us)) for use in uses]

    def _key(self, subject: str) -> str:
        return self._prefix + blake2b(subject.encode(errors="surrogatepass"), digest_size=16).hexdigest()
