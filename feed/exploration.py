"""Which fresh posts get the places that a page keeps for them, and with what chance?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feed.index import Rows, Shelf


def draw(
    shelf: Shelf, pool: Rows, taken: Sequence[int], places: int, chance: np.random.Generator
) -> tuple[list[int], float]:
    """(rows for `places` places, the chance each of them had).

    Drawn evenly from the fresh rows of `pool` that are not `taken`: of each creator only the least seen, so a creator
    who publishes a lot does not get more of them. Caps do not hold here: a chance that is promised is given.
    """
    chosen = set(taken)
    least_seen: dict[int, int] = {}
    creators, impressions = shelf.creator, shelf.impressions
    for row in pool.tolist():
        if row not in chosen:
            known = least_seen.setdefault(int(creators[row]), row)
            if (impressions[row], row) < (impressions[known], known):
                least_seen[int(creators[row])] = row
    rows = sorted(least_seen.values())
    count = min(places, len(rows))
    if not count:
        return [], 1.0
    drawn = chance.choice(len(rows), size=count, replace=False)
    return [rows[at] for at in drawn.tolist()], count / len(rows)


def spread(ranked: Sequence[int], drawn: Sequence[int]) -> list[int]:
    """The drawn rows evenly among the ranked ones, never on top of a page that has both."""
    size = len(ranked) + len(drawn)
    at = {min((i + 1) * size // (len(drawn) + 1), size - 1): row for i, row in enumerate(drawn)}
    rest = iter(ranked)
    return [at[place] if place in at else next(rest) for place in range(size)]
