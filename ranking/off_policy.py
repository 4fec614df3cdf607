"""What would choosing by the model have earned? Estimated from a log whose propensities are known."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.metrics import Measured, Values, interval_of

# The mean of a Poisson count that shows none with a chance of 2.5 %.
_UNSEEN_CLICKS = -math.log(0.025)


class PolicyValue(msgspec.Struct, frozen=True):
    """Clicks per 1,000 impressions of always showing the product with the highest predicted chance.

    `ips` weighs each logged impression that the policy agrees with by its inverse propensity; `snips` divides by the
    sum of these weights: a little biased, much steadier. `agreed` impressions carry the whole estimate. Where none of
    them was clicked no resample can show a click, and the upper end is the most that such luck allows (Poisson).
    """

    ips: Measured
    snips: Measured
    agreed: int
    agreed_clicks: int


def logged_value(clicks: NDArray[np.int8], resamples: int, seed: int) -> Measured:
    """Clicks per 1,000 of the policy that wrote the log."""
    ones = np.ones(len(clicks), np.bool_)
    return policy_value(clicks, np.ones(len(clicks)), ones, resamples, seed).ips


def policy_value(
    clicks: NDArray[np.int8], propensity: Values, agrees: NDArray[np.bool_], resamples: int, seed: int
) -> PolicyValue:
    """The value of a deterministic policy; `agrees` tells where it would have shown what was shown."""
    weight = np.where(agrees, 1.0 / propensity, 0.0)
    chance = np.random.default_rng(seed)
    # Only agreeing impressions count, so a resample is how often each of them is drawn among all.
    rows = np.flatnonzero(agrees)
    total = len(clicks)
    drawn = np.empty((resamples, 2))
    for at in range(resamples):
        times = np.bincount(chance.integers(0, total, total), minlength=total)[rows]
        earned, weighed = float((times * weight[rows] * clicks[rows]).sum()), float((times * weight[rows]).sum())
        drawn[at] = earned / total, earned / weighed if weighed > 0 else np.nan
    earned, weighed = float((weight * clicks).sum()), float(weight.sum())
    agreed_clicks = int(clicks[rows].sum())
    unseen = 0.0 if agreed_clicks else _UNSEEN_CLICKS * float(weight.max())
    return PolicyValue(
        ips=_per_mille(earned / total, drawn[:, 0], unseen / total),
        snips=_per_mille(
            earned / weighed if weighed > 0 else math.nan, drawn[:, 1], unseen / weighed if weighed > 0 else 0.0
        ),
        agreed=len(rows),
        agreed_clicks=agreed_clicks,
    )


def _per_mille(value: float, draws: Values, at_least_high: float) -> Measured:
    low, high = interval_of(draws)
    return Measured(1000.0 * value, 1000.0 * low, 1000.0 * max(high, min(at_least_high, 1.0)))
