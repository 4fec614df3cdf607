"""CatalogueService: how do products come in, and what does one look like from outside?"""

from __future__ import annotations

import asyncio

from common.errors import FieldError, InvalidInput, NotFound
from protos import catalogue_pb2
from streams.catalogue import Catalogue
from streams.product import PRODUCTS_AT_ONCE
from streams.schemas import product_message, products_put
from streams.shared_topics import SharedTopics
from streams.topics import PRODUCTS

SERVICE_NAME = "haat.catalogue.v1.CatalogueService"
# 4 kB for each of a thousand products, and what gRPC takes without further settings.
MAX_REQUEST_BYTES = 4 << 20
_ID_AT_MOST = 64


class CatalogueCalls:
    """The calls of CatalogueService for a caller whose tenant is known; they raise common.errors."""

    def __init__(self, catalogue: Catalogue, shared: SharedTopics | None = None) -> None:
        """`shared` where other nodes are told of the products too."""
        self._catalogue = catalogue
        self._shared = shared

    async def put_products(
        self, request: catalogue_pb2.PutProductsRequest, caller_tenant: str
    ) -> catalogue_pb2.PutProductsResponse:
        """Add or replace products; answers when they are on disk. Doing it twice is doing it once."""
        _check_tenant(request.tenant_id, caller_tenant)
        if len(request.products) > PRODUCTS_AT_ONCE:
            remedy = f"put 1 to {PRODUCTS_AT_ONCE} products at a time"
            raise InvalidInput([FieldError("products", f"{len(request.products)} products", remedy)])
        products = products_put(request, caller_tenant).products
        stored = len(products)
        if self._shared is None:
            stored = self._catalogue.put(caller_tenant, products)
            await asyncio.to_thread(self._catalogue.sync)
        elif payload := self._catalogue.prepare(caller_tenant, products):
            await asyncio.to_thread(self._shared.tell, PRODUCTS.name, payload)
            self._catalogue.follow()
        return catalogue_pb2.PutProductsResponse(stored=stored)

    async def get_product(self, request: catalogue_pb2.GetProductRequest, caller_tenant: str) -> catalogue_pb2.Product:
        """One product of the caller's tenant; NotFound for any other id."""
        _check_tenant(request.tenant_id, caller_tenant)
        product = self._catalogue.get(request.product_id)
        if product is None or product.tenant_id != caller_tenant:
            raise NotFound(f"product_id: there is no product {request.product_id[:_ID_AT_MOST]!r} of yours")
        return product_message(product)


def _check_tenant(tenant_id: str, caller_tenant: str) -> None:
    """Empty means the caller's own; another's does not exist for the caller."""
    if tenant_id not in ("", caller_tenant):
        raise NotFound(f"tenant_id: there is no tenant {tenant_id[:_ID_AT_MOST]!r} that this key may write")
