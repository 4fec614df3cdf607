"""What every CampaignSearch promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backends.campaign_search_elasticsearch import ElasticsearchCampaignSearch
from backends.campaign_search_sql import SqlCampaignSearch
from common.errors import InvalidInput
from exchange.campaign_search import CampaignHit, CampaignHits, CampaignQuery, Found
from exchange.campaign_values import State
from exchange.campaigns import Campaigns
from tests.campaign_stores import CampaignWorld
from tests.elastic_worlds import ElasticWorld, elastic, world

__all__ = ["elastic", "world"]

pytestmark = pytest.mark.on_every_database

BACKENDS = [pytest.param("sql"), pytest.param("elasticsearch", marks=pytest.mark.services)]
Find = Callable[..., CampaignHits]


@pytest.fixture(params=BACKENDS)
def find(request: pytest.FixtureRequest, world: CampaignWorld) -> Find:
    if request.param == "sql":
        sql = SqlCampaignSearch(world.engine)
        return lambda **asked: sql.find(CampaignQuery(**{"tenant_id": world.tenant_a, **asked}))
    elastic: ElasticWorld = request.getfixturevalue("elastic")
    index = elastic.campaign_index(world)
    elastic.empty()
    search = ElasticsearchCampaignSearch(elastic.indices)

    def asked_after_indexing(**asked: Any) -> CampaignHits:
        index.catch_up()
        return search.find(CampaignQuery(**{"tenant_id": world.tenant_a, **asked}))

    return asked_after_indexing


def names(found: CampaignHits) -> list[str]:
    return [one.name for one in found.hits]


def test_all_of_a_thing_is_told(world: CampaignWorld, find: Find) -> None:
    advertiser, campaign, creative, item = world.a_whole_campaign()

    found = find(kinds=tuple(Found))

    who = (advertiser.advertiser_id, advertiser.name)
    assert found.total == 3
    assert list(found.hits) == [
        CampaignHit(Found.CAMPAIGN, campaign.campaign_id, 1, "Winter", State.ACTIVE, *who, campaign.campaign_id, ()),
        CampaignHit(Found.LINE_ITEM, item.line_item_id, 1, "Everybody", State.ACTIVE, *who, campaign.campaign_id, (1,)),
        CampaignHit(Found.CREATIVE, creative.creative_id, 1, "A chair", 0, *who, "", (1,)),
    ]


def test_words_begin_words_of_the_name_whatever_their_case_and_accents(world: CampaignWorld, find: Find) -> None:
    advertiser = world.an_advertiser()
    for name in ("Café Winter 2026", "winter sale", "Sommer", "हिन्दी Winter"):
        world.a_campaign(advertiser, name=name)

    assert names(find(text="WINTER")) == ["हिन्दी Winter", "winter sale", "Café Winter 2026"]
    assert names(find(text="cafe win")) == ["Café Winter 2026"]
    assert names(find(text="हिन्")) == ["हिन्दी Winter"]
    assert names(find(text="inter")) == []
    assert names(find(text="winter winter")) == names(find(text="win"))
    assert names(find(text="wint* sale")) == ["winter sale"]


def test_fields_narrow_and_all_must_be_met(world: CampaignWorld, find: Find) -> None:
    world.campaigns = Campaigns(
        store=world.store, clock=world.clock, currency="EUR", spent=world.ledger, knows_currency=lambda _: True
    )
    chairs, tables = world.an_advertiser(), world.an_advertiser(name="Tables")
    winter, summer = world.a_campaign(chairs, name="Winter"), world.a_campaign(tables, name="Summer", currency="USD")
    banner = world.a_creative(chairs)
    film = world.a_creative(tables, format=3, video_url="https://chairs.example/7.mp4", duration_s=15)
    first = world.a_line_item(winter, banner, name="First")
    world.a_line_item(summer, film, name="Second", pricing_model=2)
    world.campaigns.set_state(world.write(), first.line_item_id, State.PAUSED)

    assert names(find(states=(State.PAUSED,))) == ["First"]
    assert names(find(states=(State.ACTIVE,))) == ["Summer", "Winter", "Second"]
    assert names(find(advertiser_ids=(tables.advertiser_id,))) == ["Summer", "Second"]
    assert names(find(campaign_ids=(winter.campaign_id,))) == ["Winter", "First"]
    assert names(find(formats=(3,))) == ["Second"]
    assert names(find(formats=(1, 3), kinds=tuple(Found))) == ["Second", "First", "A chair", "A chair"]
    assert names(find(pricing_models=(2,))) == ["Second"]
    assert names(find(currencies=("USD",))) == ["Summer", "Second"]
    assert names(find(currencies=("USD",), states=(State.PAUSED,))) == []
    assert names(find(review_states=(2,))) == []
    world.campaigns.review_creative(world.write(role="operator"), film.creative_id, 2)
    assert names(find(review_states=(2,), kinds=(Found.LINE_ITEM, Found.CREATIVE))) == ["Second", "A chair"]


def test_a_change_is_found_by_what_it_came_to(world: CampaignWorld, find: Find) -> None:
    _, campaign, _, _ = world.a_whole_campaign()
    assert names(find(text="every")) == ["Everybody"]

    world.campaigns.set_state(world.write(), campaign.campaign_id, State.PAUSED)

    assert names(find(states=(State.PAUSED,))) == ["Winter"]
    assert names(find(states=(State.ACTIVE,), text="every")) == ["Everybody"]


def test_tenants_are_apart(world: CampaignWorld, find: Find) -> None:
    world.a_whole_campaign(world.tenant_b)

    assert find(kinds=tuple(Found)).total == 0
    assert find(kinds=tuple(Found), tenant_id=world.tenant_b).total == 3


def test_pages_go_on_over_the_kinds(world: CampaignWorld, find: Find) -> None:
    advertiser = world.an_advertiser()
    creative = world.a_creative(advertiser)
    for number in range(3):
        campaign = world.a_campaign(advertiser, name=f"campaign {number}")
        world.a_line_item(campaign, creative, name=f"item {number}")
    whole = find(kinds=tuple(Found))

    pages = [find(kinds=tuple(Found), offset=offset, limit=2) for offset in range(0, 8, 2)]

    assert [one for page in pages for one in page.hits] == list(whole.hits)
    assert {page.total for page in pages} == {7}


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("text", {"text": "x" * 201}),
        ("text", {"text": "!?"}),
        ("text", {"text": " ".join(f"w{number}" for number in range(17))}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": 501}),
        ("offset", {"offset": -1}),
        ("states", {"states": (1,) * 101}),
    ],
)
def test_a_question_that_cannot_be_asked_names_its_field(find: Find, field: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as raised:
        find(**asked)

    assert [error.field for error in raised.value.errors] == [field]
