"""Which posts show only what this session has bought already?"""

from __future__ import annotations

from feed.filters.stock import offers_something
from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows that were bought from, or whose tagged products are all bought).

    Example: after a purchase from a post of one pair of shoes, other posts of the same pair alone go too; a look of the
    shoes and a hat stays. What was bought from a post of several products is not known, so only that post goes.
    """
    gone = view.bought_from[rows]
    if view.bought:
        gone = gone | ~offers_something(view.shelf, rows, view.bought)
    return rows[~gone], rows[gone]
