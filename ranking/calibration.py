"""What probability does a raw score stand for? A monotone map, as `calibration_fitting` found it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.settings import Calibrating

# No probability is quite 0 or 1: one surprise must not cost an endless log loss.
LEAST, MOST = 1e-6, 1.0 - 1e-6


class Calibration(msgspec.Struct, frozen=True):
    """Plain numbers. Platt: sigmoid(slope · raw + offset). Isotonic: straight lines through (raw, probability)."""

    method: Calibrating
    slope: float
    offset: float
    raw: tuple[float, ...]
    probability: tuple[float, ...]

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of raw scores, float64, within [1e-6, 1 - 1e-6]; never falls when the raw score rises."""
        if self.method == "platt":
            return _bounded(_logistic(self.slope * raw + self.offset))
        return _bounded(np.interp(raw, self.raw, self.probability))

    def is_monotone(self) -> bool:
        """Do the numbers describe a map that never falls? A manifest with others is refused."""
        if self.method == "platt":
            return bool(np.isfinite([self.slope, self.offset]).all() and self.slope >= 0.0)
        if len(self.raw) != len(self.probability) or not self.raw:
            return False
        knots = np.array([self.raw, self.probability])
        ordered = bool((np.diff(knots[0]) > 0).all() and (np.diff(knots[1]) >= 0).all())
        return ordered and bool(np.isfinite(knots).all() and knots[1].min() >= 0.0 and knots[1].max() <= 1.0)


def apply_each(calibrations: Sequence[Calibration], raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `apply`, of each score by the calibration at its place."""
    if all(one.method == "platt" for one in calibrations):
        slopes = np.array([one.slope for one in calibrations], np.float64)
        offsets = np.array([one.offset for one in calibrations], np.float64)
        return _bounded(_logistic(slopes * raw + offsets))
    return np.array([one.apply(raw[at : at + 1])[0] for at, one in enumerate(calibrations)], np.float64)


def _logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    # Beyond ±50 the result is at its bounds anyway, and exp stays in range.
    chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.minimum(np.maximum(odds, -50.0), 50.0)))
    return chances


def _bounded(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded: NDArray[np.float64] = np.minimum(np.maximum(chances, LEAST), MOST)
    return bounded


UNCALIBRATED = Calibration("platt", 1.0, 0.0, (), ())
