"""Which items go with this one? How often both were chosen by the same visitors, or lay in the same baskets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from feed.recommender.pruning import pruned


@dataclass(frozen=True, slots=True)
class Together:
    """Co-occurrence that takes in single events: of each item its strongest companions, in no order.

    `companions` int32, `counts` float64 and `cosines` float32 are [items, neighbours]; free places hold the item itself
    with 0. `own` float64 [items] are the counts of each item with itself. The arrays are changed in place.
    """

    companions: NDArray[np.int32]
    counts: NDArray[np.float64]
    cosines: NDArray[np.float32]
    own: NDArray[np.float64]
    shrinkage: float

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each item's companions begin, when the table is read as one row after the other."""
        items, width = self.companions.shape
        widths = np.full(items + 1, width, np.int64)
        widths[0] = 0
        return np.cumsum(widths)

    @property
    def similarities(self) -> csr_array:
        """Cosines as csr [items, items] over the same memory: no copy, and always of now."""
        items = len(self.companions)
        columns = (self.cosines.ravel(), self.companions.ravel(), self.starts)
        return csr_array(columns, shape=(items, items), copy=False)

    def observe(self, item: int, weight: float, others: NDArray[np.int32], weights: NDArray[np.float64]) -> None:
        """One more visitor who chose `others` has chosen `item`: only their cosines change, the rest waits for a refit.

        Weights are as in the fit; each of `others` is named once, and none is `item`.
        """
        self.own[item] += weight**2
        for other, together in zip(others.tolist(), (weight * weights).tolist(), strict=True):
            self._add(item, other, together)
            self._add(other, item, together)

    def take_back(self, item: int, weight: float, others: NDArray[np.int32], weights: NDArray[np.float64]) -> None:
        """The opposite of `observe` with the same arguments; a pair that is no longer kept has nothing to take."""
        self.own[item] = max(self.own[item] - weight**2, 0.0)
        for other, together in zip(others.tolist(), (weight * weights).tolist(), strict=True):
            self._take(item, other, together)
            self._take(other, item, together)

    def _take(self, item: int, other: int, count: float) -> None:
        for at in np.flatnonzero((self.companions[item] == other) & (self.counts[item] > 0)).tolist():
            self.counts[item, at] = max(self.counts[item, at] - count, 0.0)
            self.cosines[item, at] = self._cosine(item, other, self.counts[item, at])

    def _cosine(self, item: int, other: int, count: float) -> float:
        return float(count / (np.sqrt(self.own[item] * self.own[other]) + self.shrinkage))

    def _add(self, item: int, other: int, count: float) -> None:
        companions, counts = self.companions[item], self.counts[item]
        known = np.flatnonzero((companions == other) & (counts > 0))
        at = int(known[0]) if len(known) else int(counts.argmin())
        if not len(known):
            if counts[at] > count:
                return
            companions[at], counts[at] = other, 0.0
        counts[at] += count
        self.cosines[item, at] = self._cosine(item, other, counts[at])


def together(chosen: csr_array, *, shrinkage: float, neighbours: int) -> Together:
    """Cosines c_ij / (sqrt(c_ii c_jj) + shrinkage) of `chosen` [visitors, items], decayed by now, the largest kept."""
    both, own = _counts(chosen)
    cosines = both.tocoo()
    cosines = csr_array(
        (cosines.data / (np.sqrt(own[cosines.row] * own[cosines.col]) + shrinkage), (cosines.row, cosines.col)),
        shape=both.shape,
    )
    kept = pruned(cosines, neighbours).tocoo()
    items = chosen.shape[1]
    place = np.arange(kept.nnz) - np.searchsorted(kept.row, kept.row)
    companions = np.repeat(np.arange(items, dtype=np.int32)[:, None], min(neighbours, items), axis=1)
    counts, values = np.zeros(companions.shape), np.zeros(companions.shape, np.float32)
    companions[kept.row, place] = kept.col
    values[kept.row, place] = kept.data
    counts[kept.row, place] = kept.data * (np.sqrt(own[kept.row] * own[kept.col]) + shrinkage)
    return Together(companions, counts, values, own, shrinkage)


def lift(chosen: csr_array, *, shrinkage: float, neighbours: int) -> csr_array:
    """How much more often two items come together than by chance: csr float32 [items, items], 0 to 1, diagonal 0.

    Positive pointwise mutual information over its largest value, log(c_ij N / (c_ii c_jj)) / log N, times
    c_ij / (c_ij + shrinkage); N adds up the rows of `chosen` [baskets, items], each by the square of its largest count.
    """
    both, own = _counts(chosen)
    if not both.nnz:
        return csr_array(both.shape, dtype=np.float32)
    pairs = both.tocoo()
    largest = chosen.max(axis=1).toarray()
    everything = max(float((largest**2).sum()), 2.0)
    surprise = np.log(pairs.data * everything / (own[pairs.row] * own[pairs.col])) / np.log(everything)
    values = np.maximum(surprise, 0.0) * pairs.data / (pairs.data + shrinkage)
    return pruned(csr_array((values, (pairs.row, pairs.col)), shape=both.shape), neighbours)


def _counts(chosen: csr_array) -> tuple[csr_array, NDArray[np.float64]]:
    both = csr_array(chosen.T @ chosen)
    own = both.diagonal()
    both.setdiag(0.0)
    both.eliminate_zeros()
    return both, own
