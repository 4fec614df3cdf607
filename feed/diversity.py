"""Which of the best posts go on one page, so that it is not all of one kind?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from feed import page_kernel

# What a post loses when its category is on the page already: most at the second, at most this much (MMR).
CATEGORY_PENALTY = 0.35
_CATEGORY_DECAY = 0.6
# What each post of a page gains in score when the page comes nearer to the visitor's own mix of categories, per nat of
# divergence. Scores differ by 1 to 3 between the posts that a page may choose from.
CALIBRATION_WEIGHT = 3.0
# So much of the visitor's mix is added to the page's, or a category that is not on the page would count endlessly.
_SMOOTHING = 0.1
_ENDLESS = 1 << 40


def cap(page_size: int, share: float) -> int:
    """At most so many posts of one creator (share 0.2) or brand (0.34) on a page; at least 2."""
    return max(2, round(page_size * share))


CREATOR_SHARE = 0.2
BRAND_SHARE = 0.34


def select(
    scores: NDArray[np.float64],
    creators: NDArray[np.int32],
    brands: NDArray[np.int32],
    categories: NDArray[np.int32],
    count: int,
    page_size: int,
    wanted: Mapping[int, float] | None = None,
) -> list[int]:
    """Positions of `count` posts (or all), in their order on the page: greedy by score and by what is there already.

    `wanted` is the visitor's mix of categories (codes to shares that sum to 1): each step takes the post that is worth
    most with what it moves the page towards that mix (Steck 2018, the greedy form). Without it, a post loses by what
    its category has on the page (maximal marginal relevance, Carbonell and Goldstein 1998).

    All arrays have one entry per post; a code below 0 is none and is neither capped nor moved. Caps of creator and
    brand give way only when nothing else is left. The first n of a longer selection are the selection of n.
    """
    taken = np.empty(min(count, len(scores)), np.int64)
    if not len(taken):
        return []
    creator_names, creator = np.unique(creators, return_inverse=True)
    brand_names, brand = np.unique(brands, return_inverse=True)
    category_names, category = np.unique(categories, return_inverse=True)
    mix = wanted or {}
    page_kernel.take(
        scores.astype(np.float64),
        creator,
        brand,
        category,
        np.where(creator_names >= 0, cap(page_size, CREATOR_SHARE), _ENDLESS),
        np.where(brand_names >= 0, cap(page_size, BRAND_SHARE), _ENDLESS),
        np.array([mix.get(code, 0.0) if code >= 0 else 0.0 for code in category_names.tolist()]),
        wanted is not None,
        CALIBRATION_WEIGHT * page_size,
        _SMOOTHING,
        np.where(category_names >= 0, CATEGORY_PENALTY, 0.0),
        _CATEGORY_DECAY,
        taken,
    )
    chosen: list[int] = taken.tolist()
    return chosen


def warm() -> None:
    """Compile what compiles on first use, so that no page waits for it."""
    one = np.zeros(1, np.int32)
    select(np.zeros(1), one, one, one, 1, 1)


def divergence(wanted: Mapping[int, float], shown: Mapping[int, int]) -> float:
    """How far a page's categories (codes to numbers of posts) are from the wanted mix: KL(wanted ‖ page), in nats."""
    total = max(sum(shown.values()), 1)
    return sum(
        share * float(np.log(share / ((1 - _SMOOTHING) * shown.get(code, 0) / total + _SMOOTHING * share)))
        for code, share in wanted.items()
        if share > 0
    )
