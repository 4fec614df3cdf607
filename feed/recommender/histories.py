"""Who did what with which item, and when? Many visitors' events as arrays, each visitor's together and in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True)
class Histories:
    """Visitor v did the events starts[v] : starts[v + 1], oldest first.

    starts int64 [visitors + 1]; of each event: items int32 (rows of the catalogue), kinds int8 (feedback.Kind, below 0
    takes back), at_ms int64. Events of a visitor with the same time are one basket.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    kinds: NDArray[np.int8]
    at_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The visitor of each event."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many events each visitor has."""
        return np.diff(self.starts)

    def where(self, keep: NDArray[np.bool_]) -> Histories:
        """The same visitors with the events that `keep` marks."""
        before = np.concatenate([[0], np.cumsum(keep)])
        return Histories(before[self.starts], self.items[keep], self.kinds[keep], self.at_ms[keep])

    def before(self, ms: int) -> Histories:
        """What happened earlier than `ms`."""
        return self.where(self.at_ms < ms)

    def within(self, from_ms: int, to_ms: int) -> Histories:
        """What happened from `from_ms` on and before `to_ms`."""
        return self.where((self.at_ms >= from_ms) & (self.at_ms < to_ms))

    def of(self, visitors: NDArray[np.intp]) -> Histories:
        """The histories of some visitors, in the order asked for."""
        lengths = self.lengths[visitors]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(self.starts[visitors] - starts[:-1], lengths) + np.arange(starts[-1])
        return Histories(starts, self.items[at], self.kinds[at], self.at_ms[at])

    def matrix(self, values: NDArray[np.float64], items: int) -> csr_array:
        """Sums of `values` (one per event) by visitor and item: csr float64 [visitors, items], no stored zeros."""
        # A copy: adding up duplicates moves entries in place.
        summed = csr_array((values, self.items, self.starts), shape=(len(self), items), copy=True)
        summed.sum_duplicates()
        summed.eliminate_zeros()
        return summed

    def baskets(self) -> Histories:
        """Each basket as a visitor of its own."""
        if not len(self.items):
            return Histories(np.zeros(1, np.int64), self.items, self.kinds, self.at_ms)
        rows = self.rows
        begins = np.flatnonzero(np.r_[True, (np.diff(rows) != 0) | (np.diff(self.at_ms) != 0)])
        return Histories(np.r_[begins, len(rows)].astype(np.int64), self.items, self.kinds, self.at_ms)


def gather(
    visitors: ArrayLike, items: ArrayLike, kinds: ArrayLike, at_ms: ArrayLike, *, count: int | None = None
) -> Histories:
    """Histories of events in any order; `visitors` are 0 to `count` - 1."""
    who, when = np.asarray(visitors, np.int64), np.asarray(at_ms, np.int64)
    order = np.lexsort((when, who))
    lengths = np.bincount(who, minlength=count or 0) if len(who) else np.zeros(count or 0, np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    what, how = np.asarray(items, np.int32), np.asarray(kinds, np.int8)
    return Histories(starts, what[order], how[order], when[order])
