"""Step 3, for look-alikes: which products are near those that these visitors have looked at? Gathered before deciding.

What is near a product is looked for once and kept for some seconds. A batch that wants to know it for the first time
waits, but no longer than it may; what comes later serves the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.ports import ProductNeighbours
from exchange.visitor import Visitor, dearest
from streams.product import Product
from streams.product_vectors import similarity, vectors_of

# Of a visitor's products so many are looked at, the dearest to the visitor first.
MOST_LOOKED_AT: Final = 8
# So many are near a product at most, and so many near a visitor.
MOST_NEAR: Final = 50
MOST_NEAR_VISITOR: Final = 200
# What is less like it is not near it.
LEAST_SIMILARITY: Final = 0.6
ASK_AGAIN_MS: Final = 10_000
# Equally near products are told apart by their ids; so many more are asked for, for that.
ASKED_FOR: Final = 2 * MOST_NEAR
# A batch that is full of new products asks in parts: what is found early is there early.
_ASKED_AT_ONCE: Final = 16
_MOST_REMEMBERED: Final = 50_000

_log = logging.getLogger(__name__)


class NearProducts:
    """What is near which product, kept. Used on the event loop's thread; a product that `product_of` does not know has
    nothing near it. `wanted` says whether anybody would bid for it.
    """

    def __init__(
        self,
        neighbours: ProductNeighbours,
        product_of: Callable[[str], Product | None],
        clock: Clock,
        *,
        wait_s: float,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._neighbours = neighbours
        self._product_of = product_of
        self._clock = clock
        self._wait_s = wait_s
        self._wanted = wanted
        self._near: OrderedDict[str, tuple[int, dict[str, float]]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failing = False

    async def widened(self, visitors: Sequence[Visitor]) -> list[Visitor]:
        """The visitors with what is near the products that they have looked at, as far as it is known in time."""
        if not self._wanted():
            return list(visitors)
        looked_at = [dearest(visitor.affinities, MOST_LOOKED_AT) for visitor in visitors]
        if not any(looked_at):
            return list(visitors)
        await self._learn(dict.fromkeys(product for products in looked_at for product in products))
        return [
            msgspec.structs.replace(visitor, near=near)
            if products and (near := near_visitor(visitor.affinities, products, self._near_product))
            else visitor
            for visitor, products in zip(visitors, looked_at, strict=True)
        ]

    async def _learn(self, product_ids: Mapping[str, None]) -> None:
        now_ms = self._clock.now_ms()
        stale = [one for one in product_ids if one not in self._near or now_ms - self._near[one][0] >= ASK_AGAIN_MS]
        unasked = [one for one in stale if one not in self._under_way]
        tasks = {self._under_way[one] for one in stale if one in self._under_way}
        for first in range(0, len(unasked), _ASKED_AT_ONCE):
            some = unasked[first : first + _ASKED_AT_ONCE]
            task = asyncio.create_task(self._ask(some, now_ms))
            self._under_way.update(dict.fromkeys(some, task))
            tasks.add(task)
        if tasks:
            await asyncio.wait(tasks, timeout=self._wait_s)

    async def _ask(self, product_ids: Sequence[str], now_ms: int) -> None:
        known = [product for one in product_ids if (product := self._product_of(one)) is not None]
        try:
            found = await self._neighbours.nearest(vectors_of(known), ASKED_FOR) if known else []
        except BackendUnavailable as error:
            # What was near before is still the best that is known.
            if not self._failing:
                _log.warning("near products cannot be looked for, those found before serve on: %s", error)
            self._failing = True
            return
        finally:
            for one in product_ids:
                self._under_way.pop(one, None)
        self._failing = False
        near = {one: dict[str, float]() for one in product_ids}
        for product, nearest in zip(known, found, strict=True):
            near[product.product_id] = near_of(product.product_id, nearest)
        for one, products in near.items():
            self._near[one] = (now_ms, products)
            self._near.move_to_end(one)
        while len(self._near) > _MOST_REMEMBERED:
            self._near.popitem(last=False)

    def _near_product(self, product_id: str) -> Mapping[str, float]:
        return self._near.get(product_id, (0, {}))[1]


def near_visitor(
    affinities: Mapping[str, float], products: Sequence[str], near_product: Callable[[str], Mapping[str, float]]
) -> dict[str, float]:
    """Each product that is near one of these, by the affinity to it times how like it is, the most so. `near_product`
    gives what is near one product, by similarity.
    """
    near: dict[str, float] = {}
    for looked_at in products:
        affinity = affinities[looked_at]
        for product, like in near_product(looked_at).items():
            if product not in affinities and affinity * like > near.get(product, 0.0):
                near[product] = affinity * like
    return {product: near[product] for product in dearest(near, MOST_NEAR_VISITOR)}


def near_of(product_id: str, found: Sequence[tuple[str, int]]) -> dict[str, float]:
    """What of the found (product, inner product) is near this one, by similarity."""
    best = sorted((-inner_product, other) for other, inner_product in found if other != product_id)
    likes = ((other, similarity(-negative)) for negative, other in best[:MOST_NEAR])
    return {other: like for other, like in likes if like >= LEAST_SIMILARITY}
