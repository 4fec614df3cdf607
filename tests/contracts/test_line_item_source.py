from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from backends.line_items_sql import SqlLineItemSource
from exchange.campaign_values import Budget, Cap, CapScope, FrequencyCap, ReviewState, Schedule, State, Targeting
from exchange.ports import LineItemSource, MediaFile
from tests.campaign_stores import LINE_ITEM, CampaignWorld
from tests.elastic_worlds import ElasticWorld, IndexedSource, elastic, world

__all__ = ["elastic", "world"]

pytestmark = pytest.mark.on_every_database

SOURCES = [pytest.param("sql"), pytest.param("elasticsearch", marks=pytest.mark.services)]


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, world: CampaignWorld) -> LineItemSource:
    if request.param == "sql":
        return SqlLineItemSource(world.engine)
    elastic: ElasticWorld = request.getfixturevalue("elastic")
    elastic.ensure()
    elastic.empty()
    index = elastic.campaign_index(world)
    return IndexedSource(index, ElasticsearchLineItemSource(elastic.indices, index.projection))


def test_nothing_is_sequence_zero(source: LineItemSource) -> None:
    assert source.sequence() == 0
    assert source.active() == []
    assert source.changed_since(0) == (0, [], [])


def test_a_record_holds_all_that_a_line_item_is(world: CampaignWorld, source: LineItemSource) -> None:
    advertiser = world.an_advertiser()
    campaign = world.a_campaign(advertiser)
    chair, table = world.a_creative(advertiser), world.a_creative(advertiser, title="A table")
    item = world.a_line_item(
        campaign,
        chair,
        creative_ids=(table.creative_id, chair.creative_id),
        targeting=Targeting(("BD",), (1, 3), ("shoes",), ("red",), ("tier=Gold",), ("p1",), ("top",), ("bn",)),
        frequency_cap=FrequencyCap(3, 60),
        schedule=Schedule(5, 9, (0, 167)),
        deal_ids=("deal-1",),
        deals_only=True,
        seat="seat-1",
        caps=(Cap(CapScope.CAMPAIGN, 3, 60), Cap(CapScope.CREATIVE, 1, 5, by_session=True)),
    )
    plain = world.a_line_item(campaign, chair)

    records = source.active()

    assert [record.line_item_id for record in records] == [item.line_item_id, plain.line_item_id]
    first = records[0]
    assert (first.number, first.campaign_number, first.campaign_id) == (1, 1, campaign.campaign_id)
    assert (first.advertiser_id, first.advertiser_domain) == (advertiser.advertiser_id, "chairs.example")
    assert (first.strategy, first.pricing_model, first.bid_micros, first.currency) == (1, 1, 2_000_000, "EUR")
    assert first.targeting == {
        "country": ("BD",),
        "device": ("1", "3"),
        "category": ("shoes",),
        "keyword": ("red",),
        "segment": ("tier=Gold",),
        "seen_product": ("p1",),
        "placement": ("top",),
        "language": ("bn",),
    }
    assert (first.cap_impressions, first.cap_window_s) == (3, 60)
    assert (first.starts_at_ms, first.ends_at_ms, first.hours_of_week) == (5, 9, (0, 167))
    assert (first.deal_ids, first.deals_only, first.seat) == (("deal-1",), True, "seat-1")
    assert (first.caps, first.advertiser_number) == (((2, 3, 60), (-4, 1, 5)), advertiser.number)
    assert first.time_zone == "Asia/Dhaka"
    assert [creative.creative_id for creative in first.creatives] == [table.creative_id, chair.creative_id]
    assert first.creatives[1].number == chair.number
    assert first.creatives[1].review_state == ReviewState.PENDING
    assert records[1].targeting == {}


def test_only_what_could_run_is_active(world: CampaignWorld, source: LineItemSource) -> None:
    for paused in range(4):
        made = world.a_whole_campaign()
        ids = [made[3].line_item_id, made[1].campaign_id, made[0].advertiser_id]
        if paused:
            world.campaigns.set_state(world.write(), ids[paused - 1], State.PAUSED)

    assert [record.number for record in source.active()] == [1]


def test_all_that_is_said_of_a_creative_reaches_the_snapshot(world: CampaignWorld, source: LineItemSource) -> None:
    advertiser = world.an_advertiser()
    said: dict[str, Any] = {
        "format": 3, "video_url": "https://chairs.example/7.mp4", "duration_s": 15, "mime": "video/webm",
        "protocol": 7, "skippable": True, "attributes": (6, 16), "language": "bn", "app_bundle": "com.chairs",
        "body": "Oak", "call_to_action": "Sit", "icon_url": "https://chairs.example/i.png",
        "media_files": (MediaFile("https://chairs.example/s.mp4", "video/mp4", 320, 180, 800),),
    }  # fmt: skip
    world.a_line_item(world.a_campaign(advertiser), world.a_creative(advertiser, **said))

    (creative,) = source.active()[0].creatives
    assert {name: getattr(creative, name) for name in said} == said


def test_every_change_grows_the_sequence(world: CampaignWorld, source: LineItemSource) -> None:
    _, _, _, item = world.a_whole_campaign()
    before = source.sequence()

    world.campaigns.change_bid(world.write(), item.line_item_id, 5)

    assert source.sequence() > before


def test_a_change_brings_the_line_items_it_touches_and_no_others(world: CampaignWorld, source: LineItemSource) -> None:
    advertiser, campaign, creative, item = world.a_whole_campaign()
    sibling = world.a_line_item(world.a_campaign(advertiser), world.a_creative(advertiser))
    world.a_whole_campaign(world.tenant_b)
    operator = world.write(role="operator")
    changes: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: world.campaigns.change_bid(world.write(), item.line_item_id, 5), {item.line_item_id}),
        (lambda: world.campaigns.change_budget(world.write(), campaign.campaign_id, Budget(5)), {item.line_item_id}),
        (
            lambda: world.campaigns.change_creative(
                world.write(), creative.creative_id, msgspec.structs.replace(creative, title="Another")
            ),
            {item.line_item_id},
        ),
        (lambda: world.campaigns.review_creative(operator, creative.creative_id, 2), {item.line_item_id}),
        (
            lambda: world.campaigns.set_state(world.write(), advertiser.advertiser_id, State.PAUSED),
            {item.line_item_id, sibling.line_item_id},
        ),
        (
            lambda: world.campaigns.set_state(world.write(), advertiser.advertiser_id, State.ACTIVE),
            {item.line_item_id, sibling.line_item_id},
        ),
        (lambda: world.campaigns.set_state(world.write(), campaign.campaign_id, State.PAUSED), {item.line_item_id}),
        (lambda: world.a_creative(advertiser), set()),
    ]
    for change, touched in changes:
        before = source.sequence()
        change()
        newest, running, stopped = source.changed_since(before)
        assert newest == source.sequence() > before
        assert {record.line_item_id for record in running} | set(stopped) == touched
        by_id = {record.line_item_id: record for record in source.active()}
        assert running == [by_id[record.line_item_id] for record in running]
        assert not set(stopped) & set(by_id)


@pytest.mark.slow
def test_following_the_changes_comes_to_the_same_as_reading_all(world: CampaignWorld, source: LineItemSource) -> None:
    sequence, followed = 0, {}
    _, campaign, creative, first = world.a_whole_campaign()
    draft = msgspec.structs.replace(LINE_ITEM, campaign_id=campaign.campaign_id, creative_ids=(creative.creative_id,))
    for step in range(6):
        match step:
            case 1:
                world.campaigns.import_line_items(world.write().caller, world.tenant_a, [draft] * 2000)
            case 2:
                world.campaigns.set_state(world.write(), first.line_item_id, State.PAUSED)
            case 3:
                world.campaigns.set_state(world.write(), campaign.campaign_id, State.PAUSED)
            case 4:
                world.a_whole_campaign(world.tenant_b)
            case 5:
                world.campaigns.set_state(world.write(), campaign.campaign_id, State.ACTIVE)
        sequence, running, stopped = source.changed_since(sequence)
        followed.update({record.line_item_id: record for record in running})
        for line_item_id in stopped:
            followed.pop(line_item_id, None)
        assert followed == {record.line_item_id: record for record in source.active()}
    assert len(followed) == 2001
