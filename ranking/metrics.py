"""How good are predicted click probabilities? Weighted measures, and how sure they are (bootstrap)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Name → does a larger one mean better? None: it should be near 1.
MEASURES: dict[str, bool | None] = {
    "log_loss": False,
    "normalised_entropy": False,
    "roc_auc": True,
    "pr_auc": True,
    "calibration_error": False,
    "calibration_ratio": None,
}
_BINS = 10


class Measured(msgspec.Struct, frozen=True):
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def measure(clicks: NDArray[np.int8], chances: Values, weights: Values) -> dict[str, float]:
    """All MEASURES of predictions. NaN where one is not defined (an area without a click).

    Normalised entropy is the log loss over that of the part's own click rate; the calibration error is the mean of
    |predicted - clicked| over ten groups of equal size by predicted chance; the ratio is predicted over clicked.
    """
    return _Sorted(clicks, chances).measure(weights)


def log_losses(clicks: NDArray[np.int8], chances: Values) -> Values:
    """Log loss of each impression in nats."""
    return -np.where(clicks > 0, np.log(chances), np.log1p(-chances)).astype(np.float64)


def compare(
    clicks: NDArray[np.int8],
    model: Values,
    prior: Values,
    weights: Values,
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[dict[str, Measured], dict[str, Measured], dict[str, Measured]]:
    """Measures of the model, of the prior, and of model - prior.

    Impressions are drawn anew with replacement, the same ones for both: the interval of the difference is paired.
    With `groups` (one entry per impression) whole groups are drawn: impressions of one session are not independent.
    """
    sides = (_Sorted(clicks, model), _Sorted(clicks, prior))
    chance = np.random.default_rng(seed)
    names, member = (np.arange(len(clicks)),) * 2 if groups is None else np.unique(groups, return_inverse=True)
    count = len(names)
    drawn = np.empty((resamples, 2, len(MEASURES)))
    for at in range(resamples):
        times = np.bincount(chance.integers(0, count, count), minlength=count)[member]
        for number, side in enumerate(sides):
            drawn[at, number] = list(side.measure(weights * times).values())
    values = np.array([list(side.measure(weights).values()) for side in sides])
    return (
        _intervals(values[0], drawn[:, 0]),
        _intervals(values[1], drawn[:, 1]),
        _intervals(values[0] - values[1], drawn[:, 0] - drawn[:, 1]),
    )


def interval_of(draws: Values) -> tuple[float, float]:
    """The middle 95 % of the draws that are numbers; NaN when none is."""
    numbers = draws[np.isfinite(draws)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.percentile(numbers, [2.5, 97.5])
    return float(low), float(high)


def _intervals(values: Values, draws: Values) -> dict[str, Measured]:
    return {name: Measured(float(values[at]), *interval_of(draws[:, at])) for at, name in enumerate(MEASURES)}


class _Sorted:
    """Predictions sorted once, best first, so that a resample is measured by sums alone."""

    def __init__(self, clicks: NDArray[np.int8], chances: Values) -> None:
        order = np.argsort(-chances, kind="stable")
        self._order = order
        self._clicks = clicks[order].astype(np.float64)
        self._chances = chances[order]
        self._losses = log_losses(clicks[order], chances[order])
        # Where a new value begins: impressions with equal chances are one step of the curves.
        self._starts = np.flatnonzero(np.r_[True, np.diff(self._chances) != 0.0])

    def measure(self, weights: Values) -> dict[str, float]:
        weight = weights[self._order]
        total, clicked = float(weight.sum()), float((weight * self._clicks).sum())
        loss = float((weight * self._losses).sum()) / total
        rate = clicked / total
        entropy = -(rate * np.log(rate) + (1.0 - rate) * np.log(1.0 - rate)) if 0.0 < rate < 1.0 else np.nan
        expected = float((weight * self._chances).sum())
        roc, precision = self._areas(weight, clicked, total - clicked)
        figures: Mapping[str, float] = {
            "log_loss": loss,
            "normalised_entropy": float(loss / entropy),
            "roc_auc": roc,
            "pr_auc": precision,
            "calibration_error": self._calibration_error(weight, total),
            "calibration_ratio": expected / clicked if clicked > 0 else float("nan"),
        }
        return {name: figures[name] for name in MEASURES}

    def _areas(self, weight: Values, clicked: float, missed: float) -> tuple[float, float]:
        """Area under the ROC curve (ties count half) and average precision."""
        if clicked <= 0 or missed <= 0:
            return float("nan"), float("nan")
        hits = np.add.reduceat(weight * self._clicks, self._starts)
        misses = np.add.reduceat(weight * (1.0 - self._clicks), self._starts)
        false_before = np.cumsum(misses) - misses
        roc = 1.0 - float((hits * (false_before + 0.5 * misses)).sum()) / (clicked * missed)
        found = np.cumsum(hits)
        shown = found + np.cumsum(misses)
        precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
        return roc, float((hits * precision).sum()) / clicked

    def _calibration_error(self, weight: Values, total: float) -> float:
        # Equal chances stay in one group, that of their middle: how ties were ordered must not matter.
        shares = np.add.reduceat(weight, self._starts)
        middle = (np.cumsum(shares) - 0.5 * shares) / total
        group = np.minimum((middle * _BINS).astype(np.intp), _BINS - 1)
        gaps = np.add.reduceat(weight * (self._chances - self._clicks), self._starts)
        return float(np.abs(np.bincount(group, gaps, _BINS)).sum()) / total
