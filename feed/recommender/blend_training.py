"""How do trees learn to weigh the parts? From what visitors chose next, among what they did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from feed.recommender.features import NAMES, Table
from feed.recommender.settings import Blend


@dataclass(frozen=True, slots=True)
class Examples:
    """Pairs of one window: `table` [pairs, features], `chosen` says which were chosen next."""

    table: Table
    chosen: NDArray[np.bool_]


def sample(
    table: Table, chosen: NDArray[np.bool_], visitors: NDArray[np.int64], negatives: int, chance: np.random.Generator
) -> Examples:
    """All pairs that were chosen and about `negatives` others of each visitor, drawn evenly."""
    others = np.bincount(visitors, weights=~chosen)[visitors]
    keep = chosen | (chance.random(len(chosen)) < negatives / np.maximum(others, 1.0))
    return Examples(table[keep], chosen[keep])


def fit(windows: Sequence[Examples], settings: Blend) -> str:
    """The trees as text. Seeded, and deterministic for one number of threads.

    How many trees is a setting: to stop where the log loss of a newer window is best stops too soon, for months differ
    in how much is chosen at all, and that says nothing of the order.
    """
    data = lgb.Dataset(
        np.concatenate([window.table for window in windows]),
        np.concatenate([window.chosen for window in windows]).astype(np.int8),
        feature_name=list(NAMES),
        free_raw_data=True,
    )
    return str(lgb.train(_parameters(settings), data, settings.trees).model_to_string())


def _parameters(settings: Blend) -> dict[str, object]:
    return {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "lambda_l2": settings.lambda_l2,
        "feature_fraction": settings.feature_fraction,
        "seed": settings.seed,
        "num_threads": settings.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
