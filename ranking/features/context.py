"""Where and when is it shown? Hour, day of the week, device, the place on the page, the section of the shop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ranking.features.feature import Attributes, Columns, Feature, FeatureState, Pages, coded

PAGE = (
    # UTC: the storefront's own time zone is not part of a page view.
    Feature("hour", "numeric", "page"),
    Feature("weekday", "numeric", "page"),
    Feature("device", "categorical", "page"),
)
POSITION = (Feature("position", "numeric", "position"),)
PRODUCT = (Feature("section", "categorical", "product", spelled=True),)

LAST_POSITION = 3
_MAX_DEVICE = 63
_HOUR_MS = 3_600_000
# 1970-01-01 was a Thursday; Monday is 0.
_FIRST_WEEKDAY = 3


def of_pages(pages: Pages) -> Columns:
    """Columns of PAGE, [pages, 3]."""
    hours = pages.viewed_at_ms // _HOUR_MS
    device = pages.device_type
    columns = np.empty((len(hours), 3), np.float64)
    columns[:, 0] = hours % 24
    columns[:, 1] = (hours // 24 + _FIRST_WEEKDAY) % 7
    columns[:, 2] = np.where((device > 0) & (device <= _MAX_DEVICE), device, np.nan)
    return columns


def place(positions: NDArray[np.int32]) -> NDArray[np.int32]:
    """Positions as the model and the prior count them: 0 unknown, 1, 2, 3 and beyond."""
    # Half the time of np.clip, which checks more than it does on so few numbers.
    return np.minimum(np.maximum(positions, 0), LAST_POSITION)


def of_positions(positions: NDArray[np.int32]) -> Columns:
    """Columns of POSITION, [positions, 1]; unknown is NaN."""
    places = place(positions)
    return np.where(places > 0, places, np.nan).astype(np.float64)[:, None]


def of_products(attributes: Sequence[Attributes | None], state: FeatureState) -> Columns:
    """Columns of PRODUCT, [products, 1]."""
    codes = state.codes("section")
    return np.array([[coded(codes, known, "section")] for known in attributes], np.float64).reshape(-1, 1)
