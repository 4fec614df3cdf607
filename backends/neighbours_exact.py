"""Which vectors are nearest? Every one is looked at: exact, and soon enough for some ten thousand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_QUERIES_AT_ONCE = 256


class ExactNeighbours:
    """Neighbours over one array; misses nothing."""

    def __init__(self) -> None:
        self._vectors = np.zeros((0, 0), np.float32)
        self._known = np.zeros(0, np.bool_)

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """As feed.recommender.ports.Neighbours."""
        if not len(rows):
            return
        size = max(len(self._known), int(rows.max()) + 1)
        if size > len(self._known):
            grown = np.zeros((size, vectors.shape[1]), np.float32)
            grown[: len(self._vectors)] = self._vectors if len(self._vectors) else 0.0
            self._vectors = grown
            self._known = np.concatenate([self._known, np.zeros(size - len(self._known), np.bool_)])
        self._vectors[rows] = vectors
        self._known[rows] = True

    def remove(self, rows: NDArray[np.int64]) -> None:
        """As feed.recommender.ports.Neighbours."""
        self._known[rows[(rows >= 0) & (rows < len(self._known))]] = False

    def nearest(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As feed.recommender.ports.Neighbours; of equal products the lower row comes first."""
        rows = np.full((len(queries), limit), -1, np.int64)
        products = np.full((len(queries), limit), -np.inf, np.float32)
        known = np.flatnonzero(self._known)
        width = min(limit, len(known))
        if not width:
            return rows, products
        vectors = self._vectors[known] if len(known) < len(self._vectors) else self._vectors
        for first in range(0, len(queries), _QUERIES_AT_ONCE):
            found = queries[first : first + _QUERIES_AT_ONCE] @ vectors.T
            best = np.argpartition(-found, width - 1, axis=1)[:, :width]
            values = np.take_along_axis(found, best, axis=1)
            order = np.lexsort((best, -values), axis=1)
            at = slice(first, first + len(found))
            rows[at, :width] = known[np.take_along_axis(best, order, axis=1)]
            products[at, :width] = np.take_along_axis(values, order, axis=1)
        return rows, products
