"""Which products were near those that recorded visitors had looked at? For forecasts, in a thread that may wait.

The same rule as exchange.near_products, with the catalogue as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec.structs import replace
from numpy import float32
from numpy.typing import NDArray

from exchange.near_products import ASKED_FOR, MOST_LOOKED_AT, near_of, near_visitor
from exchange.visitor import Visitor, dearest
from streams.product import Product
from streams.product_vectors import vectors_of

_ASKED_AT_ONCE: Final = 64


class Nearest(Protocol):
    """ProductNeighbours for a thread that may wait."""

    def __call__(self, vectors: NDArray[float32], limit: int, /) -> list[list[tuple[str, int]]]:
        """As `ProductNeighbours.nearest`; blocks. BackendUnavailable."""


class RecordedNear:
    """What is near which product, asked for once; made anew for each forecast. Blocks; BackendUnavailable."""

    def __init__(self, nearest: Nearest, product_of: Callable[[str], Product | None]) -> None:
        self._nearest = nearest
        self._product_of = product_of
        self._near: dict[str, dict[str, float]] = {}

    def widened(self, visitors: Sequence[Visitor]) -> list[Visitor]:
        """The visitors with what is near the products that they have looked at."""
        looked_at = [dearest(visitor.affinities, MOST_LOOKED_AT) for visitor in visitors]
        self._learn(list(dict.fromkeys(product for products in looked_at for product in products)))
        return [
            replace(visitor, near=near_visitor(visitor.affinities, products, self._near.__getitem__))
            if products
            else visitor
            for visitor, products in zip(visitors, looked_at, strict=True)
        ]

    def _learn(self, product_ids: Sequence[str]) -> None:
        fresh = [one for one in product_ids if one not in self._near]
        self._near.update((one, {}) for one in fresh)
        known = [product for one in fresh if (product := self._product_of(one)) is not None]
        for first in range(0, len(known), _ASKED_AT_ONCE):
            some = known[first : first + _ASKED_AT_ONCE]
            for product, found in zip(some, self._nearest(vectors_of(some), ASKED_FOR), strict=True):
                self._near[product.product_id] = near_of(product.product_id, found)
