from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backends.statistics_sql import SqlStatisticsStore
from exchange.statistics import HourCount, StatisticsStore, Totals
from tests.campaign_stores import CampaignWorld, campaign_world

pytestmark = pytest.mark.on_every_database

STORES: dict[str, Callable[[Engine], StatisticsStore]] = {"sqlite": SqlStatisticsStore}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest, world: CampaignWorld) -> StatisticsStore:
    made: StatisticsStore = request.param(world.engine)
    return made


def test_counts_add_up_for_line_item_campaign_and_advertiser(world: CampaignWorld, store: StatisticsStore) -> None:
    advertiser, campaign, creative, one = world.a_whole_campaign()
    two = world.a_line_item(campaign, creative)
    three = world.a_line_item(world.a_campaign(advertiser), creative)

    assert store.add([HourCount(one.number, 9, 1, 0, 0, 10), HourCount(two.number, 9, 2, 1, 0, 20)], 0, 4, 500)
    assert store.add([HourCount(one.number, 9, 4, 0, 1, 40), HourCount(one.number, 10, 8, 0, 0, 80)], 4, 5, 400)
    assert store.add([HourCount(three.number, 9, 16, 0, 0, 160)], 5, 6, 600)

    assert store.counted_upto() == 6
    assert store.totals(world.tenant_a, one.line_item_id) == Totals(13, 0, 1, 130, 600)
    assert store.totals(world.tenant_a, campaign.campaign_id) == Totals(15, 1, 1, 150, 600)
    assert store.totals(world.tenant_a, advertiser.advertiser_id) == Totals(31, 1, 1, 310, 600)


def test_an_offset_is_counted_once(world: CampaignWorld, store: StatisticsStore) -> None:
    item = world.a_whole_campaign()[3]
    count = [HourCount(item.number, 9, 1, 0, 0, 10)]

    assert store.add(count, 0, 3, 5)
    assert not store.add(count, 0, 3, 5)
    assert not store.add(count, 1, 4, 5)
    assert not store.add(count, 4, 5, 5)

    assert store.totals(world.tenant_a, item.line_item_id) == Totals(1, 0, 0, 10, 5)


def test_what_is_another_tenants_has_no_totals(world: CampaignWorld, store: StatisticsStore) -> None:
    advertiser, campaign, creative, item = world.a_whole_campaign()

    for id in (advertiser.advertiser_id, campaign.campaign_id, item.line_item_id):
        assert store.totals(world.tenant_a, id) == Totals(0, 0, 0, 0, 0)
        assert store.totals(world.tenant_b, id) is None
    assert store.totals(world.tenant_a, creative.creative_id) is None
