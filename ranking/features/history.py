"""What did this visitor like before? The affinity to this very product, and to all products together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranking.features.feature import Columns, Feature, Pages

PAGE = (Feature("affinity_sum", "numeric", "page"),)
PAIR = (Feature("affinity", "numeric", "pair"),)


def of_pages(pages: Pages) -> Columns:
    """Columns of PAGE, [pages, 1]."""
    return _weights(pages.affinity_sums)


def of_pairs(affinities: NDArray[np.float32]) -> Columns:
    """Columns of PAIR, [pairs, 1]: weight of the visitor's affinity to the product, 0 when there is none."""
    return _weights(affinities)


def _weights(values: NDArray[np.float32]) -> Columns:
    # Weights come from outside: what is no number tells nothing, as no history does.
    return np.where(np.isfinite(values), values, 0.0).astype(np.float64)[:, None]
