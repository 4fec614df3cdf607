"""What does each part say of a visitor's items? One sparse score per part, and what the visitor chose before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.recommender import als, own_history
from feed.recommender.feedback import decay, disliked, liked
from feed.recommender.histories import Histories
from feed.recommender.own_history import Owned
from feed.recommender.parts import Parts
from feed.recommender.session import nearness
from feed.recommender.settings import Training
from feed.recommender.sparse import Rows, pairs_of, saturated, spread, spread_over, summed


@dataclass(frozen=True, slots=True)
class Signals:
    """Of a batch of visitors: `scores` by part, `taste` ALS factors [visitors, factors], what they own and dislike."""

    histories: Histories
    scores: dict[str, Rows]
    taste: NDArray[np.float32]
    owned: Owned
    disliked: Rows


def read(parts: Parts, histories: Histories, now_ms: int, training: Training) -> Signals:
    """What the parts say of settled histories; apart from clearing, costs nothing that grows with the catalogue."""
    count = parts.items
    worth = liked(histories, training.feedback)
    age = now_ms - histories.at_ms

    pairs = pairs_of(histories, count)

    def faded(half_life_days: float) -> Rows:
        return summed(pairs, worth * decay(age, half_life_days))

    in_session = saturated(summed(pairs, worth * nearness(histories, training.recency.session_baskets)))
    against = summed(pairs, disliked(histories, training.feedback, now_ms))
    chosen = faded(training.als.half_life_days)
    together = parts.together
    companions = (together.starts, together.companions.ravel(), together.cosines.ravel())
    return Signals(
        histories=histories,
        scores={
            "ease": spread(saturated(faded(training.ease.half_life_days)), parts.ease),
            "together": spread_over(saturated(faded(training.item_to_item.half_life_days)), *companions),
            "session": spread_over(in_session, *companions),
            "basket": spread(in_session, parts.basket),
            "alike": spread(in_session, parts.alike),
            "alike_disliked": spread(against, parts.alike),
        },
        taste=als.solved(
            chosen.starts,
            chosen.items,
            chosen.values,
            parts.als,
            parts.als_gram,
            regularisation=training.als.regularisation,
            alpha=training.als.alpha,
        ),
        owned=own_history.owned(histories, worth, count, now_ms, training.recency.own_days),
        disliked=against,
    )
