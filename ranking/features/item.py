"""What is shown? The product's number, its three hashed categories, and how often it was clicked before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ranking.features.feature import Attributes, Columns, Feature, FeatureState, coded

_CATEGORIES = ("item_feature_1", "item_feature_2", "item_feature_3")
PRODUCT = (
    Feature("item_feature_0", "numeric", "product"),
    *(Feature(name, "categorical", "product", spelled=True) for name in _CATEGORIES),
    # Smoothed clicks per impression over the training part alone.
    Feature("item_prior_rate", "numeric", "product"),
)


def of_products(product_ids: Sequence[str], attributes: Sequence[Attributes | None], state: FeatureState) -> Columns:
    """Columns of PRODUCT, [products, 5]; NaN where the catalogue or the training part did not know the product."""
    codes = [state.codes(name) for name in _CATEGORIES]
    columns = np.empty((len(product_ids), len(PRODUCT)), np.float64)
    for row, (product_id, known) in enumerate(zip(product_ids, attributes, strict=True)):
        columns[row, 0] = _number(known.get("item_feature_0", "")) if known is not None else math.nan
        for column, name in enumerate(_CATEGORIES):
            columns[row, 1 + column] = coded(codes[column], known, name)
        columns[row, 4] = state.item_rates.get(product_id, math.nan)
    return columns


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
