"""Which posts show only products that are not sold where the visitor is?"""

from __future__ import annotations

from feed.filters.stock import offers_something
from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows whose tagged products are all sold elsewhere only); all stay where no country is known.

    Example: a product with the attribute `sold_in` "DE AT" is not for a visitor in FR; one without it is for everybody.
    """
    if not len(rows) or not view.sold_elsewhere:
        return rows, rows[:0]
    stays = offers_something(view.shelf, rows, view.sold_elsewhere)
    return rows[stays], rows[~stays]
