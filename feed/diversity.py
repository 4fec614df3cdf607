"""Which of the best posts go on one page, so that it is not all of one kind?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What a post loses when its category is on the page already: most at the second, at most this much (MMR).
CATEGORY_PENALTY = 0.35
_CATEGORY_DECAY = 0.6


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
) -> list[int]:
    """Positions of `count` posts (or all), in their order on the page: greedy by score less what its category loses.

    All arrays have one entry per post; a code below 0 is none and is neither capped nor penalised. Caps of creator and
    brand give way only when nothing else is left. The first n of a longer selection are the selection of n.
    """
    worth = scores.astype(np.float64)
    # The same, without the posts whose creator or brand has had its share.
    allowed = worth.copy()
    room = [
        (creators, creators.tolist(), dict.fromkeys(creators.tolist(), cap(page_size, CREATOR_SHARE))),
        (brands, brands.tolist(), dict.fromkeys(brands.tolist(), cap(page_size, BRAND_SHARE))),
    ]
    category_of = categories.tolist()
    penalty = dict.fromkeys(category_of, CATEGORY_PENALTY)
    chosen: list[int] = []
    for _ in range(min(count, len(scores))):
        at = int(allowed.argmax())
        if allowed[at] == -np.inf:
            # Better more of the same than a short page.
            allowed, room = worth.copy(), []
            at = int(allowed.argmax())
        chosen.append(at)
        worth[at] = allowed[at] = -np.inf
        for codes, code_of, left in room:
            code = code_of[at]
            left[code] -= 1
            if code >= 0 and left[code] == 0:
                allowed[codes == code] = -np.inf
        if (category := category_of[at]) >= 0:
            alike = categories == category
            worth[alike] -= penalty[category]
            allowed[alike] -= penalty[category]
            penalty[category] *= _CATEGORY_DECAY
    return chosen
