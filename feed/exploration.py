"""Which fresh posts get the places that a page keeps for them, and with what chance?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from feed.index import Rows, Shelf

# Each place is drawn out of so many that were drawn before it: what another ranking would have put there can be told
# from the record, and how often it would have agreed with the draw is known (one in so many).
SHORTLIST = 4


class Draw(NamedTuple):
    """Rows for the places, the chance that each fresh row had, and with each row those it was drawn out of."""

    rows: list[int]
    chance: float
    alternatives: list[list[int]]


def draw(shelf: Shelf, pool: Rows, taken: Sequence[int], places: int, chance: np.random.Generator) -> Draw:
    """Fresh rows for `places` places.

    Drawn evenly from the fresh rows of `pool` that are not `taken`: of each creator only the least seen, so a creator
    who publishes a lot does not get more of them. Caps do not hold here: a chance that is promised is given.
    """
    pool = pool[~np.isin(pool, taken)]
    creators = shelf.creator[pool]
    by_creator = np.lexsort((pool, shelf.impressions[pool], creators))
    least_seen = by_creator[np.diff(creators[by_creator], prepend=-1) != 0]
    rows = np.sort(pool[least_seen]).tolist()
    count = min(places, len(rows))
    if not count:
        return Draw([], 1.0, [])
    each = min(SHORTLIST, len(rows) // count)
    drawn = [rows[at] for at in chance.choice(len(rows), size=count * each, replace=False).tolist()]
    shortlists = [drawn[at : at + each] for at in range(0, len(drawn), each)]
    return Draw(
        [shortlist[0] for shortlist in shortlists], count / len(rows), [shortlist[1:] for shortlist in shortlists]
    )


def spread(ranked: Sequence[int], drawn: Sequence[int]) -> list[int]:
    """The drawn rows evenly among the ranked ones, never on top of a page that has both."""
    size = len(ranked) + len(drawn)
    at = {min((i + 1) * size // (len(drawn) + 1), size - 1): row for i, row in enumerate(drawn)}
    rest = iter(ranked)
    return [at[place] if place in at else next(rest) for place in range(size)]
