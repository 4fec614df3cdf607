"""Do all bids of a group win, or none of them? OpenRTB 2.6 §4.2.2: a buyer may want several placements only together.

The page is cleared as if there were no groups. When groups have won in part, the one that brings least of
them is refused, what was reserved is given back, and the batch is cleared again without it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.clearing import PENDING
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal

# After so many rounds no group is left: a bidder's many groups must not take the time of others.
MOST_ROUNDS = 6
_WON = CODE_INDEX[Refusal.WON]
_BROKEN = CODE_INDEX[Refusal.GROUP_NOT_WON]
_Rows = NDArray[np.intp]


def clear_in_groups(
    rows: BidRows,
    page_of_placement: NDArray[np.int32],
    clear: Callable[[], NDArray[np.int32]],
    give_back: Callable[[NDArray[np.int32]], None],
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """(winners by placement, the rows that were refused before they were cleared), with no group won in part.

    `clear` clears the bids of `rows`, `give_back` takes winners and undoes what they reserved.
    """
    bids = rows.bids
    groups = _groups(rows, page_of_placement)
    for group in [group for group in groups if group.lacks or (bids.outcome[group.rows] != PENDING).any()]:
        groups.remove(group)
        _refuse(rows, group.rows)
    for rounds_left in range(MOST_ROUNDS, -1, -1):
        refused_before = np.flatnonzero(bids.outcome != PENDING)
        winners = clear()
        broken = [group for group in groups if 0 < np.count_nonzero(bids.outcome[group.rows] == _WON) < len(group.rows)]
        if not broken:
            break
        give_back(winners)
        again = np.ones(len(bids.outcome), np.bool_)
        again[refused_before] = False
        bids.outcome[again] = PENDING
        bids.price_micros[again] = bids.reserved_micros[again] = 0
        # The one that brings least gives way, and may let another be whole.
        for group in [min(broken, key=lambda group: _worth(rows, group))] if rounds_left > 1 else list(groups):
            groups.remove(group)
            _refuse(rows, group.rows)
    return winners, refused_before


class _Group:
    def __init__(self, rows: _Rows, lacks: bool) -> None:
        self.rows, self.lacks = rows, lacks


def _groups(rows: BidRows, page_of_placement: NDArray[np.int32]) -> list[_Group]:
    if not any(screened.bid.group for screened in rows.outside):
        return []
    found: dict[tuple[int, int, int], list[int]] = {}
    for row in np.flatnonzero(rows.ad < 0).tolist():
        bid = rows.outside[-1 - int(rows.ad[row])].bid
        if bid.group:
            page = int(page_of_placement[rows.bids.placement[row]])
            found.setdefault((int(rows.bidder[row]), page, bid.group), []).append(row)
    return [
        _Group(np.array(mine), len(mine) < rows.outside[-1 - int(rows.ad[mine[0]])].bid.group_bids)
        for mine in found.values()
    ]


def _worth(rows: BidRows, group: _Group) -> int:
    return int(rows.bids.ecpm_micros[group.rows].sum())


def _refuse(rows: BidRows, group: _Rows) -> None:
    outcome = rows.bids.outcome
    outcome[group[outcome[group] == PENDING]] = _BROKEN
