"""Which posts were on a page of this cursor chain, or elsewhere in this session?"""

from __future__ import annotations

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows that were served).

    Example: page 1 showed A and B, a page in another tab C; page 2 of the chain gets neither A, B nor C. When too
    little is left, the timeline takes C back in; A and B never.
    """
    gone = view.shown_in_chain[rows] | view.seen_in_session[rows]
    return rows[~gone], rows[gone]
