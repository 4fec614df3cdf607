"""What tastes do visitors share? Implicit alternating least squares: a few numbers for each visitor and item.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008: preference 1 with confidence
1 + alpha * r where something was chosen, 0 with confidence 1 elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Factors = NDArray[np.float32]
_ROWS_AT_ONCE = 256


def fit(
    chosen: csr_array, *, factors: int, rounds: int, regularisation: float, alpha: float, seed: int
) -> tuple[Factors, Factors]:
    """(visitors' factors, items' factors), float32 [rows, factors]; the loss falls with every round."""
    chance = np.random.default_rng(seed)
    of_items = chance.normal(0.0, 0.1, (chosen.shape[1], factors)).astype(np.float32)
    by_item = csr_array(chosen.T.tocsr())
    of_visitors = np.zeros((chosen.shape[0], factors), np.float32)
    for _ in range(rounds):
        of_visitors = fold_in(chosen, of_items, regularisation=regularisation, alpha=alpha)
        of_items = fold_in(by_item, of_visitors, regularisation=regularisation, alpha=alpha)
    return of_visitors, of_items


def fold_in(chosen: csr_array, other: Factors, *, regularisation: float, alpha: float) -> Factors:
    """The best factors of each row of `chosen` given those of its columns: also for a visitor who was not fitted."""
    values = chosen.data.astype(np.float64)
    return solved(chosen.indptr, chosen.indices, values, other, gram(other), regularisation=regularisation, alpha=alpha)


def gram(factors: Factors) -> Factors:
    """float32 [factors, factors]: what nobody's choice changes, to be computed once."""
    return factors.T @ factors


def solved(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float64],
    other: Factors,
    gram_of_other: Factors,
    *,
    regularisation: float,
    alpha: float,
) -> Factors:
    """As fold_in, for the rows of a sparse table by its arrays; a row without entries gets zeros."""
    rows, factors = len(starts) - 1, other.shape[1]
    found = np.zeros((rows, factors), np.float32)
    everywhere = gram_of_other + regularisation * np.eye(factors, dtype=np.float32)
    for first in range(0, rows, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, rows)
        left = np.repeat(everywhere[None], last - first, axis=0)
        right = np.zeros((last - first, factors, 1), np.float32)
        for row in range(first, last):
            at = slice(starts[row], starts[row + 1])
            near = other[columns[at]]
            more = (alpha * values[at]).astype(np.float32)
            left[row - first] += (near.T * more) @ near
            right[row - first, :, 0] = near.T @ (1.0 + more)
        found[first:last] = np.linalg.solve(left, right)[..., 0]
    return found


def loss(chosen: csr_array, of_visitors: Factors, of_items: Factors, *, regularisation: float, alpha: float) -> float:
    """What the fit makes small: confidence-weighted squared error over all pairs, and the factors' squares."""
    rows = np.repeat(np.arange(chosen.shape[0]), np.diff(chosen.indptr))
    guessed = np.einsum("ij,ij->i", of_visitors[rows], of_items[chosen.indices]).astype(np.float64)
    everywhere = float(((of_visitors.T @ of_visitors).astype(np.float64) * (of_items.T @ of_items)).sum())
    confidence = 1.0 + alpha * chosen.data
    there = float((confidence * (1.0 - guessed) ** 2 - guessed**2).sum())
    squares = float((of_visitors.astype(np.float64) ** 2).sum() + (of_items.astype(np.float64) ** 2).sum())
    return everywhere + there + regularisation * squares
