"""Whom do those trust who have bought? Trust flows from verified purchasers along what they bought, followed and liked.

Personalised PageRank (T. Haveliwala, Topic-Sensitive PageRank, WWW 2002; as EigenTrust by S. Kamvar et al., WWW 2003):
it begins at people with purchases that were kept, so accounts that nobody vouches for have none to give, however many
they are. What one person gives away is shared among all that it vouches for.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

# How much of what arrives is passed on. Low, since of what a ring passes round in a circle so much is lost each time.
DAMPING: Final = 0.7
MAX_ITERATIONS: Final = 50
TOLERANCE: Final = 1e-9
# So many purchasers who vouch for nobody else make trust one half.
HALF_AT: Final = 3.0


class EdgeKind(IntEnum):
    """How one person vouches for another."""

    PURCHASE = 1
    FOLLOW = 2
    SAVE = 3
    LIKE = 4


EDGE_WEIGHT: Final = {EdgeKind.PURCHASE: 3.0, EdgeKind.FOLLOW: 0.5, EdgeKind.SAVE: 0.3, EdgeKind.LIKE: 0.2}


def propagate(
    people: int,
    sources: NDArray[np.int64],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    purchases: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How many purchasers' whole trust has come together in each person, shape (people,): 1 where one average purchaser
    vouches for nobody else. It does not depend on the size of the network.

    Edge i says that `sources[i]` vouches for `targets[i]` with `weights[i]`; nobody vouches for themselves.
    `purchases`, shape (people,), counts each person's kept purchases: where trust begins, in the measure of their
    logarithm, so that one who buys a hundred times is not a hundred people. Bounded by MAX_ITERATIONS.
    """
    seeds = np.log1p(np.maximum(purchases, 0.0))
    if people == 0 or not seeds.any():
        return np.zeros(people)
    purchasers = int(np.count_nonzero(seeds))
    seeds = seeds / seeds.sum()
    counted = np.where(sources == targets, 0.0, weights)
    graph = csr_array((counted, (sources, targets)), shape=(people, people), dtype=np.float64)
    given = np.asarray(graph.sum(axis=1)).ravel()
    share = np.divide(1.0, given, out=np.zeros(people), where=given > 0)
    towards = graph.T.tocsr()
    trust, arrived, begun = seeds, np.zeros(people), 1.0
    for _ in range(MAX_ITERATIONS):
        arrived = DAMPING * (towards @ (trust * share))
        # What is given to nobody goes back to where trust begins.
        begun = 1.0 - float(arrived.sum())
        newer = arrived + begun * seeds
        moved = float(np.abs(newer - trust).sum())
        trust = newer
        if moved < TOLERANCE:
            break
    return np.asarray(arrived * purchasers / (DAMPING * begun))


def score(purchasers: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1, one half at HALF_AT purchasers; any shape."""
    return np.asarray(purchasers / (purchasers + HALF_AT))
