"""How good is a list of recommendations? Of each visitor what was found, and of all lists what they are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

# Lists are judged to this length: NDCG and recall by their first 10, recall also by all 20.
LENGTH = 20
SHORT = 10
_SMALL = 0.01


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for each visitor who had something to find, float64 [visitors]; NaN for the others."""

    ndcg_10: NDArray[np.float64]
    recall_10: NDArray[np.float64]
    recall_20: NDArray[np.float64]


def found(lists: NDArray[np.int64], target_keys: NDArray[np.int64], items: int) -> Found:
    """Judge `lists`, item rows [visitors, LENGTH] best first, -1 where a list is shorter.

    NDCG with gain 1 and discount 1 / log2(rank + 1), over the best that was possible; recall over all targets.
    """
    count = len(lists)
    keys = np.arange(count)[:, None] * items + lists
    hit = np.isin(keys, target_keys) & (lists >= 0)
    targets = np.bincount(target_keys // max(items, 1), minlength=count).astype(np.float64)
    discount = 1.0 / np.log2(np.arange(SHORT) + 2.0)
    possible = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(targets, SHORT).astype(np.intp)]
    some = np.where(targets > 0, targets, np.nan)
    return Found(
        (hit[:, :SHORT] * discount).sum(axis=1) / possible, hit[:, :SHORT].sum(axis=1) / some, hit.sum(axis=1) / some
    )


def coverage(lists: NDArray[np.int64], items: int) -> float:
    """The share of the items that is in anybody's first ten."""
    shown = lists[:, :SHORT]
    return len(np.unique(shown[shown >= 0])) / max(items, 1)


def gini(lists: NDArray[np.int64], items: int) -> float:
    """How unevenly the first ten are spread over the items: 0 evenly, near 1 on a few."""
    shown = lists[:, :SHORT]
    counts = np.sort(np.bincount(shown[shown >= 0], minlength=items)).astype(np.float64)
    if not counts.sum():
        return float("nan")
    rank = np.arange(1, items + 1)
    return float((2.0 * rank - items - 1.0) @ counts / (items * counts.sum()))


def novelty(lists: NDArray[np.int64], popularity: NDArray[np.float64]) -> float:
    """Mean surprise of the first ten in bits: -log2 of the share of visitors' choices that fell on an item."""
    shown = lists[:, :SHORT]
    shares = (popularity + _SMALL) / (popularity + _SMALL).sum()
    return float(-np.log2(shares[shown[shown >= 0]]).mean()) if (shown >= 0).any() else float("nan")


def diversity(lists: NDArray[np.int64], vectors: csr_array) -> float:
    """Mean over lists of 1 - cosine between the contents of any two of the first ten."""
    means = []
    for shown in lists[:, :SHORT]:
        rows = shown[shown >= 0]
        if len(rows) > 1:
            alike = (vectors[rows] @ vectors[rows].T).toarray()
            pairs = len(rows) * (len(rows) - 1)
            means.append(1.0 - (alike.sum() - np.trace(alike)) / pairs)
    return float(np.mean(means)) if means else float("nan")


def calibration(lists: NDArray[np.int64], chosen: csr_array, category: NDArray[np.int32]) -> float:
    """Mean KL divergence in nats from the mix of categories of a visitor's history to that of the first ten.

    As Steck, "Calibrated Recommendations", RecSys 2018: the list's mix is smoothed by 1 % of the history's.
    """
    count = int(category.max(initial=-1)) + 1
    divergences = []
    for row, shown in enumerate(lists[:, :SHORT]):
        own = chosen.indices[chosen.indptr[row] : chosen.indptr[row + 1]]
        wanted, given = _mix(category[own], count), _mix(category[shown[shown >= 0]], count)
        if wanted is not None and given is not None:
            smooth = (1.0 - _SMALL) * given + _SMALL * wanted
            some = wanted > 0
            divergences.append(float((wanted[some] * np.log(wanted[some] / smooth[some])).sum()))
    return float(np.mean(divergences)) if divergences else float("nan")


def as_lists(visitors: Sequence[int], items: Sequence[int], count: int) -> NDArray[np.int64]:
    """Lists [count, LENGTH] of pairs that come by visitor, best first."""
    lists = np.full((count, LENGTH), -1, np.int64)
    who = np.asarray(visitors, np.int64)
    place = np.arange(len(who)) - np.searchsorted(who, who)
    keep = place < LENGTH
    lists[who[keep], place[keep]] = np.asarray(items, np.int64)[keep]
    return lists


def _mix(categories: NDArray[np.int32], count: int) -> NDArray[np.float64] | None:
    some = categories[categories >= 0]
    return np.bincount(some, minlength=count) / len(some) if len(some) else None
