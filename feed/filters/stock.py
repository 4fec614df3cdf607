"""Which posts show only products that cannot be bought?"""

from __future__ import annotations

from collections.abc import Set

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
    stays = offers_something(view.shelf, rows, view.sold_out)
    return rows[stays], rows[~stays]


def offers_something(shelf: Shelf, rows: Rows, without: Set[int]) -> NDArray[np.bool_]:
    """Does each row tag a product beyond those `without` (codes), or none at all?"""
    if not len(rows):
        return np.ones(0, np.bool_)
    codes, begins = shelf.codes_of(rows)
    is_product = shelf.kinds()[codes] == Kind.PRODUCT
    left = is_product & ~np.isin(codes, list(without))
    tagged: NDArray[np.bool_] = np.logical_or.reduceat(is_product, begins)
    return ~tagged | np.logical_or.reduceat(left, begins)


def product_codes(shelf: Shelf, rows: Rows) -> NDArray[np.int32]:
    """Codes of all products that these rows tag, each once: what must be looked up before this filter runs."""
    codes, _ = shelf.codes_of(rows)
    return np.unique(codes[shelf.kinds()[codes] == Kind.PRODUCT])
