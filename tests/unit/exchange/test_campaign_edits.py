from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import update

from backends.line_items_sql import SqlLineItemSource
from backends.sql import writing
from backends.sql_tables_money import CHANGES
from common.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from exchange.campaign_edits import _FIXED
from exchange.campaign_values import (
    Budget,
    Campaign,
    Cap,
    FrequencyCap,
    LineItem,
    ReviewState,
    Schedule,
    State,
    Targeting,
)
from exchange.ports import CAMPAIGN_ACCOUNTS
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


def test_only_what_the_mask_names_changes_and_it_goes_live(money: MoneyWorld) -> None:
    source = SqlLineItemSource(money.world.engine)
    before = source.sequence()
    draft = replace(money.item, name="Other", bid_micros=9, targeting=Targeting(countries=("bd",), devices=(2,)))
    paths = ["name", "targeting.countries"]

    changed = money.edits.update_line_item(money.world.write(), money.item.line_item_id, draft, paths, 1)

    assert (changed.name, changed.bid_micros, changed.revision) == ("Other", money.item.bid_micros, 2)
    assert changed.targeting == Targeting(countries=("BD",))
    assert changed == money.world.campaigns.line_item(money.world.tenant_a, money.item.line_item_id)
    _, put, _ = source.changed_since(before)
    assert put[0].targeting == {"country": ("BD",)}


def test_a_budget_that_is_edited_is_the_ledgers_limit(money: MoneyWorld) -> None:
    draft = replace(money.campaign, budget=Budget(700, 0))

    money.edits.update_campaign(money.world.write(), money.campaign.campaign_id, draft, ["budget"])

    assert money.lease(10_000) == 700


def test_an_edit_of_what_changed_meanwhile_is_a_conflict(money: MoneyWorld) -> None:
    money.world.campaigns.change_bid(money.world.write(), money.item.line_item_id, 5)

    with pytest.raises(Conflict, match="revision 2, not 1"):
        money.edits.update_line_item(money.world.write(), money.item.line_item_id, money.item, ["name"], 1)


def test_an_edit_that_changes_nothing_makes_no_revision(money: MoneyWorld) -> None:
    same = money.edits.update_line_item(money.world.write(), money.item.line_item_id, money.item, ["name", "budget"])

    assert same.revision == 1
    assert len(money.edits.changes(money.world.tenant_a, money.item.line_item_id).items) == 1


def test_the_same_edit_sent_again_answers_the_same(money: MoneyWorld) -> None:
    write = money.world.write("once")
    draft = replace(money.advertiser, name="Stools of Dhaka")

    first = money.edits.update_advertiser(write, money.advertiser_id, draft, ["name"])

    assert money.edits.update_advertiser(write, money.advertiser_id, draft, ["name"]) == first
    assert first.revision == 2


def test_fields_that_never_change_are_named_with_a_reason(money: MoneyWorld) -> None:
    paths = ["pricing_model", "number", "nothing", "targeting.nothing", "name"]

    with pytest.raises(InvalidInput) as caught:
        money.edits.update_line_item(money.world.write(), money.item.line_item_id, money.item, paths)

    assert [error.value.split("'")[1] for error in caught.value.errors] == paths[:4]
    with pytest.raises(InvalidInput, match="update_mask"):
        money.edits.update_campaign(money.world.write(), money.campaign.campaign_id, money.campaign, [])


@pytest.mark.parametrize(
    ("path", "draft", "field"),
    [
        ("bid_micros", {"bid_micros": -1}, "line_item.bid_micros"),
        ("state", {"state": 0}, "line_item.state"),
        ("schedule", {"schedule": Schedule(5, 4)}, "line_item.schedule.ends_at_ms"),
        ("creative_ids", {"creative_ids": ()}, "line_item.creative_ids"),
        ("deals_only", {"deals_only": True}, "line_item.deals_only"),
        ("deal_ids", {"deal_ids": ("x" * 65,)}, "line_item.deal_ids[0]"),
        ("caps", {"caps": (Cap(9, 1, 60),)}, "line_item.caps[0].scope"),
        ("caps", {"caps": (Cap(1, 65, 60),)}, "line_item.caps[0].impressions"),
        ("caps", {"caps": (Cap(1, 1, 60),) * 9}, "line_item.caps"),
        ("strategy", {"strategy": 3}, "line_item.targeting.seen_products"),
    ],
)
def test_an_edit_is_checked_as_a_new_thing_is(
    money: MoneyWorld, path: str, draft: dict[str, object], field: str
) -> None:
    changed = replace(money.item, **draft)

    with pytest.raises(InvalidInput) as caught:
        money.edits.update_line_item(money.world.write(), money.item.line_item_id, changed, [path])

    assert [error.field for error in caught.value.errors] == [field]


LINE_ITEM_CHANGES = {
    "name": "Other",
    "strategy": 2,
    "bid_micros": 9,
    "budget": Budget(900, 90),
    "targeting": Targeting(countries=("BD",), devices=(2,), keywords=("chairs",), placement_ids=("top",)),
    "frequency_cap": FrequencyCap(2, 60),
    "schedule": Schedule(5, 1_900_000_000_000, (0, 167)),
    "deal_ids": ("spring", "autumn"),
    "deals_only": True,
    "seat": "agency",
    "caps": (Cap(2, 5, 86_400), Cap(4, 1, 60, by_session=True)),
    "state": State.PAUSED,
}
CAMPAIGN_CHANGES = {"name": "Other", "budget": Budget(70, 7), "state": State.PAUSED, "pacing": 2}
# Needed beside it, or the change would be refused.
BESIDE: dict[str, dict[str, object]] = {
    "strategy": {"targeting": Targeting(keywords=("chairs",))},
    "deals_only": {"deal_ids": ("spring",)},
}


def test_every_field_of_a_line_item_and_of_a_campaign_changes_or_says_why_not() -> None:
    """Who adds a field says here how it is changed."""
    creatives = {"creative_ids"}
    assert {*LineItem.__struct_fields__} - {*_FIXED} - creatives == {*LINE_ITEM_CHANGES}
    assert {*Campaign.__struct_fields__} - {*_FIXED} == {*CAMPAIGN_CHANGES}


@pytest.mark.parametrize("field", LINE_ITEM_CHANGES)
def test_a_field_of_a_line_item_is_changed_and_undone(money: MoneyWorld, field: str) -> None:
    world, item_id = money.world, money.item.line_item_id
    changes = {field: LINE_ITEM_CHANGES[field]} | BESIDE.get(field, {})

    changed = money.edits.update_line_item(world.write(), item_id, replace(money.item, **changes), list(changes))

    assert changed == replace(money.item, **changes, revision=2)
    assert changed == world.campaigns.line_item(world.tenant_a, item_id)
    newest = money.edits.changes(world.tenant_a, item_id).items[-1]
    before, after = msgspec.json.decode(newest.before), msgspec.json.decode(newest.after)
    assert {name for name in after if before[name] != after[name]} == {*changes, "revision"}
    money.edits.undo(world.write(), newest.number)
    assert world.campaigns.line_item(world.tenant_a, item_id) == replace(money.item, revision=3)


@pytest.mark.parametrize("field", CAMPAIGN_CHANGES)
def test_a_field_of_a_campaign_is_changed_and_undone(money: MoneyWorld, field: str) -> None:
    world, campaign_id = money.world, money.campaign.campaign_id
    draft = replace(money.campaign, **{field: CAMPAIGN_CHANGES[field]})

    changed = money.edits.update_campaign(world.write(), campaign_id, draft, [field])

    assert changed == replace(draft, revision=2) == world.campaigns.campaign(world.tenant_a, campaign_id)
    money.edits.undo(world.write(), money.edits.changes(world.tenant_a, campaign_id).items[-1].number)
    assert world.campaigns.campaign(world.tenant_a, campaign_id) == replace(money.campaign, revision=3)


def test_deals_and_caps_that_are_changed_go_live(money: MoneyWorld) -> None:
    source = SqlLineItemSource(money.world.engine)
    before = source.sequence()
    draft = replace(money.item, deal_ids=("spring",), deals_only=True, seat="agency", caps=(Cap(2, 5, 86_400),))

    money.edits.update_line_item(
        money.world.write(), money.item.line_item_id, draft, ["deal_ids", "deals_only", "seat", "caps"]
    )

    (put,) = source.changed_since(before)[1]
    assert (put.deal_ids, put.deals_only, put.seat, put.caps) == (("spring",), True, "agency", ((2, 5, 86_400),))


def test_a_creative_that_looked_otherwise_comes_back_and_is_reviewed_again(money: MoneyWorld) -> None:
    world, creative_id = money.world, money.creative.creative_id
    world.campaigns.review_creative(money.operator(), creative_id, ReviewState.APPROVED)
    world.campaigns.change_creative(world.write(), creative_id, replace(money.creative, title="Another", revision=0))
    world.campaigns.review_creative(money.operator(), creative_id, ReviewState.APPROVED)
    reviewed, changed = [c.number for c in reversed(money.edits.changes(world.tenant_a, creative_id).items)][:2]
    money.edits.undo(money.operator(), reviewed)
    with pytest.raises(Conflict):
        money.edits.undo(world.write(), changed)
    # The step before is free once the one after it is undone by a change that says the same.
    world.campaigns.change_creative(world.write(), creative_id, replace(money.creative, title="Third", revision=0))
    third = money.edits.changes(world.tenant_a, creative_id).items[-1].number

    money.edits.undo(world.write(), third)

    creative = world.campaigns.creative(world.tenant_a, creative_id)
    assert (creative.title, creative.review_state) == ("Another", ReviewState.PENDING)


def test_creatives_of_another_advertiser_are_not_found(money: MoneyWorld) -> None:
    other = money.world.a_creative(money.world.an_advertiser(domain="other.example"))
    draft = replace(money.item, creative_ids=(other.creative_id,))

    with pytest.raises(NotFound, match="creative"):
        money.edits.update_line_item(money.world.write(), money.item.line_item_id, draft, ["creative_ids"])


def test_creatives_can_be_exchanged_and_come_back(money: MoneyWorld) -> None:
    second = money.world.a_creative(money.advertiser)
    ids = (second.creative_id, money.creative.creative_id)
    item_id = money.item.line_item_id
    money.edits.update_line_item(money.world.write(), item_id, replace(money.item, creative_ids=ids), ["creative_ids"])
    assert money.world.campaigns.line_item(money.world.tenant_a, item_id).creative_ids == ids

    change = money.edits.changes(money.world.tenant_a, item_id).items[-1]
    money.edits.undo(money.world.write(), change.number)

    assert money.world.campaigns.line_item(money.world.tenant_a, item_id).creative_ids == money.item.creative_ids


def test_every_write_is_in_the_history_with_before_and_after(money: MoneyWorld) -> None:
    world, tenant = money.world, money.world.tenant_a
    world.campaigns.change_bid(world.write(), money.item.line_item_id, 5)
    world.campaigns.change_budget(world.write(), money.campaign.campaign_id, Budget(9, 0))
    world.campaigns.set_state(world.write(), money.advertiser_id, State.PAUSED)
    world.campaigns.review_creative(money.operator(), money.creative.creative_id, ReviewState.APPROVED)

    changes = money.edits.changes(tenant, page_size=500).items

    assert [(c.action, c.kind, c.revision, bool(c.before)) for c in changes] == [
        ("CreateAdvertiser", "advertiser", 1, False),
        ("CreateCampaign", "campaign", 1, False),
        ("CreateCreative", "creative", 1, False),
        ("CreateLineItem", "line_item", 1, False),
        ("ChangeBid", "line_item", 2, True),
        ("ChangeBudget", "campaign", 2, True),
        ("SetState", "advertiser", 2, True),
        ("ReviewCreative", "creative", 2, True),
    ]
    assert msgspec.json.decode(changes[4].before)["bid_micros"] == money.item.bid_micros
    assert msgspec.json.decode(changes[4].after)["bid_micros"] == 5
    assert (changes[7].actor_tenant_id, changes[7].actor_role) == (world.tenant_b, "operator")


def test_an_undo_is_a_change_and_can_be_undone(money: MoneyWorld) -> None:
    world, item_id = money.world, money.item.line_item_id
    world.campaigns.change_bid(world.write(), item_id, 5)

    def newest() -> int:
        return money.edits.changes(world.tenant_a, item_id).items[-1].number

    def bid() -> int:
        return world.campaigns.line_item(world.tenant_a, item_id).bid_micros

    money.edits.undo(world.write(), newest())
    assert bid() == money.item.bid_micros
    undone = money.edits.undo(world.write(), newest())

    assert bid() == 5
    assert undone.revision == 4


def test_an_undone_budget_is_the_ledgers_limit_again(money: MoneyWorld) -> None:
    world, campaign_id = money.world, money.campaign.campaign_id
    world.campaigns.change_budget(world.write(), campaign_id, Budget(7, 0))

    money.edits.undo(world.write(), money.edits.changes(world.tenant_a, campaign_id).items[-1].number)

    granted = world.ledger.lease("a", {CAMPAIGN_ACCOUNTS + money.campaign.number: 10**9}, world.clock.now_ms())
    assert granted == {CAMPAIGN_ACCOUNTS + money.campaign.number: 5_000_000}


def test_what_changed_since_is_named_and_stays(money: MoneyWorld) -> None:
    world, item_id = money.world, money.item.line_item_id
    world.campaigns.change_bid(world.write(), item_id, 5)
    change = money.edits.changes(world.tenant_a, item_id).items[-1].number
    world.campaigns.set_state(world.write(), item_id, State.PAUSED)

    with pytest.raises(Conflict, match=r"changed since \(state\)"):
        money.edits.undo(world.write(), change)

    assert world.campaigns.line_item(world.tenant_a, item_id).bid_micros == 5


def test_a_making_cannot_be_undone_and_a_review_only_by_operators(money: MoneyWorld) -> None:
    world = money.world
    made = money.edits.changes(world.tenant_a, money.item.line_item_id).items[0].number
    with pytest.raises(InvalidInput, match="pause it instead"):
        money.edits.undo(world.write(), made)
    world.campaigns.review_creative(money.operator(), money.creative.creative_id, ReviewState.REFUSED)
    reviewed = money.edits.changes(world.tenant_a, money.creative.creative_id).items[-1].number

    with pytest.raises(PermissionDenied):
        money.edits.undo(world.write(), reviewed)
    money.edits.undo(money.operator(), reviewed)

    creative = world.campaigns.creative(world.tenant_a, money.creative.creative_id)
    assert creative.review_state == ReviewState.PENDING


def test_the_history_is_the_tenants_own_and_stays_as_it_is(money: MoneyWorld) -> None:
    world = money.world
    number = money.edits.changes(world.tenant_a).items[0].number
    with pytest.raises(NotFound):
        money.edits.changes(world.tenant_b, money.item.line_item_id)
    with pytest.raises(NotFound):
        money.edits.undo(world.write(tenant_id=world.tenant_b), number)
    with pytest.raises(Conflict, match="append only"), writing(world.engine) as connection:
        connection.execute(update(CHANGES).values(after=""))
