"""How does a shop put its products into the exchange? A thousand at a time, replaced by id."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from client.connection import Connection, OverConnection, new_idempotency_key
from protos import catalogue_pb2 as wire
from protos.catalogue_pb2_grpc import CatalogueServiceStub

MAX_PRODUCTS = 1_000


class CatalogueClient(OverConnection):
    """One tenant's connection to CatalogueService. Make it in a running event loop; close it, or use `async with`."""

    def __init__(
        self,
        target: str,
        api_key: str,
        tenant_id: str,
        *,
        timeout_ms: int = 5_000,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        super().__init__(Connection(target, api_key, timeout_ms=timeout_ms, credentials=credentials))
        self._stub = CatalogueServiceStub(self._connection.channel)

    async def put_products(self, products: Sequence[wire.Product]) -> int:
        """How many were stored; sent a thousand at a time, each message with its own idempotency key."""
        stored = 0
        for at in range(0, len(products), MAX_PRODUCTS):
            request = wire.PutProductsRequest(
                tenant_id=self.tenant_id,
                idempotency_key=new_idempotency_key(),
                products=products[at : at + MAX_PRODUCTS],
            )
            stored += (await self._connection.call(self._stub.PutProducts, request)).stored
        return stored

    async def get_product(self, product_id: str) -> wire.Product:
        """One product."""
        request = wire.GetProductRequest(tenant_id=self.tenant_id, product_id=product_id)
        return await self._connection.call(self._stub.GetProduct, request)
