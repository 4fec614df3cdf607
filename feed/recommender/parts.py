"""What is known at one moment? Every part fitted on what happened until then, and nothing later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from feed.recommender import als, content, ease, item_to_item, own_history, popularity
from feed.recommender.content import Vocabulary
from feed.recommender.feedback import DAY_MS, decay, liked
from feed.recommender.histories import Histories
from feed.recommender.item_to_item import Together
from feed.recommender.items import Items
from feed.recommender.own_history import Rhythm
from feed.recommender.settings import Training

# Fifty-two weeks: the same day of the week.
YEAR_MS = 364 * DAY_MS
NEVER_MS = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Parts:
    """By row of the catalogue: csr tables [items, items], `als` [items, factors], `popularity` [3 half-lives, items].

    `als_gram` goes with `als`. `season` is popularity in the same weeks a year before, NaN when the log does not reach
    back; `since_ms` is when an item was first met, NEVER_MS when it was not; `vectors` are those of content.
    `popularity`, `since_ms` and `together` are changed in place by single events.
    """

    fitted_at_ms: int
    ease: csr_array
    als: NDArray[np.float32]
    als_gram: NDArray[np.float32]
    together: Together
    basket: csr_array
    vocabulary: Vocabulary
    vectors: csr_array
    alike: csr_array
    popularity: NDArray[np.float64]
    season: NDArray[np.float64]
    since_ms: NDArray[np.int64]
    rhythm: Rhythm
    log_price: NDArray[np.float64]
    category: NDArray[np.int32]

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.since_ms)


def fit(items: Items, log: Histories, now_ms: int, training: Training) -> Parts:
    """All parts from a settled log that holds nothing from `now_ms` on."""
    assert not len(log.at_ms) or int(log.at_ms.max()) < now_ms, "the log reaches into the future"
    count = len(items)
    worth = liked(log, training.feedback)
    age = now_ms - log.at_ms
    of_ease, of_als, pairs = training.ease, training.als, training.item_to_item
    weights = ease.fit(
        saturated(log.matrix(worth * decay(age, of_ease.half_life_days), count)),
        of_ease.regularisation,
        of_ease.least_choices,
    )
    _, factors = als.fit(
        log.matrix(worth * decay(age, of_als.half_life_days), count),
        factors=of_als.factors,
        rounds=of_als.rounds,
        regularisation=of_als.regularisation,
        alpha=of_als.alpha,
        seed=training.blend.seed,
    )
    lately = worth * decay(age, pairs.half_life_days)
    baskets = saturated(log.baskets().matrix(lately, count))
    vocabulary = content.learn(items, training.content)
    vectors = content.vectors(items, vocabulary, training.content)
    return Parts(
        fitted_at_ms=now_ms,
        ease=ease.kept(weights, of_ease.neighbours),
        als=factors,
        als_gram=als.gram(factors),
        together=item_to_item.together(
            saturated(log.matrix(lately, count)), shrinkage=pairs.shrinkage, neighbours=pairs.neighbours
        ),
        basket=item_to_item.lift(baskets, shrinkage=pairs.shrinkage, neighbours=pairs.neighbours),
        vocabulary=vocabulary,
        vectors=vectors,
        alike=content.neighbours(vectors, vectors, training.content.neighbours),
        popularity=np.array(
            [popularity.fit(log, worth, count, now_ms, days) for days in training.recency.popularity_days]
        ),
        season=_season(log, worth, count, now_ms, training.blend.window_days),
        since_ms=popularity.since(log, count),
        rhythm=own_history.rhythm(own_history.owned(log, worth, count, now_ms, training.recency.own_days)),
        log_price=log_prices(items),
        category=np.array([vocabulary.categories.get(item.category, -1) for item in items.all], np.int32),
    )


def saturated(chosen: csr_array) -> csr_array:
    """The same with each value x as 1 - exp(-x): the tenth choice says less than the first."""
    result = chosen.copy()
    result.data = -np.expm1(-result.data)
    return result


def log_prices(items: Items) -> NDArray[np.float64]:
    """The logarithm of each price in micros, NaN where it is not known."""
    return np.array([np.log(item.price_micros) if item.price_micros > 0 else np.nan for item in items.all], np.float64)


def _season(
    log: Histories, worth: NDArray[np.float64], items: int, now_ms: int, window_days: float
) -> NDArray[np.float64]:
    first, last = now_ms - YEAR_MS, now_ms - YEAR_MS + int(window_days * DAY_MS)
    if not len(log.at_ms) or int(log.at_ms.min()) > first:
        return np.full(items, np.nan)
    inside = (log.at_ms >= first) & (log.at_ms < last)
    return np.bincount(log.items[inside], weights=worth[inside], minlength=items).astype(np.float64)
