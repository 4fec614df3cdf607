"""How do look-alike campaigns find their visitors? The catalogue as vectors, in this process or in Elasticsearch."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.settings import Settings
from app.wiring_elasticsearch import indices_of
from backends.elasticsearch_client import open_async_client
from backends.neighbours_usearch import UsearchNeighbours
from backends.product_neighbours_elasticsearch import ElasticsearchProductNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.inventory_follower import InventoryFollower
from exchange.near_products import NearProducts
from exchange.near_recorded import RecordedNear
from streams.catalogue import Catalogue
from streams.product import Product

_DIMENSION: Final = "near_product"
_AT_ONCE: Final = 1_000
FORECAST_WAIT_S: Final = 60.0

_log = logging.getLogger(__name__)


class _Neighbours(Protocol):
    async def put(self, products: Sequence[Product]) -> None: ...

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]: ...

    async def close(self) -> None: ...


def look_alikes_of(settings: Settings, clock: Clock, catalogue: Catalogue, follower: InventoryFollower) -> LookAlikes:
    """Near products by Elasticsearch where line items are found there, else in this process, and there not before the
    first line item wants them; nothing is asked yet.
    """
    wait_s = settings.inventory_wait_ms / 1000
    neighbours: _Neighbours
    if settings.elasticsearch_url and settings.inventory == "direct":
        client = open_async_client(settings.elasticsearch_url)
        neighbours = ElasticsearchProductNeighbours(client, indices_of(settings))
        return LookAlikes(neighbours, catalogue, clock, wait_s=wait_s, wanted=lambda: True)
    neighbours = LocalProductNeighbours(UsearchNeighbours())
    return LookAlikes(
        neighbours, catalogue, clock, wait_s=wait_s,
        wanted=lambda: bool(follower.snapshot.vocabulary.terms[_DIMENSION]),
    )  # fmt: skip


class LookAlikes:
    """What is near which product, following the catalogue."""

    def __init__(
        self,
        neighbours: _Neighbours,
        catalogue: Catalogue,
        clock: Clock,
        *,
        wait_s: float,
        wanted: Callable[[], bool],
    ) -> None:
        self._neighbours = neighbours
        self._catalogue = catalogue
        self._wanted = wanted
        self._filled = self._failing = False
        self._changed: deque[Product] = deque()
        self._product_of = catalogue.get
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filling = asyncio.Lock()
        self.near = NearProducts(neighbours, catalogue.get, clock, wait_s=wait_s, wanted=wanted)
        catalogue.on_change(self._note)

    async def keep_up(self) -> None:
        """Take in what is new in the catalogue: all of it at first, and again after a trouble."""
        self._loop = asyncio.get_running_loop()
        if self._filled or self._wanted():
            async with self._filling:
                await self._take_in()

    def recorded(self) -> RecordedNear:
        """For a forecast, whose thread waits until the catalogue is taken in, at most `FORECAST_WAIT_S`."""
        return RecordedNear(self._nearest, self._product_of)

    def _nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        if self._loop is None:
            raise BackendUnavailable("near products are not known yet: try again in a moment")
        asked = asyncio.run_coroutine_threadsafe(self._nearest_of_all(vectors, limit), self._loop)
        try:
            return asked.result(FORECAST_WAIT_S)
        except TimeoutError:
            asked.cancel()
            raise BackendUnavailable("the catalogue is still taken in for near products: try again later") from None

    async def _nearest_of_all(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        async with self._filling:
            await self._take_in()
        if not self._filled:
            raise BackendUnavailable("products cannot be indexed for near products: try again later")
        return await self._neighbours.nearest(vectors, limit)

    async def _take_in(self) -> None:
        if not self._filled:
            self._changed.clear()
            self._changed.extend(self._catalogue.all())
            self._filled = True
        try:
            while self._changed:
                some = [self._changed.popleft() for _ in range(min(len(self._changed), _AT_ONCE))]
                await self._neighbours.put(some)
        except BackendUnavailable as error:
            self._filled = False
            if not self._failing:
                _log.warning("products cannot be indexed for look-alikes, they wait: %s", error)
            self._failing = True
            return
        self._failing = False

    async def close(self) -> None:
        """Let go of what it asks."""
        await self._neighbours.close()

    def _note(self, products: Sequence[Product]) -> None:
        if self._filled:
            self._changed.extend(products)
