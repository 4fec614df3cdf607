"""What time is it? Everything that needs the time is handed a Clock, so a simulation can step it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The time of day, and a time that only goes forward."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; may jump when the machine's clock is set."""

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start; never goes back. Durations are measured with it."""


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Nanoseconds of the machine's monotonic clock."""
        return time.monotonic_ns()


class SteppedClock:
    """A clock that stands still until it is told to move; for tests and simulations."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ns = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self._now_ms

    def monotonic_ns(self) -> int:
        """Nanoseconds moved forward so far."""
        return self._monotonic_ns

    def step(self, ms: int) -> None:
        """Move forward by `ms`; backwards moves the time of day alone, as a real clock does."""
        self._now_ms += ms
        self._monotonic_ns += max(ms, 0) * 1_000_000
