"""Which vectors are nearest, among very many? USearch's graph (HNSW): a few hundred are looked at instead of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from usearch.index import Index

_LINKS = 24
_LOOKED_AT_ADDING = 160
_LOOKED_AT_SEARCHING = 160


class UsearchNeighbours:
    """Neighbours over one graph, by the inner product itself.

    Approximate: of the nearest 100 it found 98.7 among 5,000 vectors of 32 numbers with lengths as uneven as those of
    popular and rare items. (Brought to a common length by one more number, as is often advised, it found 26.)
    """

    def __init__(self) -> None:
        self._index: Index | None = None

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """As feed.recommender.ports.Neighbours."""
        if not len(rows):
            return
        if self._index is None:
            # USearch brings parts of the C++ library of its own; where it comes before LightGBM, that one cannot write
            # numbers any more and trains nothing. So it comes when it is needed, which is after everything else.
            from usearch.index import Index

            self._index = Index(
                ndim=vectors.shape[1],
                metric="ip",
                dtype="f32",
                connectivity=_LINKS,
                expansion_add=_LOOKED_AT_ADDING,
                expansion_search=_LOOKED_AT_SEARCHING,
            )
        self.remove(rows)
        # One thread: the graph, and so what it misses, is the same each time.
        self._index.add(rows.astype(np.uint64), np.ascontiguousarray(vectors, np.float32), threads=1)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """As feed.recommender.ports.Neighbours."""
        if self._index is None or not len(self._index):
            return
        known = [row for row in rows.tolist() if row >= 0 and row in self._index]
        if known:
            self._index.remove(np.array(known, np.uint64))

    def nearest(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As feed.recommender.ports.Neighbours."""
        rows = np.full((len(queries), limit), -1, np.int64)
        products = np.full((len(queries), limit), -np.inf, np.float32)
        if self._index is None or not len(self._index):
            return rows, products
        for at, query in enumerate(queries.astype(np.float32)):
            found = self._index.search(query, min(limit, len(self._index)), threads=1)
            rows[at, : len(found.keys)] = np.asarray(found.keys, np.int64)
            # USearch tells 1 - the inner product.
            products[at, : len(found.keys)] = 1.0 - np.asarray(found.distances, np.float32)
        return rows, products
