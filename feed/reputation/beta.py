"""What is known of somebody, and how surely? A Beta distribution over what speaks for and against, fading with time.

After A. Jøsang and R. Ismail, The Beta Reputation System, 15th Bled Electronic Commerce Conference, 2002, but with a
half-life in place of their factor of forgetting per event: so it makes no difference in which order events come in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.reputation.events import HALF_LIFE_MS, WEIGHTS, ReputationEvent, Role

# Before anything is known: as likely right as wrong, at the weight of four events.
PRIOR_GOOD: Final = 2.0
PRIOR_BAD: Final = 2.0


class Beta(msgspec.Struct, frozen=True):
    """Weights for and against as they count at `as_of_ms`."""

    good: float = 0.0
    bad: float = 0.0
    as_of_ms: int = 0


def added(beta: Beta, good: float, bad: float, at_ms: int, half_life_ms: int) -> Beta:
    """With one event more, which may be older than what is known already; a negative weight takes one back."""
    as_of_ms = max(beta.as_of_ms, at_ms)
    kept = _fade(as_of_ms - beta.as_of_ms, half_life_ms) if beta.as_of_ms else 0.0
    new = _fade(as_of_ms - at_ms, half_life_ms)
    return Beta(_least(beta.good * kept + good * new), _least(beta.bad * kept + bad * new), as_of_ms)


def at(beta: Beta, now_ms: int, half_life_ms: int) -> Beta:
    """As it counts at a later time."""
    if now_ms <= beta.as_of_ms:
        return beta
    kept = _fade(now_ms - beta.as_of_ms, half_life_ms)
    return Beta(beta.good * kept, beta.bad * kept, now_ms)


def fold(events: Iterable[ReputationEvent], role: Role) -> Beta:
    """All events of one person in one role, in any order."""
    beta = Beta()
    for event in events:
        weight = WEIGHTS[event.kind]
        if weight.role is role:
            beta = added(beta, weight.good, weight.bad, event.at_ms, HALF_LIFE_MS[role])
    return beta


def mean(good: NDArray[np.float64], bad: NDArray[np.float64]) -> NDArray[np.float64]:
    """The expected share of good, 0 to 1; any shape."""
    return np.asarray((PRIOR_GOOD + good) / (PRIOR_GOOD + PRIOR_BAD + good + bad))


def cautious(good: NDArray[np.float64], bad: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean less one standard deviation, 0 to 1: who is hardly known is not believed much. Any shape."""
    a, b = PRIOR_GOOD + good, PRIOR_BAD + bad
    total = a + b
    deviation = np.sqrt(a * b / (total * total * (total + 1.0)))
    return np.asarray(np.clip(a / total - deviation, 0.0, 1.0))


def _fade(age_ms: int, half_life_ms: int) -> float:
    return float(2.0 ** (-max(age_ms, 0) / half_life_ms))


def _least(weight: float) -> float:
    # What is taken back leaves nothing but a rounding error.
    return 0.0 if weight < 0.0 or math.isclose(weight, 0.0, abs_tol=1e-12) else weight
