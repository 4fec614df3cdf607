"""Which monotone map makes probabilities of raw scores? One fitted on impressions that the trees never saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from ranking.calibration import Calibration
from ranking.settings import Calibrating

_MAX_STEPS = 100


def fit_calibration(
    method: Calibrating, raw: NDArray[np.float64], clicks: NDArray[np.int8], weights: NDArray[np.float64]
) -> Calibration:
    """Fit on one held-out part."""
    if method == "platt":
        slope, offset = _platt(raw, clicks.astype(np.float64), weights)
        return Calibration("platt", slope, offset, (), ())
    # Half a click at either end: a step without any click must not claim that none can come.
    least = 0.5 / (float(weights.sum()) + 1.0)
    steps = IsotonicRegression(y_min=least, y_max=1.0 - least, out_of_bounds="clip")
    steps.fit(raw, clicks, sample_weight=weights)
    knots = np.array([steps.X_thresholds_, steps.y_thresholds_], np.float64)
    _, first = np.unique(knots[0], return_index=True)
    return Calibration("isotonic", 1.0, 0.0, tuple(knots[0, first].tolist()), tuple(knots[1, first].tolist()))


def _platt(raw: NDArray[np.float64], clicks: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of greatest likelihood, by Newton's steps.

    Targets are pulled in as Platt 1999 proposes. A model that ranks the wrong way round gets the slope 0: it then says
    the same of everyone.
    """
    positives, negatives = float((weights * clicks).sum()), float((weights * (1.0 - clicks)).sum())
    target = np.where(clicks > 0, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))
    rate = float((weights * target).sum() / weights.sum())
    flat = (0.0, float(np.log(rate / (1.0 - rate))))
    centre, spread = float(raw.mean()), float(raw.std())
    if spread < 1e-12:
        return flat
    design = np.column_stack([(raw - centre) / spread, np.ones(len(raw))])
    beta = np.array(flat)
    for _ in range(_MAX_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -50.0, 50.0)))
        gradient = design.T @ (weights * (target - chance))
        curvature = (design * (weights * chance * (1.0 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A step is at most 2 in log-odds, so that a nearly separable part cannot run away.
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-10:
            break
    slope = float(beta[0]) / spread
    if not np.isfinite(beta).all() or slope <= 0.0:
        return flat
    return slope, float(beta[1]) - slope * centre
