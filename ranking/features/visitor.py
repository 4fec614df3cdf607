"""Who looks? Four hashed features of the visitor, which travel as segments `uf0=81ce123c` … `uf3=…`."""

from __future__ import annotations

from math import nan

import numpy as np

from ranking.features.feature import Columns, Feature, FeatureState, Pages

PAGE = tuple(Feature(f"uf{k}", "categorical", "page", spelled=True) for k in range(4))


_COLUMN = {feature.name: column for column, feature in enumerate(PAGE)}


def of_pages(pages: Pages, state: FeatureState) -> Columns:
    """Columns of PAGE, [pages, 4]; NaN without the segment, so also without consent."""
    known = state.segments
    # A list is filled in a third of the time that an array takes, entry by entry.
    columns = [nan] * (len(pages.segments) * len(PAGE))
    for row, segments in enumerate(pages.segments):
        for segment in segments:
            found = known.get(segment)
            if found is not None and found[0] in _COLUMN:
                columns[row * len(PAGE) + _COLUMN[found[0]]] = found[1]
    return np.array(columns, np.float64).reshape(-1, len(PAGE))
