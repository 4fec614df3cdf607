"""What becomes of changes while Elasticsearch's disk is full, by its own flood stage and not by a block of ours?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from backends.elasticsearch_client import IndexDiskFull
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from services.elasticsearch import Elasticsearch
from services.engine import Place
from tests.campaign_stores import CampaignWorld, campaign_world
from tests.elastic_worlds import ElasticWorld, elastic_world
from tests.services.engines import own_engine
from tests.services.kafka import until

pytestmark = [pytest.mark.services, pytest.mark.slow]

# More free space than any disk has, and none.
_FLOODED, _DRY = "1000000tb", "1b"


class WatchesItsDisk(Elasticsearch):
    """Looks at its disk as often as it can, which is every ten seconds."""

    def prepare(self, place: Place) -> None:
        super().prepare(place)
        file = place.data / "config" / "elasticsearch.yml"
        watched = file.read_text(encoding="utf-8").replace("threshold_enabled: false", "threshold_enabled: true")
        marks = "".join(
            f"cluster.routing.allocation.disk.watermark.{stage}: {_DRY}\n" for stage in ("low", "high", "flood_stage")
        )
        file.write_text(f"{watched}{marks}cluster.info.update.interval: 10s\n", encoding="utf-8")
        heap = place.data / "config" / "jvm.options.d" / "heap.options"
        heap.write_text("-Xms512m\n-Xmx512m\n", encoding="utf-8")


@pytest.fixture
def elastic() -> Iterator[ElasticWorld]:
    with own_engine("elasticsearch", WatchesItsDisk()) as engine, elastic_world(engine.address) as opened:
        opened.ensure()
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


def test_changes_wait_for_room_and_come_by_themselves(elastic: ElasticWorld, world: CampaignWorld) -> None:
    index = elastic.campaign_index(world)
    source = ElasticsearchLineItemSource(elastic.indices, index.projection)
    _, campaign, creative, item = world.a_whole_campaign()
    index.catch_up()
    mark_disk(elastic, _FLOODED)

    bids_micros = count(item.bid_micros + 1)

    def refused() -> bool:
        # Each is another bid: one that stays as it is would write nothing.
        world.campaigns.change_bid(world.write(), item.line_item_id, next(bids_micros))
        try:
            index.catch_up()
        except IndexDiskFull:
            return True
        return False

    until(refused, 120)
    written = index.progress()
    late = world.a_line_item(campaign, creative)
    with pytest.raises(IndexDiskFull, match="until there is room"):
        index.catch_up()
    assert index.progress() == written
    # What was written before is read as ever.
    assert [one.line_item_id for one in source.active()] == [item.line_item_id]

    mark_disk(elastic, _DRY)

    def taken() -> bool:
        try:
            index.catch_up()
        except IndexDiskFull:
            return False
        return True

    until(taken, 120)
    assert {one.line_item_id for one in source.active()} == {item.line_item_id, late.line_item_id}


def mark_disk(elastic: ElasticWorld, free: str) -> None:
    """From how much free space on it takes writes."""
    stages = ("low", "high", "flood_stage")
    marks = {f"cluster.routing.allocation.disk.watermark.{stage}": free for stage in stages}
    elastic.client.cluster.put_settings(persistent=marks)
