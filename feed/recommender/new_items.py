"""What is said of an item that came after the training? It is placed by what it is: text, category, price, picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack, vstack

from feed.recommender import content
from feed.recommender.item_to_item import Together
from feed.recommender.items import Item, Items, items_of
from feed.recommender.own_history import Rhythm
from feed.recommender.parts import NEVER_MS, Parts, log_prices
from feed.recommender.pruning import pruned
from feed.recommender.settings import Training

Number = TypeVar("Number", np.float64, np.int64)

# A new item's taste is that of so many items like it.
_LIKE_IT = 10


def extended(parts: Parts, items: Items, new: Sequence[Item], training: Training) -> tuple[Parts, Items]:
    """Parts and items with `new` at the end; those that are known already are passed over.

    A new item has neighbours by content in both directions, the mean ALS factors of the items most like it, and nothing
    that comes from choices. The arrays are new; the old parts serve on unchanged.
    """
    fresh = [item for item in {item.item_id: item for item in new}.values() if item.item_id not in items.row_of]
    if not fresh:
        return parts, items
    old, count = len(items), len(fresh)
    added = items_of(fresh)
    vectors = content.vectors(added, parts.vocabulary, training.content)
    everything = csr_array(vstack([parts.vectors, vectors]))
    alike = content.neighbours(vectors, everything, training.content.neighbours, first_row=old)
    backwards = csr_array(alike[:, :old].T)
    like_it = pruned(csr_array(alike[:, :old]), _LIKE_IT)
    weights = np.maximum(np.asarray(like_it.sum(axis=1)).ravel(), 1e-9)
    return (
        replace(
            parts,
            ease=_grown(parts.ease, count),
            als=np.concatenate([parts.als, ((like_it @ parts.als) / weights[:, None]).astype(np.float32)]),
            together=_grown_together(parts.together, count),
            basket=_grown(parts.basket, count),
            vectors=everything,
            alike=csr_array(vstack([hstack([parts.alike, backwards]), alike])),
            popularity=np.concatenate([parts.popularity, np.zeros((len(parts.popularity), count))], axis=1),
            season=_longer(parts.season, np.nan, count),
            since_ms=_longer(parts.since_ms, NEVER_MS, count),
            rhythm=Rhythm(
                _longer(parts.rhythm.interval_days, _mean(parts.rhythm.interval_days), count),
                _longer(parts.rhythm.again, _mean(parts.rhythm.again), count),
            ),
            log_price=np.concatenate([parts.log_price, log_prices(added)]),
            category=np.concatenate([
                parts.category, [parts.vocabulary.categories.get(item.category, -1) for item in fresh]
            ]).astype(np.int32),
        ),
        items_of([*items.all, *fresh]),
    )  # fmt: skip


def _grown(table: csr_array, count: int) -> csr_array:
    grown = table.copy()
    grown.resize((table.shape[0] + count, table.shape[1] + count))
    return grown


def _grown_together(together: Together, count: int) -> Together:
    items, width = together.companions.shape
    # Free places name the item itself; a catalogue of few items has few places, and gets no more before a refit.
    themselves = np.repeat(np.arange(items, items + count, dtype=np.int32)[:, None], width, axis=1)
    return Together(
        np.concatenate([together.companions, themselves]),
        np.concatenate([together.counts, np.zeros((count, width))]),
        np.concatenate([together.cosines, np.zeros((count, width), np.float32)]),
        _longer(together.own, 0.0, count),
        together.shrinkage,
    )


def _longer(values: NDArray[Number], by: float, count: int) -> NDArray[Number]:
    return np.concatenate([values, np.full(count, by, values.dtype)])


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
