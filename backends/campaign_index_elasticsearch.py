"""How do campaign changes reach Elasticsearch? A projection of the SQL record, followed by the outbox's sequence.

The record is SQL; the index may be lost and made again. Every document carries the sequence it was written by as its
external version, so that writing again, or by two processes at once, comes to the same. What is written is made visible
before the progress says so: whoever reads the progress first finds all that it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from elasticsearch import NotFoundError
from sqlalchemy import Row

from backends.campaign_documents import line_item_document, stopped_document
from backends.campaign_rows_changed_sql import CampaignRows, Changed
from backends.elasticsearch_bulk import BulkWriter, Item, Outcome, Written
from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import CAMPAIGNS, CREATIVES, DEAD_LETTERS, LINE_ITEMS, PROGRESS, Mapping
from common.clock import Clock
from exchange.campaign_search import words_of
from exchange.ports import LineItemRecord

# The name of the projection in the index of progress.
PROJECTION: Final = "campaigns"

# What the projection writes into.
CAMPAIGN_MAPPINGS: Final = (LINE_ITEMS, CAMPAIGNS, CREATIVES, DEAD_LETTERS, PROGRESS)

Worths = Callable[[Sequence[LineItemRecord]], list[list[int]]]


class CampaignIndex:
    """Carries line items, campaigns and creatives over. Every call blocks: call it in a thread, one at a time."""

    def __init__(
        self,
        indices: Indices,
        rows: CampaignRows,
        clock: Clock,
        *,
        worths: Worths,
        writer: BulkWriter | None = None,
        projection: str = PROJECTION,
    ) -> None:
        self.projection = projection
        self._indices = indices
        self._rows = rows
        self._clock = clock
        self.worths = worths
        self.writer = writer or BulkWriter(indices.client)
        self.dead_letters = 0
        # What the index was last seen to hold, and when it was last seen to hold everything.
        self.sequence = 0
        self.fresh_at_ms = 0

    def catch_up(self) -> int:
        """Take over what has changed since the progress; how many documents were written. BackendUnavailable."""
        before = self.progress()
        if before is None or not self._rows.reaches_back_to(before):
            self._indices.ensure(CAMPAIGN_MAPPINGS)
            return self.fill()
        changed = self._rows.changed_since(before)
        count = self.write(changed) if changed.sequence > before else 0
        if changed.sequence > before:
            self._move(changed.sequence)
        self.sequence, self.fresh_at_ms = max(before, changed.sequence), self._clock.now_ms()
        return count

    def fill(self, told: Callable[[int], object] = lambda _: None) -> int:
        """Take over everything; `told` hears how many documents there are so far."""
        count, first = 0, None
        for changed in self._rows.all():
            first = changed.sequence if first is None else first
            count += self.write(changed)
            told(count)
        self._move(first or 0)
        return count

    def progress(self) -> int | None:
        """The sequence that the index holds everything up to; None before the first fill."""
        with translated("reading the progress of the index"):
            try:
                answer = self._indices.client.get(index=self._indices.alias(PROGRESS), id=self.projection)
            except NotFoundError:
                return None
        return int(answer["_source"]["sequence"])

    def write(self, changed: Changed, into: dict[str, str] | None = None) -> int:
        """Write these rows and make them visible; how many documents. `into` names other indices than the aliases, by
        the mapping's name.
        """
        items = list(self.items(changed, into or {}))
        self._bury(self.writer.write(items, refresh=True))
        return len(items)

    def items(self, changed: Changed, into: dict[str, str]) -> Iterator[Item]:
        """The documents of these rows."""

        def item(mapping: Mapping, id_: str, document: dict[str, Any]) -> Item:
            index = into.get(mapping.name, self._indices.alias(mapping))
            return Item(index, id_, document, version=document["sequence"])

        now_ms = self._clock.now_ms()
        worths = self.worths([record for _, record in changed.line_items])
        for (row, record), worth in zip(changed.line_items, worths, strict=True):
            about = {
                "tenant_id": row.tenant_id,
                "name": row.name,
                "state": row.state,
                "running": bool(row.could_run),
                "advertiser_name": row.advertiser_name,
            }
            yield item(
                LINE_ITEMS, record.line_item_id, line_item_document(record, about, worth, changed.sequence, now_ms)
            )
        for row in changed.campaigns:
            yield item(CAMPAIGNS, row.campaign_id, _campaign(row, changed.sequence))
        for row in changed.creatives:
            yield item(CREATIVES, row.creative_id, _creative(row, changed.sequence))

    def _bury(self, written: Iterable[Written]) -> None:
        """Put what can never be indexed among the dead letters, and stop line items whose newest form that is."""
        bad = [one for one in written if one.outcome is Outcome.BAD_DOCUMENT]
        if not bad:
            return
        now_ms = self._clock.now_ms()
        alias = self._indices.alias(DEAD_LETTERS)
        letters, stopped = [], []
        for one in bad:
            document = one.item.document or {}
            letter = {
                "index": one.item.index,
                "id": one.item.id,
                "sequence": document.get("sequence", 0),
                "at_ms": now_ms,
                "reason": one.reason,
                "document": msgspec.json.encode(document).decode(),
            }
            letters.append(Item(alias, f"{one.item.index}:{one.item.id}:{letter['sequence']}", letter))
            if "running" in document:
                stop = stopped_document(one.item.id, document["number"], document["tenant_id"], document["sequence"])
                stopped.append(Item(one.item.index, one.item.id, stop, version=document["sequence"]))
        self.writer.write([*letters, *stopped], refresh=True)
        self.dead_letters += len(letters)

    def _move(self, sequence: int) -> None:
        document = {"sequence": sequence, "at_ms": self._clock.now_ms()}
        self.writer.write([Item(self._indices.alias(PROGRESS), self.projection, document, version=sequence)])


def _campaign(row: Row[Any], sequence: int) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "number": row.number,
        "tenant_id": row.tenant_id,
        "state": row.state,
        "name": row.name,
        "name_words": words_of(row.name),
        "campaign_id": row.campaign_id,
        "advertiser_id": row.advertiser_id,
        "advertiser_name": row.advertiser_name,
        "currency": row.currency,
        "total_micros": row.total_micros,
        "daily_micros": row.daily_micros,
    }


def _creative(row: Row[Any], sequence: int) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "number": row.number,
        "tenant_id": row.tenant_id,
        "name": row.title,
        "name_words": words_of(row.title),
        "advertiser_id": row.advertiser_id,
        "advertiser_name": row.advertiser_name,
        "formats": [row.format],
        "review_states": [row.review_state],
        "product_id": row.product_id,
        "categories": [row.category] if row.category else [],
    }
