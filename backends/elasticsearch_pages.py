"""How is much read out of an index? Page by page over a point in time, so that no write in between shifts the pages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, TransportError

from backends.elasticsearch_client import translated

PAGE: Final = 1_000
_KEEP_ALIVE: Final = "2m"


def pages(
    client: Elasticsearch,
    index: str,
    query: Mapping[str, Any],
    *,
    size: int = PAGE,
    by: str = "sequence",
    source: bool | dict[str, list[str]] = True,
) -> Iterator[list[dict[str, Any]]]:
    """The hits of a query in pages, in the order of `by`: all of them as they stood when the first page was read.

    BackendUnavailable in the middle when Elasticsearch goes away; read again from the last sequence then.
    """
    with translated(f"reading {index}"):
        pit = client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)["id"]
    try:
        after: list[Any] | None = None
        while True:
            with translated(f"reading {index}"):
                answer = client.search(
                    pit={"id": pit, "keep_alive": _KEEP_ALIVE},
                    query=dict(query),
                    # Every point in time adds a tie-breaker of its own.
                    sort=[{by: "asc"}],
                    search_after=after,
                    size=size,
                    source=source,
                    version=True,
                    track_total_hits=False,
                )
            pit = answer["pit_id"]
            hits = answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
    finally:
        # One that is left behind ends by itself.
        with contextlib.suppress(ApiError, TransportError):
            client.close_point_in_time(id=pit)
