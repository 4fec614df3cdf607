"""How sure is a mean over visitors, and is one really above another? The bootstrap over visitors."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray


class Mean(msgspec.Struct, frozen=True):
    """A mean and the middle 95 % of the means of resamples; NaN when nobody could be judged."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean(values: NDArray[np.float64], resamples: int, seed: int) -> Mean:
    """The mean of the values that are numbers. Give the differences of two models for a paired interval."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Mean(float("nan"), float("nan"), float("nan"))
    chance = np.random.default_rng(seed)
    drawn = np.array([known[chance.integers(0, len(known), len(known))].mean() for _ in range(resamples)])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Mean(float(known.mean()), float(low), float(high))
