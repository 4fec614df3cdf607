"""Which vectors are nearest, where no process holds them all? Elasticsearch's graphs (HNSW) over dense vectors."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from backends.elasticsearch_bulk import BulkWriter, Item
from backends.elasticsearch_client import translated

_LINKS: Final = 24
_LOOKED_AT_ADDING: Final = 160
# Of each shard, for one query; never fewer than what is asked for.
_LOOKED_AT_SEARCHING: Final = 300


class ElasticsearchNeighbours:
    """Neighbours in an index of its own, made with the first vectors; their width is then that of all.

    Approximate: of the nearest 100 it found 99 and more among 5,000 vectors of 32 numbers with lengths as uneven as
    those of popular and rare items. Unlike the others it stays when the process ends; `close` removes it.
    """

    def __init__(self, client: Elasticsearch, index: str) -> None:
        self._client = client
        self._index = index
        self._writer = BulkWriter(client)
        self._made = False

    def holds(self, count: int) -> bool:
        """Is the index there, with so many vectors? BackendUnavailable."""
        with translated("counting vectors"):
            if not self._client.indices.exists(index=self._index):
                return False
            self._made = True
            return int(self._client.count(index=self._index)["count"]) == count

    def drop_others(self, beginning: str, keep: int) -> list[str]:
        """Remove indices whose names begin so and end with a number, but the `keep` with the largest numbers and the
        own; which ones went. BackendUnavailable.
        """
        with translated("looking for older indices"):
            found = self._client.indices.get(index=f"{beginning}*", filter_path="*.settings.index.uuid")
        numbered = sorted(
            (name for name in found if name.removeprefix(beginning).isdecimal()),
            key=lambda name: int(name.removeprefix(beginning)),
        )
        gone = [name for name in numbered[: max(len(numbered) - keep, 0)] if name != self._index]
        if gone:
            with translated("removing older indices"):
                self._client.indices.delete(index=gone, ignore_unavailable=True)
        return gone

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """As feed.recommender.ports.Neighbours; BackendUnavailable."""
        if not len(rows):
            return
        if not self._made:
            self._make(vectors.shape[1])
        self._writer.write(
            (
                Item(self._index, str(row), {"row": row, "vector": vector})
                for row, vector in zip(rows.tolist(), vectors.astype(np.float32).tolist(), strict=True)
            ),
            refresh=True,
        )

    def remove(self, rows: NDArray[np.int64]) -> None:
        """As feed.recommender.ports.Neighbours; BackendUnavailable."""
        if self._made and len(rows):
            self._writer.write((Item(self._index, str(row), None) for row in rows.tolist()), refresh=True)

    def nearest(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As feed.recommender.ports.Neighbours; one call for all queries. BackendUnavailable."""
        rows = np.full((len(queries), limit), -1, np.int64)
        products = np.full((len(queries), limit), -np.inf, np.float32)
        if not self._made or not len(queries):
            return rows, products
        searches: list[dict[str, Any]] = []
        for query in queries.astype(np.float32).tolist():
            looked_at = max(limit, _LOOKED_AT_SEARCHING)
            knn = {"field": "vector", "query_vector": query, "k": limit, "num_candidates": looked_at}
            searches += [{}, {"knn": knn, "size": limit, "_source": False, "docvalue_fields": ["row"]}]
        with translated("looking for neighbours"):
            answer = self._client.msearch(index=self._index, searches=searches)
        for at, response in enumerate(answer["responses"]):
            hits = response["hits"]["hits"]
            rows[at, : len(hits)] = [hit["fields"]["row"][0] for hit in hits]
            products[at, : len(hits)] = [_product(hit["_score"]) for hit in hits]
        return rows, products

    def close(self) -> None:
        """Remove the index."""
        with translated("removing an index"):
            self._client.indices.delete(index=self._index, ignore_unavailable=True)
        self._made = False

    def _make(self, width: int) -> None:
        graph = {"type": "hnsw", "m": _LINKS, "ef_construction": _LOOKED_AT_ADDING}
        vector = {"type": "dense_vector", "dims": width, "similarity": "max_inner_product", "index_options": graph}
        with translated("making an index"):
            if not self._client.indices.exists(index=self._index):
                self._client.indices.create(
                    index=self._index,
                    settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
                    mappings={"dynamic": "strict", "properties": {"row": {"type": "long"}, "vector": vector}},
                )
        self._made = True


def _product(score: float) -> float:
    """The inner product behind a score: Elasticsearch folds those below zero into 0 to 1 and adds 1 to the others."""
    return score - 1.0 if score >= 1.0 else 1.0 - 1.0 / score
