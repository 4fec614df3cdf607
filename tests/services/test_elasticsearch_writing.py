"""What becomes of writes that Elasticsearch cannot take, or takes in part? Each trouble has a name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from elasticsearch import ApiError, Elasticsearch

from backends.elasticsearch_bulk import TRIES, BulkWriter, Item, Outcome
from backends.elasticsearch_client import IndexDiskFull, IndexReadOnly, open_client
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import CAMPAIGNS, DEAD_LETTERS, LINE_ITEMS
from backends.elasticsearch_pages import pages
from backends.elasticsearch_rebuild import Rebuild
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from common.errors import BackendUnavailable
from tests.campaign_stores import CampaignWorld
from tests.elastic_worlds import ElasticWorld, elastic, world
from tests.services.proxy import Proxy, proxy_before

__all__ = ["elastic", "world"]

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def fresh(elastic: ElasticWorld) -> None:
    elastic.empty()


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[Proxy]:
    with proxy_before(elasticsearch_url) as opened:
        yield opened


def a_campaign(elastic: ElasticWorld, number: int, **changes: Any) -> Item:
    document = {"sequence": 1, "number": number, "tenant_id": "a", "name": f"campaign {number}", **changes}
    return Item(elastic.indices.alias(CAMPAIGNS), f"{elastic.emptied}-{number}", document, version=document["sequence"])


def numbers(elastic: ElasticWorld) -> list[int]:
    found = pages(elastic.client, elastic.indices.alias(CAMPAIGNS), {"match_all": {}})
    return sorted(hit["_source"]["number"] for page in found for hit in page)


def test_a_document_that_fits_no_mapping_is_named_and_the_rest_is_written(elastic: ElasticWorld) -> None:
    items = [
        a_campaign(elastic, 1),
        a_campaign(elastic, 2, total_micros="much"),
        a_campaign(elastic, 3, unheard_of=1),
        a_campaign(elastic, 4),
    ]

    written = BulkWriter(elastic.client).write(items, refresh=True)

    bad = Outcome.BAD_DOCUMENT
    assert [one.outcome for one in written] == [Outcome.WRITTEN, bad, bad, Outcome.WRITTEN]
    assert "total_micros" in written[1].reason
    assert "unheard_of" in written[2].reason
    assert numbers(elastic) == [1, 4]


def test_a_line_item_that_cannot_be_indexed_is_a_dead_letter_and_stops(
    elastic: ElasticWorld, world: CampaignWorld
) -> None:
    index = elastic.campaign_index(world)
    source = ElasticsearchLineItemSource(elastic.indices, index.projection)
    _, campaign, creative, first = world.a_whole_campaign()
    index.catch_up()
    second = world.a_line_item(campaign, creative)
    right = index.worths
    # No whole number of Elasticsearch is so large.
    index.worths = lambda records: [[2**63 for _ in one.creatives] for one in records]
    world.campaigns.change_bid(world.write(), first.line_item_id, 5)
    index.catch_up()

    assert index.dead_letters == 2
    assert source.active() == []
    (letters,) = list(pages(elastic.client, elastic.indices.alias(DEAD_LETTERS), {"match_all": {}}))
    assert {letter["_source"]["id"] for letter in letters} == {first.line_item_id, second.line_item_id}
    assert all("worth_micros" in letter["_source"]["reason"] for letter in letters)

    index.worths = right
    world.campaigns.change_bid(world.write(), first.line_item_id, 6)
    index.catch_up()
    assert [(one.line_item_id, one.bid_micros) for one in source.active()] == [(first.line_item_id, 6)]


def test_what_is_late_never_replaces_what_is_new(elastic: ElasticWorld) -> None:
    writer = BulkWriter(elastic.client)
    writer.write([a_campaign(elastic, 1, sequence=5, name="new")])

    late = writer.write([a_campaign(elastic, 1, sequence=4, name="old")], refresh=True)
    again = writer.write([a_campaign(elastic, 1, sequence=5, name="new")], refresh=True)

    assert [one.outcome for one in (*late, *again)] == [Outcome.SUPERSEDED, Outcome.WRITTEN]
    ((hit,),) = list(pages(elastic.client, elastic.indices.alias(CAMPAIGNS), {"match_all": {}}))
    assert hit["_source"]["name"] == "new"


class Crowded:
    """A client whose first answers say that there is too much to do: for one item, or for the whole bulk."""

    def __init__(self, client: Elasticsearch, refusals: list[int]) -> None:
        self._client = client
        self._refusals = refusals
        self.indices = client.indices
        self.asked = 0

    def bulk(self, operations: list[Any]) -> Any:
        self.asked += 1
        status = self._refusals.pop(0) if self._refusals else 0
        if status < 0:
            meta = type("Meta", (), {"status": -status})()
            raise ApiError("busy", meta=meta, body={"error": {"type": "es_rejected_execution_exception"}})
        if not status:
            return self._client.bulk(operations=operations)
        first = msgspec.json.decode(operations[0])["index"]["_id"]
        refused = {"index": {"_id": first, "status": status, "error": {"type": "busy", "reason": "too many"}}}
        rest = self._client.bulk(operations=operations[2:])["items"] if operations[2:] else []
        return {"items": [refused, *rest]}


def test_what_is_refused_for_being_too_much_comes_again_later_and_later(elastic: ElasticWorld) -> None:
    waits: list[float] = []
    client = Crowded(elastic.client, [-429, 429, 503, -503])
    writer = BulkWriter(client, wait=waits.append, chance=Random(1))  # type: ignore[arg-type]  # what it uses of one

    written = writer.write([a_campaign(elastic, number) for number in range(3)], refresh=True)

    assert [one.outcome for one in written] == [Outcome.WRITTEN] * 3
    assert numbers(elastic) == [0, 1, 2]
    assert client.asked == 5
    assert len(waits) == 4
    assert all(0.5 * 0.05 * 2**at <= wait <= 1.5 * 0.05 * 2**at for at, wait in enumerate(waits))


def test_what_is_refused_again_and_again_is_given_up(elastic: ElasticWorld) -> None:
    waits: list[float] = []
    client = Crowded(elastic.client, [-429] * TRIES)
    writer = BulkWriter(client, wait=waits.append)  # type: ignore[arg-type]  # what it uses of one

    with pytest.raises(BackendUnavailable, match="too busy"):
        writer.write([a_campaign(elastic, 1)])

    assert len(waits) == TRIES - 1


@pytest.fixture
def blocked(elastic: ElasticWorld) -> Iterator[str]:
    name = elastic.indices.current(CAMPAIGNS)
    assert name is not None
    yield name
    off = {"index.blocks.write": None, "index.blocks.read_only_allow_delete": None}
    elastic.client.indices.put_settings(index=name, settings=off)


@pytest.mark.parametrize(("block", "trouble"), [("write", IndexReadOnly), ("read_only_allow_delete", IndexDiskFull)])
def test_a_blocked_index_says_what_blocks_it_and_nobody_waits(
    elastic: ElasticWorld, world: CampaignWorld, blocked: str, block: str, trouble: type[BackendUnavailable]
) -> None:
    index = elastic.campaign_index(world)
    index.catch_up()
    _, _, _, item = world.a_whole_campaign()
    elastic.client.indices.put_settings(index=blocked, settings={f"index.blocks.{block}": True})
    waits: list[float] = []

    with pytest.raises(trouble):
        BulkWriter(elastic.client, wait=waits.append).write([a_campaign(elastic, 1)])
    with pytest.raises(trouble):
        index.catch_up()
    assert waits == []
    assert index.progress() == 0

    elastic.client.indices.put_settings(index=blocked, settings={f"index.blocks.{block}": None})
    index.catch_up()
    source = ElasticsearchLineItemSource(elastic.indices, index.projection)
    assert [one.line_item_id for one in source.active()] == [item.line_item_id]


def test_a_bulk_that_is_cut_in_the_middle_is_written_again_and_comes_to_the_same(
    elastic: ElasticWorld, proxy: Proxy
) -> None:
    items = [a_campaign(elastic, number) for number in range(3_000)]

    class Cut:
        """Loses the line after the first bulk."""

        def __init__(self) -> None:
            self.client = open_client(proxy.before(elastic.url), request_s=5)
            self.asked = 0

        def bulk(self, operations: list[Any]) -> Any:
            self.asked += 1
            if self.asked == 2:
                proxy.cut()
            return self.client.bulk(operations=operations)

    cut = Cut()
    with pytest.raises(BackendUnavailable, match="does not answer"):
        BulkWriter(cut).write(items)  # type: ignore[arg-type]  # what it uses of one
    proxy.heal()
    cut.client.close()
    elastic.client.indices.refresh(index=elastic.indices.alias(CAMPAIGNS))
    assert numbers(elastic) == list(range(1_000))

    BulkWriter(elastic.client).write(items, refresh=True)

    assert numbers(elastic) == list(range(3_000))


def test_a_rebuild_answers_all_the_while_and_loses_no_write(elastic: ElasticWorld) -> None:
    writer = BulkWriter(elastic.client)
    writer.write([a_campaign(elastic, number) for number in range(2_000)], refresh=True)
    stop = threading.Event()
    failed: list[Exception] = []
    counts: list[int] = []
    last = [0]

    def search() -> None:
        client = open_client(elastic.url)
        while not stop.is_set():
            try:
                counts.append(client.count(index=elastic.indices.alias(CAMPAIGNS))["count"])
            except Exception as error:
                failed.append(error)
        client.close()

    def write() -> None:
        client = open_client(elastic.url)
        while not stop.is_set():
            last[0] += 1
            some = [a_campaign(elastic, number, sequence=1 + last[0], name="new") for number in (last[0] % 2_000, 7)]
            try:
                BulkWriter(client).write(some, refresh=True)
            except Exception as error:
                failed.append(error)
        client.close()

    threads = [threading.Thread(target=search), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    before = elastic.indices.current(CAMPAIGNS)
    told: list[int] = []
    try:
        count = Rebuild(elastic.indices, CAMPAIGNS).copied(told.append)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    after = elastic.indices.current(CAMPAIGNS)
    assert failed == []
    assert (count, set(counts)) == (2_000, {2_000})
    assert before != after
    assert before in elastic.indices.generations(CAMPAIGNS)
    assert told[-1] >= 2_000
    elastic.client.indices.refresh(index=elastic.indices.alias(CAMPAIGNS))
    hits = [hit for page in pages(elastic.client, after or "", {"match_all": {}}) for hit in page]
    newest = {hit["_source"]["number"]: hit["_source"]["sequence"] for hit in hits}
    assert newest[7] == 1 + last[0]


def test_a_rebuild_that_breaks_off_leaves_what_answers(elastic: ElasticWorld, proxy: Proxy) -> None:
    BulkWriter(elastic.client).write([a_campaign(elastic, number) for number in range(100)], refresh=True)
    through = Indices(open_client(proxy.before(elastic.url)), elastic.indices.prefix)
    before = elastic.indices.current(CAMPAIGNS)

    def fill(into: str) -> int:
        proxy.cut()
        raise BackendUnavailable("gone")

    with pytest.raises(BackendUnavailable):
        Rebuild(through, CAMPAIGNS).filled(fill, fill)
    proxy.heal()

    assert elastic.indices.current(CAMPAIGNS) == before
    assert numbers(elastic) == list(range(100))
    assert Rebuild(elastic.indices, CAMPAIGNS).copied() == 100
    through.client.close()


def test_a_slow_elasticsearch_is_only_slow(elastic: ElasticWorld, world: CampaignWorld, proxy: Proxy) -> None:
    slow = Indices(open_client(proxy.before(elastic.url)), elastic.indices.prefix)
    index = elastic.campaign_index(world)
    _, _, _, item = world.a_whole_campaign()
    index.catch_up()

    proxy.slow(200)

    records = ElasticsearchLineItemSource(slow, index.projection).active()
    assert [one.line_item_id for one in records] == [item.line_item_id]
    slow.client.close()


def test_one_that_never_answers_is_given_up(elastic: ElasticWorld, proxy: Proxy) -> None:
    stalled = Indices(open_client(proxy.before(elastic.url), request_s=0.5), elastic.indices.prefix)
    proxy.stall()

    with pytest.raises(BackendUnavailable, match="too slow"):
        stalled.current(LINE_ITEMS)

    stalled.client.close()
