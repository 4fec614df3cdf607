"""Which posts show only products that cannot be bought?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Kind, Rows, Shelf
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows whose tagged products are all sold out); a post without products stays.

    Example: a look of shoes and a hat stays while one of them can be bought.
    """
    if not len(rows) or not view.sold_out:
        return rows, rows[:0]
    codes, begins = view.shelf.codes_of(rows)
    is_product = view.shelf.kinds()[codes] == Kind.PRODUCT
    sold_out = np.isin(codes, list(view.sold_out))
    tagged = np.logical_or.reduceat(is_product, begins)
    can_buy = np.logical_or.reduceat(is_product & ~sold_out, begins)
    gone = tagged & ~can_buy
    return rows[~gone], rows[gone]


def product_codes(shelf: Shelf, rows: Rows) -> NDArray[np.int32]:
    """Codes of all products that these rows tag, each once: what must be looked up before this filter runs."""
    codes, _ = shelf.codes_of(rows)
    return np.unique(codes[shelf.kinds()[codes] == Kind.PRODUCT])
