"""Where does the inventory snapshot come from, with Elasticsearch? LineItemSource over the index of line items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from elasticsearch import NotFoundError

from backends.campaign_index_elasticsearch import PROJECTION
from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import LINE_ITEMS, PROGRESS
from backends.elasticsearch_pages import pages
from exchange.ports import LineItemRecord

_KEPT = {"includes": ["running", "record"]}


class ElasticsearchLineItemSource:
    """LineItemSource: its sequence is that of the outbox as far as the index holds it. BackendUnavailable when
    Elasticsearch does not answer: then the last snapshot serves on.
    """

    def __init__(self, indices: Indices, projection: str = PROJECTION) -> None:
        self._projection = projection
        self._indices = indices
        self._alias = indices.alias(LINE_ITEMS)

    def sequence(self) -> int:
        """The sequence that the index holds everything up to, 0 before it holds anything."""
        with translated("reading the progress of the index"):
            try:
                answer = self._indices.client.get(index=self._indices.alias(PROGRESS), id=self._projection)
            except NotFoundError:
                return 0
        return int(answer["_source"]["sequence"])

    def active(self) -> list[LineItemRecord]:
        """All line items that could run, by their number."""
        if self._indices.current(LINE_ITEMS) is None:
            return []
        running = {"term": {"running": True}}
        records = [record_of(hit) for hit in self._hits(running)]
        return sorted(records, key=lambda record: record.number)

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        """What was written beyond `sequence`; also what is written just now and lies beyond the newest, which comes
        once more then.
        """
        # The progress first: all that it speaks of can be found by then.
        newest = self.sequence()
        if newest <= sequence:
            return newest, [], []
        records, stopped = [], []
        for hit in self._hits({"range": {"sequence": {"gt": sequence}}}):
            if hit["_source"]["running"]:
                records.append(record_of(hit))
            else:
                stopped.append(hit["_id"])
        return newest, sorted(records, key=lambda record: record.number), stopped

    def records(self, line_item_ids: Iterable[str]) -> list[LineItemRecord]:
        """These line items, as far as they could run."""
        ids = list(line_item_ids)
        if not ids:
            return []
        with translated("reading line items"):
            found = self._indices.client.mget(index=self._alias, ids=ids, source_includes=_KEPT["includes"])["docs"]
        return [record_of(one) for one in found if one.get("found") and one["_source"]["running"]]

    def _hits(self, which: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for page in pages(self._indices.client, self._alias, {"bool": {"filter": [which]}}, source=_KEPT):
            yield from page


def record_of(hit: dict[str, Any]) -> LineItemRecord:
    """The record that a document holds as it was."""
    return msgspec.convert(hit["_source"]["record"], LineItemRecord)


def ids_of(hits: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Ids of line items that were found, best first."""
    return tuple(hit["_id"] for hit in hits)
