"""May this source be asked for the page, or has it cost too much time?"""

from __future__ import annotations

from collections import Counter

from common.clock import Clock

# All sources of a page together; what is not asked by then is left out, but for the last one.
PAGE_BUDGET_MS = 8.0
# One source; after so many slow answers in a row it rests.
SOURCE_BUDGET_MS = 3.0
_SLOW_IN_A_ROW = 3
_REST_MS = 10_000


class SourceWatch:
    """Keeps sources within their time, and counts what happened to each: `failures`, `slow`, `skipped`.

    Sources work in memory, in the thread that asks: a dozen microseconds to some hundred each, so threads would cost
    more than they save, and a running one cannot be stopped. What can be done is to stop asking.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_a_row: Counter[str] = Counter()
        self._rests_until_ns: dict[str, int] = {}
        self.failures: Counter[str] = Counter()
        self.slow: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def troubles(self) -> dict[tuple[str, ...], int]:
        """How often, by source and "failed", "slow" or "skipped"."""
        kinds = (("failed", self.failures), ("slow", self.slow), ("skipped", self.skipped))
        return {(name, kind): count for kind, counts in kinds for name, count in counts.items()}

    def now_ns(self) -> int:
        """The time that `may_ask` and `took` are told in."""
        return self._clock.monotonic_ns()

    def may_ask(self, name: str, spent_ns: int) -> bool:
        """Is there time left on a page that has spent so much, and does the source not rest?"""
        if spent_ns <= PAGE_BUDGET_MS * 1e6 and self.now_ns() >= self._rests_until_ns.get(name, 0):
            return True
        self.skipped[name] += 1
        return False

    def took(self, name: str, ns: int, budget_ms: float = SOURCE_BUDGET_MS) -> None:
        """A source has answered."""
        if ns <= budget_ms * 1e6:
            self._in_a_row[name] = 0
            return
        self.slow[name] += 1
        self._in_a_row[name] += 1
        if self._in_a_row[name] >= _SLOW_IN_A_ROW:
            self._in_a_row[name] = 0
            self._rests_until_ns[name] = self.now_ns() + int(_REST_MS * 1e6)
