"""An Elasticsearch of one's own for a test: a prefix that nobody else uses, emptied at will, removed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from elasticsearch import Elasticsearch

from backends.campaign_documents import line_item_document, stopped_document
from backends.campaign_index_elasticsearch import CAMPAIGN_MAPPINGS, PROJECTION, CampaignIndex
from backends.campaign_rows_changed_sql import CampaignRows
from backends.elasticsearch_bulk import BulkWriter, Item
from backends.elasticsearch_client import open_client
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import LINE_ITEMS, MAPPINGS, PRODUCT_VECTORS, PROGRESS, Mapping
from backends.elasticsearch_pages import pages
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from common.clock import SteppedClock
from common.ids import new_id
from exchange.ports import LineItemRecord, Ranker
from exchange.static_worth import StaticWorths
from tests.builders import FlatRanker
from tests.campaign_stores import CampaignWorld, campaign_world

TENANT = "a" * 32
T = TypeVar("T")


class ElasticWorld:
    """Indices under a prefix of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = SteppedClock()
        self.client: Elasticsearch = open_client(url)
        self.indices = Indices(self.client, f"haat-test-{new_id(self.clock.now_ms())[-12:]}")
        self.made: set[str] = set()
        # Part of a test's own ids: what was deleted under an id is remembered, and goes before older versions.
        self.emptied = 0

    def ensure(self, mappings: Sequence[Mapping] = CAMPAIGN_MAPPINGS) -> Indices:
        """Make these indices once."""
        made = self.indices.ensure([mapping for mapping in mappings if mapping.name not in self.made])
        if made:
            # Nothing here must outlive the machine.
            self.client.indices.put_settings(index=made, settings={"index.translog.durability": "async"})
        self.made.update(mapping.name for mapping in mappings)
        return self.indices

    def empty(self) -> None:
        """Remove all documents."""
        self.emptied += 1
        gone = []
        for mapping in MAPPINGS:
            if mapping.name in self.made:
                alias = self.indices.alias(mapping)
                self.client.indices.refresh(index=alias)
                gone += [
                    Item(alias, hit["_id"], None)
                    for page in pages(self.client, alias, {"match_all": {}}, source=False, by="_doc")
                    for hit in page
                ]
        BulkWriter(self.client).write(gone, refresh=True)

    def close(self) -> None:
        """Remove everything."""
        self.indices.remove_all()
        self.client.close()

    def campaign_index(self, world: CampaignWorld, **given: Any) -> CampaignIndex:
        """A projection of this world's campaigns with a progress of its own."""
        self.ensure()
        given.setdefault("worths", StaticWorths(ranker=FlatRanker()))
        return CampaignIndex(
            self.indices, CampaignRows(world.engine), world.clock, projection=new_id(world.clock.now_ms()), **given
        )

    def put(self, records: Iterable[LineItemRecord], *, sequence: int = 1, ranker: Ranker | None = None) -> None:
        """Index line items that are in no SQL store."""
        records = list(records)
        worths = StaticWorths(ranker=ranker or FlatRanker())(records)
        about = {"tenant_id": TENANT, "name": "a line item", "state": 1, "running": True, "advertiser_name": "a brand"}
        alias = self.ensure().alias(LINE_ITEMS)
        BulkWriter(self.client).write(
            [
                Item(
                    alias, one.line_item_id, line_item_document(one, about, worth, sequence, self.clock.now_ms())
                )
                for one, worth in zip(records, worths, strict=True)
            ],
            refresh=True,
        )  # fmt: skip

    def stop(self, line_item_id: str, number: int, *, sequence: int) -> None:
        """A line item that is in no SQL store runs no more."""
        stopped = stopped_document(line_item_id, number, TENANT, sequence)
        BulkWriter(self.client).write([Item(self.indices.alias(LINE_ITEMS), line_item_id, stopped)], refresh=True)

    def moved_to(self, sequence: int) -> None:
        """Say that the index holds everything up to here."""
        alias = self.indices.alias(PROGRESS)
        BulkWriter(self.client).write([Item(alias, PROJECTION, {"sequence": sequence, "at_ms": 0})])


@contextmanager
def elastic_world(url: str) -> Iterator[ElasticWorld]:
    """Open, and remove what was made in the end."""
    world = ElasticWorld(url)
    try:
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def elastic(elasticsearch_url: str) -> Iterator[ElasticWorld]:
    """The indices of campaigns for a whole module of tests, which empty them; import it to use it."""
    with elastic_world(elasticsearch_url) as opened:
        opened.ensure()
        yield opened


@pytest.fixture
def bare_elastic(elasticsearch_url: str) -> Iterator[ElasticWorld]:
    """A prefix without any index, for one test."""
    with elastic_world(elasticsearch_url) as opened:
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    """Campaigns in a database of the test's own."""
    with campaign_world(tmp_path) as opened:
        yield opened


def exact_vectors() -> Mapping:
    """The mapping of products' vectors by which kNN looks at all of them."""
    vector = {**PRODUCT_VECTORS.fields["vector"], "index_options": {"type": "flat"}}
    return msgspec.structs.replace(PRODUCT_VECTORS, fields={**PRODUCT_VECTORS.fields, "vector": vector})


class IndexedSource:
    """LineItemSource over an index that is brought up to date before it is asked, as nobody waits in a test."""

    def __init__(self, index: CampaignIndex, source: ElasticsearchLineItemSource) -> None:
        self._index = index
        self._source = source

    def sequence(self) -> int:
        return self._asked(self._source.sequence)

    def active(self) -> list[LineItemRecord]:
        return self._asked(self._source.active)

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        return self._asked(lambda: self._source.changed_since(sequence))

    def _asked(self, question: Callable[[], T]) -> T:
        self._index.catch_up()
        return question()
