"""Which products are near, where no process holds them all? Elasticsearch's kNN over an index of vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from elasticsearch import AsyncElasticsearch
from numpy.typing import NDArray

from backends.elasticsearch_bulk import BulkWriter, Item
from backends.elasticsearch_client import hits_of_each, translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import PRODUCT_VECTORS, Mapping
from streams.product import Product
from streams.product_vectors import made_of, vector_of

# Of each shard, for one question; never fewer than what is asked for.
_LOOKED_AT: Final = 300
_AT_ONCE: Final = 1_000
_ANSWER: Final = ("responses.hits.hits._id", "responses.hits.hits._score")


class ElasticsearchProductNeighbours:
    """ProductNeighbours. Approximate, by HNSW: of the nearest 100 among 5,000 products it found all, asked 40 times.
    With a mapping whose index options are `flat` it looks at all, and misses nothing. BackendUnavailable.
    """

    def __init__(self, client: AsyncElasticsearch, indices: Indices, *, mapping: Mapping = PRODUCT_VECTORS) -> None:
        self._client = client
        self._indices = indices
        self._mapping = mapping
        self._index = indices.alias(mapping)
        self._writer = BulkWriter(indices.client)

    async def put(self, products: Sequence[Product]) -> None:
        """Add products, or put them in place of what they were; those that are the same there already cost a look."""
        await asyncio.to_thread(self._put, products)

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        """As exchange.ports.ProductNeighbours; one call for all vectors."""
        if not len(vectors):
            return []
        searches: list[dict[str, Any]] = []
        for vector in vectors.astype(np.int8).tolist():
            looked_at = max(limit, _LOOKED_AT)
            knn = {"field": "vector", "query_vector": vector, "k": limit, "num_candidates": looked_at}
            searches += [{}, {"knn": knn, "size": limit, "_source": False}]
        found = await hits_of_each(self._client, self._index, searches, _ANSWER, "looking for near products")
        return [[(hit["_id"], _inner_product(hit["_score"])) for hit in hits] for hits in found]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()
        self._indices.client.close()

    def _put(self, products: Sequence[Product]) -> None:
        self._indices.ensure([self._mapping])
        for first in range(0, len(products), _AT_ONCE):
            some = products[first : first + _AT_ONCE]
            with translated("looking which products are indexed"):
                answer = self._indices.client.mget(
                    index=self._index, ids=[one.product_id for one in some], source_includes=["made_of"]
                )
            known = {one["_id"]: one["_source"]["made_of"] for one in answer["docs"] if one.get("found")}
            changed = [one for one in some if known.get(one.product_id) != made_of(one)]
            self._writer.write(
                (
                    Item(
                        self._index,
                        one.product_id,
                        {"made_of": made_of(one), "vector": vector_of(one).tolist()},
                    )
                    for one in changed
                ),
                refresh=first + _AT_ONCE >= len(products),
            )


def _inner_product(score: float) -> int:
    """Elasticsearch folds inner products below zero into 0 to 1 and adds 1 to the others."""
    return round(score - 1.0 if score >= 1.0 else 1.0 - 1.0 / score)
