"""Which floor earns most? Expected revenue by floor over the bids that came, segment by segment, and what it is worth.

For a second-price auction with first and second bid b1 ≥ b2 a floor f earns max(f, b2) where f ≤ b1 and nothing where
it does not (Myerson 1981; the curve r(f) = f·P(b2 ≤ f ≤ b1) + E[b2; b2 > f]). At first price bids that do not react
make every floor but the lowest a loss, so none is learned there. Thin segments are drawn towards the next wider one;
of floors that earn as good as the same the lowest is taken; a floor moves by a bounded step from what was in use.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

# A segment's own curve weighs as much as the wider one's at this many auctions.
SHRINKAGE: Final = 400.0
LEAST_AUCTIONS: Final = 50
# Floors within this part of the best revenue are on its plateau.
PLATEAU: Final = 0.003
# A floor is at most so many times what was in use, and at least its reciprocal.
MOST_MOVE: Final = 1.5
# Where nothing was in use, the first step goes up to this quantile of what the best bids are worth.
FIRST_STEP_QUANTILE: Final = 0.3
_CANDIDATES: Final = 200
_BLOCKS: Final = 200


class Landscape(msgspec.Struct, frozen=True):
    """Auctions in the order of time: the best and the next bid in micros per thousand, 0 for none."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def part(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Landscape:
        """Some of the auctions."""
        return Landscape(self.first[rows], self.second[rows])


class Lift(msgspec.Struct, frozen=True):
    """Revenue per thousand auctions in micros, before and after, and the lift with its 95 % interval."""

    auctions: int
    before: float
    after: float
    lift: float
    low: float
    high: float


def revenue(
    landscape: Landscape, floor: float | NDArray[np.float64], *, first_price: bool = False
) -> NDArray[np.float64]:
    """What each auction earns under a floor, in micros per thousand impressions."""
    sold = (landscape.first >= floor) & (landscape.first > 0)
    price = landscape.first if first_price else np.maximum(landscape.second, floor)
    earned: NDArray[np.float64] = np.where(sold, price, 0.0)
    return earned


def curve(landscape: Landscape, candidates: NDArray[np.float64], *, first_price: bool = False) -> NDArray[np.float64]:
    """Mean revenue of an auction under each candidate; in one pass over sorted bids, not one for each candidate."""
    count = max(len(landscape.first), 1)
    first = np.sort(landscape.first)
    from_first = np.searchsorted(first, candidates, side="left")
    sold = len(first) - from_first
    if first_price:
        sums = np.concatenate([[0.0], np.cumsum(first)])
        earned: NDArray[np.float64] = (sums[-1] - sums[from_first]) / count
        return earned
    second = np.sort(landscape.second)
    above = np.searchsorted(second, candidates, side="right")
    sums = np.concatenate([[0.0], np.cumsum(second)])
    # Whoever has a second bid above the floor pays that; the others that are sold pay the floor.
    pays_second = len(second) - above
    return np.asarray((sums[-1] - sums[above] + (sold - pays_second) * candidates) / count)


def best_floor(
    own: Landscape,
    wider: Landscape,
    *,
    static_micros: int,
    in_use_micros: int,
    first_price: bool = False,
) -> int:
    """The floor to use next for a segment; never below `static_micros`, a bounded step from `in_use_micros`."""
    if first_price or len(own.first) < LEAST_AUCTIONS:
        return max(static_micros, in_use_micros)
    bids = own.first[own.first > 0]
    if not len(bids):
        return max(static_micros, in_use_micros)
    candidates = np.unique(
        np.concatenate([[static_micros, in_use_micros], np.quantile(bids, np.linspace(0, 1, _CANDIDATES))])
    )
    candidates = np.floor(candidates[candidates >= static_micros])
    weight = len(own.first) / (len(own.first) + SHRINKAGE)
    earned = weight * curve(own, candidates) + (1 - weight) * curve(wider, candidates)
    best = float(candidates[np.nonzero(earned >= earned.max() * (1 - PLATEAU))[0][0]])
    if in_use_micros > 0:
        best = min(max(best, in_use_micros / MOST_MOVE), in_use_micros * MOST_MOVE)
    else:
        best = min(best, float(np.quantile(bids, FIRST_STEP_QUANTILE)))
    return max(static_micros, int(best))


def lift_of(before: NDArray[np.float64], after: NDArray[np.float64], *, seed: int = 1, resamples: int = 2_000) -> Lift:
    """The lift of the same auctions under two floors, paired, with an interval by bootstrap over blocks of time."""
    blocks = min(_BLOCKS, max(len(before), 1))
    sums = np.array(
        [
            (part_before.sum(), part_after.sum())
            for part_before, part_after in zip(
                np.array_split(before, blocks), np.array_split(after, blocks), strict=True
            )
        ]
    )
    drawn = np.random.default_rng(seed).integers(0, blocks, (resamples, blocks))
    of = sums[drawn].sum(axis=1)
    lifts = (of[:, 1] - of[:, 0]) / np.maximum(of[:, 0], 1e-9)
    return _lift(len(before), before, after, lifts)


def lift_between_arms(
    held_out: NDArray[np.float64], treated: NDArray[np.float64], *, seed: int = 1, resamples: int = 2_000
) -> Lift:
    """The lift of auctions with learned floors over those that were held out: two samples, each drawn by itself."""
    rng = np.random.default_rng(seed)
    means = []
    for arm in (held_out, treated):
        blocks = np.array_split(arm, min(_BLOCKS, max(len(arm), 1)))
        sums, sizes = np.array([part.sum() for part in blocks]), np.array([len(part) for part in blocks], np.float64)
        drawn = rng.integers(0, len(blocks), (resamples, len(blocks)))
        means.append(sums[drawn].sum(axis=1) / np.maximum(sizes[drawn].sum(axis=1), 1.0))
    lifts = (means[1] - means[0]) / np.maximum(means[0], 1e-9)
    return _lift(len(treated), held_out, treated, lifts)


def hurts(lift: Lift) -> bool:
    """Does a floor lose money for sure? Then it is withdrawn."""
    return lift.high < 0.0


def _lift(auctions: int, before: NDArray[np.float64], after: NDArray[np.float64], lifts: NDArray[np.float64]) -> Lift:
    mean_before = float(before.mean()) if len(before) else 0.0
    mean_after = float(after.mean()) if len(after) else 0.0
    low, high = (float(value) for value in np.quantile(lifts, (0.025, 0.975)))
    return Lift(auctions, mean_before, mean_after, (mean_after - mean_before) / max(mean_before, 1e-9), low, high)
