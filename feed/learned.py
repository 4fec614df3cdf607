"""How does the learned ranking score posts, and what lets it serve?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feed import features
from feed.heads import HEADS
from feed.index import Rows
from feed.stages import Scorer
from feed.view import View
from ranking.forest import ModelRefused
from ranking.head_model import HeadModel, load

FeedRanker = Literal["auto", "model", "hand"]

# What the session has just done answers on the very next page, whatever the model makes of it: the part of the
# hand-weighted taste that stands beside the model's value.
TASTE_SHARE = 0.5
# A post that is worth so many mean ones is as good as one can be: no forest's whim takes the whole page.
_MOST = 8.0


class LearnedRanking:
    """value = Σ worth × probability, in shares of the mean value, with what the session has just shown to like."""

    def __init__(self, model: HeadModel) -> None:
        self._model = model
        self.version = model.version
        model.warm()
        reasons = {head.name: head.reason for head in HEADS}
        self._scorers = tuple(
            Scorer(head.name, head.worth, _nothing, partial(_say, reasons.get(head.name)))
            for head in model.manifest.heads
        )

    def score(
        self, columns: NDArray[np.float32], hand: Sequence[Scorer], added: NDArray[np.float64]
    ) -> tuple[tuple[Scorer, ...], NDArray[np.float64]]:
        """(a scorer for each head, then taste; what each adds to each row, shape (scorers, rows)).

        `added` is what the hand-weighted scorers add, in the order of `hand`.
        """
        taste = next(at for at, scorer in enumerate(hand) if scorer.name == "taste")
        values = np.clip(self._model.values(columns), -_MOST, _MOST)
        return (*self._scorers, hand[taste]), np.vstack([values, TASTE_SHARE * added[taste]])


def open_ranking(
    folder: Path, scorers: tuple[Scorer, ...], choice: FeedRanker = "auto"
) -> tuple[LearnedRanking | None, str]:
    """The learned ranking of `folder` where it may serve, and a sentence about it. Never fails.

    "auto" follows the model's evaluation, "model" takes it whatever that says, "hand" never takes it.
    """
    if choice == "hand":
        return None, "The hand-weighted ranking serves: it was told to."
    try:
        model = load(folder, features.names(scorers), features.version(scorers))
        if choice == "auto" and model.manifest.serving != "model":
            return None, model.manifest.sentence
        return LearnedRanking(
            model
        ), model.manifest.sentence if choice == "auto" else "The model serves: it was told to."
    except ModelRefused as refused:
        return None, f"{refused}. The hand-weighted ranking serves without it."


def _nothing(view: View, rows: Rows) -> NDArray[np.float64]:
    return np.zeros(len(rows))


def _say(reason: str | None, view: View, row: int) -> str | None:
    return reason
