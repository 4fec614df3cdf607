"""Which products are near, in this process? Any `Neighbours` over their vectors, asked in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feed.recommender.ports import Neighbours
from streams.product import Product
from streams.product_vectors import vectors_of

# Questions come in between.
_PUT_AT_ONCE: Final = 64


class LocalProductNeighbours:
    """ProductNeighbours; misses what the `neighbours` that it was given miss. Empty until products are put."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="near products")

    async def put(self, products: Sequence[Product]) -> None:
        """Add products, or put them in place of what they were."""
        loop = asyncio.get_running_loop()
        for first in range(0, len(products), _PUT_AT_ONCE):
            await loop.run_in_executor(self._thread, self._put, products[first : first + _PUT_AT_ONCE])

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        """As exchange.ports.ProductNeighbours."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._nearest, vectors, limit)

    async def close(self) -> None:
        """End its thread; what is not asked by then is not answered."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _put(self, products: Sequence[Product]) -> None:
        for product in products:
            if product.product_id not in self._rows:
                self._rows[product.product_id] = len(self._ids)
                self._ids.append(product.product_id)
        rows = np.array([self._rows[product.product_id] for product in products], np.int64)
        self._neighbours.put(rows, vectors_of(products))

    def _nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        found, products = self._neighbours.nearest(vectors, limit)
        # Of whole numbers: what an approximate index rounds is put right.
        exact = np.rint(np.where(found >= 0, products, 0.0)).astype(np.int64)
        return [
            [(self._ids[row], inner) for row, inner in zip(rows, inners, strict=True) if row >= 0]
            for rows, inners in zip(found.tolist(), exact.tolist(), strict=True)
        ]
