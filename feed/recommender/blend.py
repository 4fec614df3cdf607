"""How are the parts weighed against one another? By trees that have learned it (`blend_training`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.recommender.features import NAMES, Table
from ranking.evaluator import Evaluator, compile_forest
from ranking.forest import ModelRefused, parse_forest


class Trees:
    """A trained blend: the sums of LightGBM's own predict, from its text alone."""

    def __init__(self, text: str) -> None:
        """ModelRefused when the text is broken or knows other features than this version."""
        forest = parse_forest(text)
        if forest.feature_names != NAMES:
            raise ModelRefused("the blend was trained on other features than this version has; train again")
        self.text = text
        self._evaluator: Evaluator = compile_forest(forest, ["pair"] * len(NAMES))
        self._all = np.full((1, len(forest.trees)), np.uint64(0xFFFF_FFFF_FFFF_FFFF))

    def scores(self, table: Table) -> NDArray[np.float64]:
        """Log-odds, float64 [pairs]; of the sampled examples, so they rank and do not count."""
        here = np.zeros(len(table), np.int32)
        return self._evaluator.raw_scores(self._all, self._all, self._all, here, here, here, table)
