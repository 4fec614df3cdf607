"""What is known of a visitor and an item, where most pairs say nothing? Rows of a few items each, in no order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from feed.recommender import kernels
from feed.recommender.histories import Histories


@dataclass(frozen=True, slots=True)
class Rows:
    """Visitor v has the entries starts[v] : starts[v + 1]: items int32, values float64. `width` is the catalogue's."""

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    values: NDArray[np.float64]
    width: int

    def read(self, visitors: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float64]:
        """The entry of each pair, 0 where there is none; `visitors` is ascending."""
        out = np.empty(len(items))
        sums, marks = _scratch(self.width)
        kernels.read_out(self.starts, self.items, self.values, visitors, items, sums, marks, out)
        return out

    def best(self) -> NDArray[np.float64]:
        """The largest entry of each row; next to nothing where none is above 0."""
        largest = np.full(len(self.starts) - 1, 1e-9)
        some = np.diff(self.starts) > 0
        if some.any():
            largest[some] = np.maximum(np.maximum.reduceat(self.values, self.starts[:-1][some]), 1e-9)
        return largest

    def dense(self) -> NDArray[np.float64]:
        """float64 [visitors, width]."""
        table = np.zeros((len(self.starts) - 1, self.width))
        table[np.repeat(np.arange(len(table)), np.diff(self.starts)), self.items] = self.values
        return table


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of visitor and item in some histories, found once for all sums over them; `place` is each event's."""

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    place: NDArray[np.int64]
    width: int


def pairs_of(histories: Histories, width: int) -> Pairs:
    """The pairs of all events, ascending."""
    key = np.repeat(np.arange(len(histories)) * width, histories.lengths) + histories.items
    unique, place = np.unique(key, return_inverse=True)
    starts = np.searchsorted(unique, np.arange(len(histories) + 1) * width).astype(np.int64)
    return Pairs(starts, (unique % max(width, 1)).astype(np.int32), place, width)


def summed(pairs: Pairs, values: NDArray[np.float64]) -> Rows:
    """Sums of `values` (one per event) by visitor and item; zeros are left out."""
    sums = np.bincount(pairs.place, weights=values, minlength=len(pairs.items)).astype(np.float64)
    some = sums != 0.0
    if some.all():
        return Rows(pairs.starts, pairs.items, sums, pairs.width)
    kept = np.concatenate([[0], np.cumsum(some)])
    return Rows(kept[pairs.starts], pairs.items[some], sums[some], pairs.width)


def saturated(rows: Rows) -> Rows:
    """The same with each value x as 1 - exp(-x)."""
    return Rows(rows.starts, rows.items, -np.expm1(-rows.values), rows.width)


def spread(rows: Rows, table: csr_array) -> Rows:
    """`rows` @ `table` [width, width]; costs as much as the items of a history have neighbours."""
    return spread_over(rows, table.indptr, table.indices, table.data)


def spread_over(
    rows: Rows, row_starts: NDArray[np.int64], columns: NDArray[np.int32], values: NDArray[np.float32]
) -> Rows:
    """The same for a table by its arrays."""
    touched = np.concatenate([[0], np.cumsum(row_starts[rows.items + 1] - row_starts[rows.items])])
    # A row of the outcome holds no item twice.
    bound = int(np.minimum(np.diff(touched[rows.starts]), rows.width).sum())
    starts, items, sums = np.zeros(len(rows.starts), np.int64), np.empty(bound, np.int32), np.empty(bound)
    scratch, marks = _scratch(rows.width)
    kernels.spread(
        rows.starts,
        rows.items,
        rows.values,
        row_starts.astype(np.int64, copy=False),
        columns,
        values,
        scratch,
        marks,
        starts,
        items,
        sums,
    )
    return Rows(starts, items[: starts[-1]], sums[: starts[-1]], rows.width)


def _scratch(width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.empty(width), np.full(width, -1, np.int64)
