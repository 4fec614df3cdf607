"""Which items are chosen together with those of a history? EASE: a linear model with a closed form.

Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_array

from feed.recommender.pruning import pruned


def fit(chosen: csr_array, regularisation: float, least_choices: int = 1) -> NDArray[np.float32]:
    """Weights B of shape (items, items), diagonal 0: the least squares of `chosen` ~ `chosen` @ B.

    `chosen` is [visitors, items]. Cost grows with items cubed: those that fewer than `least_choices` visitors chose are
    left out.
    """
    items = chosen.shape[1]
    weights = np.zeros((items, items), np.float32)
    known = np.flatnonzero(np.bincount(chosen.indices, minlength=items) >= least_choices)
    if not len(known):
        return weights
    gram = (chosen[:, known].T @ chosen[:, known]).toarray()
    gram[np.diag_indices_from(gram)] += regularisation
    factor, trouble = dpotrf(gram, lower=1, overwrite_a=1)
    assert trouble == 0, "a Gram matrix with a positive diagonal added is positive definite"
    inverse, trouble = dpotri(factor, lower=1, overwrite_c=1)
    assert trouble == 0
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    of_known = inverse / -np.diag(inverse)
    np.fill_diagonal(of_known, 0.0)
    weights[np.ix_(known, known)] = of_known
    return weights


def kept(weights: NDArray[np.float32], neighbours: int) -> csr_array:
    """The `neighbours` largest weights of each item as csr float32 [items, items]: what is stored and served."""
    return pruned(weights, neighbours)
