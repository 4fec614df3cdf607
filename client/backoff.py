"""How long to wait before trying again? Doubling waits with full jitter, so that many clients do not return at once."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between `least_s` and twice as long with each failure, never above `most_s`."""

    least_s: float = 0.02
    most_s: float = 2.0

    def wait_s(self, failures: int, chance: Random) -> float:
        """Seconds to wait after `failures` failures in a row (1 and more)."""
        ceiling = min(self.most_s, self.least_s * 2.0 ** min(failures, 30))
        return chance.uniform(self.least_s, max(self.least_s, ceiling))
