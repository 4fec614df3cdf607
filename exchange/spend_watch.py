"""Are the figures of what was spent fresh? When they are not, what is leased may still be spent, and nothing more.

Fresh is: the ledger answered and had counted every notice of the log, less than `stale_s` ago. A counter that hangs, a
ledger that does not answer and a log that cannot be read all look the same from here.
"""

from __future__ import annotations

from common.clock import Clock


class SpendWatch:
    """Told by whoever counts spend into the ledger; asked by whoever leases and by the auction."""

    def __init__(self, clock: Clock, stale_s: int) -> None:
        self._clock = clock
        self._stale_s = stale_s
        self._counted_ns = clock.monotonic_ns()

    def counted(self) -> None:
        """Everything that the log holds is counted."""
        self._counted_ns = self._clock.monotonic_ns()

    @property
    def age_s(self) -> float:
        """Seconds since everything was counted."""
        return (self._clock.monotonic_ns() - self._counted_ns) / 1e9

    @property
    def stale(self) -> bool:
        """Too old to go on leasing by."""
        return self.age_s > self._stale_s
