"""How are a page's posts taken one by one? The loop of feed/diversity.py, compiled by numba on its first use."""

# numba's decorators carry no types; the function that calls this kernel does.
# mypy: disable-error-code="untyped-decorator,no-any-return"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranking.kernel_cache import kernel


@kernel
def take(
    scores: NDArray[np.float64],
    creators: NDArray[np.int64],
    brands: NDArray[np.int64],
    categories: NDArray[np.int64],
    creator_room: NDArray[np.int64],
    brand_room: NDArray[np.int64],
    wanted: NDArray[np.float64],
    calibrated: bool,
    calibration_weight: float,
    smoothing: float,
    penalties: NDArray[np.float64],
    penalty_decay: float,
    out: NDArray[np.int64],
) -> None:
    """Fill `out` with positions; see diversity.select for what they are taken by.

    `creators`, `brands` and `categories` index the arrays after them; the rooms, `wanted` and `penalties` are per code,
    and are changed.
    """
    posts = len(scores)
    taken = np.zeros(posts, np.bool_)
    change = np.zeros(len(wanted))
    shown = np.zeros(len(wanted))
    capped = True
    for number in range(len(out)):
        if calibrated:
            share = (1.0 - smoothing) / (number + 1)
            for code in range(len(wanted)):
                if wanted[code] > 0.0:
                    now = share * shown[code] + smoothing * wanted[code]
                    change[code] = calibration_weight * wanted[code] * np.log1p(share / now)
        best = -1
        while best < 0:
            most = -np.inf
            for at in range(posts):
                if taken[at]:
                    continue
                if capped and (creator_room[creators[at]] <= 0 or brand_room[brands[at]] <= 0):
                    continue
                value = scores[at] + change[categories[at]]
                if best < 0 or value > most:
                    best, most = at, value
            if best < 0:
                # Better more of the same than a short page.
                capped = False
        out[number] = best
        taken[best] = True
        creator_room[creators[best]] -= 1
        brand_room[brands[best]] -= 1
        category = categories[best]
        shown[category] += 1.0
        if not calibrated:
            change[category] -= penalties[category]
            penalties[category] *= penalty_decay
