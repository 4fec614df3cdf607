"""Do the commands about the index do what they say, and say what they did?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.index_commands import index_status, rebuild_index
from app.settings import Settings
from backends.elasticsearch_bulk import BulkWriter, Item
from backends.elasticsearch_mappings import CAMPAIGNS, DEAD_LETTERS, LINE_ITEMS, PRODUCTS
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from backends.line_items_sql import SqlLineItemSource
from backends.search_elasticsearch import ElasticsearchSearch
from common.errors import InvalidInput
from feed.social.words import Document, Query, SearchKind
from tests.campaign_stores import CampaignWorld
from tests.elastic_worlds import ElasticWorld, bare_elastic, world

__all__ = ["bare_elastic", "world"]

pytestmark = pytest.mark.services


@pytest.fixture
def settings(bare_elastic: ElasticWorld, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        elasticsearch_url=bare_elastic.url,
        elasticsearch_prefix=bare_elastic.indices.prefix,
        ranker="prior",
    )


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_lost_index_is_made_anew_out_of_the_record(
    bare_elastic: ElasticWorld, world: CampaignWorld, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, _, item = world.a_whole_campaign()

    rebuild_index(settings, [], source="record", shards=1, as_json=True)
    first = told(capsys)
    bare_elastic.client.indices.delete(index=bare_elastic.indices.current(LINE_ITEMS) or "")
    rebuild_index(settings, ["line-items"], source="record", shards=2, as_json=True)
    second = told(capsys)

    assert len(first["made"]) == 9
    prefix = f"{bare_elastic.indices.prefix}-"
    assert {one["index"].removeprefix(prefix): one["documents"] for one in first["rebuilt"]} == {
        "line-items": 1, "campaigns": 1, "creatives": 1, "posts": 0, "products": 0, "people": 0,
        "product-vectors": 0,
    }  # fmt: skip
    assert [(one["source"], one["documents"], one["refused"]) for one in second["rebuilt"]] == [("record", 1, 0)]
    current = bare_elastic.indices.current(LINE_ITEMS)
    assert current is not None
    index = bare_elastic.client.indices.get_settings(index=current)[current]["settings"]["index"]
    assert index["number_of_shards"] == "2"
    source = ElasticsearchLineItemSource(bare_elastic.indices)
    assert source.active() == SqlLineItemSource(world.engine).active()
    assert source.active()[0].line_item_id == item.line_item_id


def test_what_is_copied_is_found_as_before(
    bare_elastic: ElasticWorld, world: CampaignWorld, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ElasticsearchSearch(bare_elastic.indices)
    search.ensure()
    search.put(
        [Document("a" * 32, SearchKind.PRODUCT, "1", "red boots"), Document("a" * 32, SearchKind.PRODUCT, "2", "hats")]
    )
    search.forget("a" * 32, SearchKind.PRODUCT, ["2"])

    rebuild_index(settings, ["products", "campaigns"], source="index", shards=1, as_json=True)

    assert [(one["source"], one["documents"]) for one in told(capsys)["rebuilt"]] == [("index", 1), ("index", 0)]
    found = search.find(Query("a" * 32, ("boots",), (SearchKind.PRODUCT,), now_ms=1))
    assert [one.id for one in found] == ["1"]
    assert bare_elastic.indices.current(PRODUCTS) == f"{bare_elastic.indices.alias(PRODUCTS)}-2"


def test_status_tells_what_is_outdated_behind_or_not_indexed(
    bare_elastic: ElasticWorld, world: CampaignWorld, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    world.a_whole_campaign()
    rebuild_index(settings, ["campaigns"], source="record", shards=1, as_json=True)
    world.a_whole_campaign()
    current = bare_elastic.indices.current(CAMPAIGNS)
    assert current is not None
    bare_elastic.client.indices.put_mapping(index=current, meta={"haat_mapping": 0})
    letter = {"index": "campaigns", "id": "7", "sequence": 1, "at_ms": 1, "reason": "does not fit", "document": "{}"}
    BulkWriter(bare_elastic.client).write([Item(bare_elastic.indices.alias(DEAD_LETTERS), "7", letter)], refresh=True)
    capsys.readouterr()

    index_status(settings, as_json=True)

    found = told(capsys)
    by_name = {one["index"].removeprefix(bare_elastic.indices.prefix + "-"): one for one in found["indices"]}
    assert (by_name["campaigns"]["documents"], by_name["campaigns"]["in_record"]) == (1, 2)
    assert by_name["campaigns"]["advice"] == "haat index rebuild campaigns"
    assert by_name["line-items"]["advice"] == ""
    assert found["campaigns"] == {"sequence": 4, "newest": 8}
    assert [one["reason"] for one in found["dead_letters"]] == ["does not fit"]
    index_status(settings, as_json=False)
    assert "hold every change up to 4 of 8" in capsys.readouterr().out


def test_a_name_that_is_none_and_a_missing_address_are_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        rebuild_index(settings, ["profiles"], source="disk", shards=0, as_json=True)
    assert [error.field for error in raised.value.errors] == ["NAME", "--from", "--shards"]

    with pytest.raises(InvalidInput) as raised:
        index_status(Settings(data_dir=tmp_path), as_json=True)
    assert raised.value.errors[0].field == "elasticsearch_url"
