"""Which posts do the same people engage with? Item-to-item counts that follow every action and halve in a week."""

from __future__ import annotations

from collections.abc import Sequence

HALF_LIFE_MS = 7 * 86_400_000
# A post keeps so many companions; beyond them, the weakest third leaves.
MAX_COMPANIONS = 96
# An action stands beside so many of its session's actions before it.
LOOK_BACK = 8


class Companions:
    """Counts of pairs of rows that one session engaged with, by the later one's time. Nothing of a session is kept.

    A count is worth half after a week: newer ones are written larger, so that nothing has to be aged.
    """

    def __init__(self) -> None:
        self._together: dict[int, dict[int, float]] = {}
        self._total: dict[int, float] = {}
        self._since_ms: int | None = None

    def note(self, row: int, earlier: Sequence[int], at_ms: int) -> None:
        """A session engaged with `row`, and before it with the rows of `earlier`."""
        if self._since_ms is None:
            self._since_ms = at_ms
        worth = 2.0 ** ((at_ms - self._since_ms) / HALF_LIFE_MS)
        self._total[row] = self._total.get(row, 0.0) + worth
        for other in earlier[-LOOK_BACK:]:
            if other != row:
                self._add(row, other, worth)
                self._add(other, row, worth)

    def of(self, rows: Sequence[int]) -> dict[int, float]:
        """Companions of `rows` and how close they are, above 0; none of `rows` itself.

        A pair counts as the cosine of the two rows' sessions: what everybody engages with is nobody's companion.
        """
        found: dict[int, float] = {}
        for row in rows:
            own = self._total.get(row, 0.0)
            for other, together in self._together.get(row, {}).items():
                found[other] = found.get(other, 0.0) + together / (own * self._total[other]) ** 0.5
        for row in rows:
            found.pop(row, None)
        return found

    def _add(self, row: int, other: int, worth: float) -> None:
        known = self._together.setdefault(row, {})
        known[other] = known.get(other, 0.0) + worth
        self._total.setdefault(other, worth)
        if len(known) > MAX_COMPANIONS:
            for weakest in sorted(known, key=known.__getitem__)[: MAX_COMPANIONS // 3]:
                del known[weakest]
