"""How often is a product clicked at a position, when only counts are known? Smoothed rates, by empirical Bayes.

A Beta prior pulls each rate towards the level above it: positions towards the overall rate, products towards it too, a
product at a position towards what product and position together let expect. How strongly is not chosen: it is the
strength under which the observed counts are most likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.features.context import LAST_POSITION, place

PLACES = LAST_POSITION + 1
# In impressions. At the upper end the counts show no difference at all and everything is pooled.
_STRENGTHS = np.logspace(1.0, 6.0, 51)
_LEAST_RATE = 1e-6
_HIGHEST_RATE = 0.5

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


@dataclass(frozen=True, slots=True)
class PriorRates:
    """Smoothed clicks per impression.

    `by_product`: product id → (unknown position, 1, 2, 3 and beyond); `by_position`: the same of a product that is not
    known. The strengths tell how many impressions the level above weighs.
    """

    by_product: Mapping[str, tuple[float, ...]]
    by_position: tuple[float, ...]
    position_strength: float
    product_strength: float
    cell_strength: float

    def table(self, product_ids: Sequence[str]) -> NDArray[np.float64]:
        """Rates, float64 [products, 4]."""
        rows = [self.by_product.get(product_id, self.by_position) for product_id in product_ids]
        return np.array(rows, np.float64).reshape(-1, PLACES)


# What an exchange without any model starts from: the click rate of the shop's log, all places alike.
FLAT = PriorRates({}, (0.004,) * PLACES, 0.0, 0.0, 0.0)


def fit_prior(
    product_ids: Sequence[str],
    product_rows: NDArray[np.int32],
    positions: NDArray[np.int32],
    clicks: NDArray[np.int8],
    weights: NDArray[np.float64],
) -> PriorRates:
    """Smoothed rates from impressions; `product_rows` index `product_ids`, `weights` are inverse propensities."""
    shape = (len(product_ids), PLACES)
    cells = np.ravel_multi_index((product_rows, place(positions)), shape)
    shown: NDArray[np.float64] = np.bincount(cells, weights, shape[0] * PLACES).reshape(shape).astype(np.float64)
    clicked = np.bincount(cells, weights * clicks, shape[0] * PLACES).reshape(shape).astype(np.float64)

    # Without a single click half a one is taken: a rate of zero would say that no click can ever come.
    overall = max(float(clicked.sum()), 0.5) / max(float(shown.sum()), 1.0)
    position_rate, position_strength = _smoothed(clicked.sum(0), shown.sum(0), np.full(PLACES, overall))
    position_rate[0] = overall
    product_rate, product_strength = _smoothed(clicked.sum(1), shown.sum(1), np.full(shape[0], overall))
    expected = np.clip(np.outer(product_rate, position_rate) / overall, _LEAST_RATE, _HIGHEST_RATE)
    cell_rate, cell_strength = _smoothed(clicked, shown, expected)
    cell_rate[:, 0] = product_rate
    return PriorRates(
        by_product={name: tuple(cell_rate[row].tolist()) for row, name in enumerate(product_ids)},
        by_position=tuple(position_rate.tolist()),
        position_strength=position_strength,
        product_strength=product_strength,
        cell_strength=cell_strength,
    )


def _smoothed(
    clicked: NDArray[np.float64], shown: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Posterior means under Beta(s·expected, s·(1 - expected)), and the s that makes the counts most likely."""
    seen = shown > 0
    likelihoods = [_log_likelihood(clicked[seen], shown[seen], expected[seen], s) for s in _STRENGTHS]
    # Rounded, so that the last digit of a logarithm does not decide; a tie goes to more pooling.
    best = max(range(len(_STRENGTHS)), key=lambda at: (round(likelihoods[at], 6), at))
    strength = float(_STRENGTHS[best])
    return (clicked + strength * expected) / (shown + strength), strength


def _log_likelihood(
    clicked: NDArray[np.float64], shown: NDArray[np.float64], expected: NDArray[np.float64], strength: float
) -> float:
    if not len(clicked):
        return 0.0
    a, b = strength * expected, strength * (1.0 - expected)
    missed = np.maximum(shown - clicked, 0.0)
    terms = (_log_gamma(clicked + a) - _log_gamma(a)) + (_log_gamma(missed + b) - _log_gamma(b))
    return float(np.sum(terms - (_log_gamma(shown + strength) - math.lgamma(strength))))
