"""What did the click model see of each finalist, and what did it make of it? For people who ask why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.features import columns
from ranking.features.context import place
from ranking.features.feature import Attributes, FeatureState, Pages
from ranking.model import ClickModel


class Scored(msgspec.Struct, frozen=True):
    """One finalist: its features by name, the sum of the trees, and the two rates that an auction may go by.

    A feature is None where it is missing or was never seen in training; categories are the texts that they stand for.
    """

    features: dict[str, str | float | None]
    log_odds: float
    model_rate: float
    smoothed_rate: float


def scored(
    model: ClickModel,
    product_ids: Sequence[str],
    attributes: Sequence[Attributes | None],
    positions: NDArray[np.int32],
    affinities: NDArray[np.float32],
    page: Pages,
) -> list[Scored]:
    """Finalists of one page view (`page` holds one entry); a row each, computed as in `ClickRanker.score`."""
    rows = np.arange(len(product_ids), dtype=np.int32)
    if not len(rows):
        return []
    of_scope = {
        "product": columns.of_products(product_ids, attributes, model.state),
        "page": np.repeat(columns.of_pages(page, model.state), len(rows), axis=0),
        "position": columns.of_positions(positions),
        "pair": columns.of_pairs(affinities),
    }
    table = np.empty((len(rows), len(columns.FEATURES)), np.float64)
    for scope, values in of_scope.items():
        table[:, columns.places(scope)] = values  # type: ignore[arg-type]  # the four scopes there are
    masks = model.product_masks(product_ids, attributes)
    log_odds = model.raw_scores(masks, rows, np.zeros_like(rows), positions, affinities, page)
    model_rate = model.calibration.apply(log_odds)
    smoothed = model.prior.table(product_ids)[rows, place(positions)]
    facts = (table.tolist(), log_odds.tolist(), model_rate.tolist(), smoothed.tolist())
    return [Scored(_in_words(values, model.state), *rest) for values, *rest in zip(*facts, strict=True)]


def _in_words(values: Sequence[float], state: FeatureState) -> dict[str, str | float | None]:
    told: dict[str, str | float | None] = {}
    for feature, value in zip(columns.FEATURES, values, strict=True):
        if np.isnan(value):
            told[feature.name] = None
        elif feature.spelled:
            told[feature.name] = state.vocabularies[feature.name][int(value)]
        else:
            told[feature.name] = value
    return told
