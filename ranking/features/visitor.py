"""Who looks? Four hashed features of the visitor, which travel as segments `uf0=81ce123c` … `uf3=…`."""

from __future__ import annotations

from math import nan

import numpy as np

from ranking.features.feature import Columns, Feature, FeatureState, Pages

PAGE = tuple(Feature(f"uf{k}", "categorical", "page", spelled=True) for k in range(4))


def of_pages(pages: Pages, state: FeatureState) -> Columns:
    """Columns of PAGE, [pages, 4]; NaN without the segment, so also without consent."""
    codes = {feature.name: (column, state.codes(feature.name)) for column, feature in enumerate(PAGE)}
    rows: list[list[float]] = []
    for segments in pages.segments:
        row = [nan] * len(PAGE)
        for segment in segments:
            name, _, text = segment.partition("=")
            if (known := codes.get(name)) is not None:
                row[known[0]] = known[1].get(text, nan)
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, len(PAGE))
