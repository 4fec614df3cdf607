from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import event, select

from backends.line_items_sql import SqlLineItemSource
from backends.sql import reading
from backends.sql_schema import METADATA
from backends.sql_tables_accounts import AUDIT
from backends.sql_tables_outbox import OUTBOX
from common.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from exchange.campaign_values import Budget, ReviewState, State
from exchange.ports import CAMPAIGN_ACCOUNTS, Spend
from tests.campaign_stores import ADVERTISER, LINE_ITEM, CampaignWorld, campaign_world

pytestmark = pytest.mark.on_every_database

replace = msgspec.structs.replace


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


def fields(caught: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [error.field for error in caught.value.errors]


def row_counts(world: CampaignWorld) -> dict[str, int]:
    with reading(world.engine) as connection:
        return {table.name: len(connection.execute(select(table)).all()) for table in METADATA.sorted_tables}


def test_the_same_write_sent_again_answers_the_same_and_changes_nothing(world: CampaignWorld) -> None:
    first = world.campaigns.create_advertiser(world.write("key-1"), ADVERTISER)
    before = row_counts(world)

    again = world.campaigns.create_advertiser(world.write("key-1"), ADVERTISER)

    assert again == first
    assert row_counts(world) == before


def test_another_request_under_the_same_key_is_a_conflict(world: CampaignWorld) -> None:
    made = world.campaigns.create_advertiser(world.write("key-1"), ADVERTISER)

    with pytest.raises(Conflict):
        world.campaigns.create_advertiser(world.write("key-1"), replace(ADVERTISER, name="Tables of Dhaka"))
    with pytest.raises(Conflict):
        world.campaigns.set_state(world.write("key-1"), made.advertiser_id, State.PAUSED)


def test_the_same_write_sent_many_times_at_once_happens_once(world: CampaignWorld) -> None:
    write = world.write("key-1")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: world.campaigns.create_advertiser(write, ADVERTISER).advertiser_id, range(16)))

    assert len(made) == 1
    assert len(world.campaigns.advertisers(world.tenant_a).items) == 1


def test_tenants_do_not_share_idempotency_keys(world: CampaignWorld) -> None:
    a = world.campaigns.create_advertiser(world.write("key-1"), ADVERTISER)
    b = world.campaigns.create_advertiser(world.write("key-1", world.tenant_b), ADVERTISER)

    assert a.advertiser_id != b.advertiser_id


@pytest.mark.parametrize("key", [" \n", "k" * 65, "a\x00b"])
def test_a_bad_idempotency_key_is_named_with_the_other_fields(world: CampaignWorld, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.campaigns.create_advertiser(world.write(key), replace(ADVERTISER, name=""))

    assert fields(caught) == ["advertiser.name", "idempotency_key"]


def test_a_refused_write_does_not_use_up_its_key(world: CampaignWorld) -> None:
    with pytest.raises(NotFound):
        world.campaigns.change_bid(world.write("key-1"), "0" * 32, 5)

    assert world.campaigns.create_advertiser(world.write("key-1"), ADVERTISER).revision == 1


def test_a_write_that_breaks_in_the_middle_leaves_nothing(world: CampaignWorld) -> None:
    _, campaign, creative, _ = world.a_whole_campaign()
    before = row_counts(world)
    tables = ("line_items", "line_item_creatives", "budget_accounts", "audit", "outbox", "idempotency")

    for table in tables:

        def break_down(*facts: object, inserted: str = f"INSERT INTO {table} ") -> None:
            if str(facts[2]).startswith(inserted):
                raise ZeroDivisionError

        event.listen(world.engine, "after_cursor_execute", break_down)
        with pytest.raises(ZeroDivisionError):
            world.a_line_item(campaign, creative)
        event.remove(world.engine, "after_cursor_execute", break_down)
        assert row_counts(world) == before, table

    # Some engines leave out the numbers of what was given up.
    assert world.a_line_item(campaign, creative).number >= 2


def test_every_write_is_audited_and_told(world: CampaignWorld) -> None:
    advertiser, campaign, creative, item = world.a_whole_campaign()
    world.campaigns.set_state(world.write(role="operator"), item.line_item_id, State.PAUSED)

    with reading(world.engine) as connection:
        audit = connection.execute(select(AUDIT).order_by(AUDIT.c.number)).all()
        told = connection.execute(select(OUTBOX.c.sequence, OUTBOX.c.fields).order_by(OUTBOX.c.sequence)).all()
    assert [(row.action, row.kind, row.id) for row in audit] == [
        ("CreateAdvertiser", "advertiser", advertiser.advertiser_id),
        ("CreateCampaign", "campaign", campaign.campaign_id),
        ("CreateCreative", "creative", creative.creative_id),
        ("CreateLineItem", "line_item", item.line_item_id),
        ("SetState", "line_item", item.line_item_id),
    ]
    assert audit[-1].actor_role == "operator"
    assert [row.sequence for row in told] == [1, 2, 3, 4, 5]
    assert msgspec.json.decode(told[-1].fields) == {
        "changed_at_ms": world.clock.now_ms(),
        "tenant_id": world.tenant_a,
        "kind": "line_item",
        "id": item.line_item_id,
        "revision": 2,
    }


def test_a_creative_of_another_advertiser_is_not_found(world: CampaignWorld) -> None:
    _, campaign, _, _ = world.a_whole_campaign()
    foreign = world.a_creative(world.an_advertiser(domain="tables.example"))

    with pytest.raises(NotFound, match="creative"):
        world.a_line_item(campaign, foreign)


def test_another_tenants_campaign_is_not_found(world: CampaignWorld) -> None:
    _, campaign, creative, item = world.a_whole_campaign()

    with pytest.raises(NotFound):
        world.a_line_item(campaign, creative, world.tenant_b)
    with pytest.raises(NotFound):
        world.campaigns.change_bid(world.write(tenant_id=world.tenant_b), item.line_item_id, 5)


@pytest.mark.parametrize("odd", ["", "x" * 5000, "\x00", "' OR 1=1 --", "ü" * 32])
def test_an_odd_id_is_refused_and_not_a_mistake(world: CampaignWorld, odd: str) -> None:
    for call in (
        lambda: world.campaigns.line_item(world.tenant_a, odd),
        lambda: world.campaigns.set_state(world.write(), odd, State.PAUSED),
        lambda: world.campaigns.change_budget(world.write(), odd, Budget(1)),
        lambda: world.campaigns.campaigns(world.tenant_a, odd),
        lambda: world.campaigns.line_item(odd, "0" * 32),
        lambda: world.campaigns.create_advertiser(world.write(tenant_id=odd or "-"), ADVERTISER),
    ):
        with pytest.raises((NotFound, InvalidInput)):
            call()


def test_changes_raise_the_revision_and_nothing_else_does(world: CampaignWorld) -> None:
    _, _, creative, item = world.a_whole_campaign()

    assert world.campaigns.change_bid(world.write(), item.line_item_id, 7).revision == 2
    assert world.campaigns.change_bid(world.write(), item.line_item_id, 7).revision == 2
    assert world.campaigns.set_state(world.write(), item.line_item_id, State.PAUSED).revision == 3
    assert world.campaigns.set_state(world.write(), item.line_item_id, State.PAUSED).revision == 3
    for _ in range(2):
        world.campaigns.change_budget(world.write(), item.line_item_id, Budget(9, 8))
    reviewed = [
        world.campaigns.review_creative(world.write(role="operator"), creative.creative_id, ReviewState.REFUSED)
        for _ in range(2)
    ]
    assert [one.revision for one in reviewed] == [creative.revision + 1] * 2
    assert world.campaigns.line_item(world.tenant_a, item.line_item_id) == replace(
        item, bid_micros=7, state=State.PAUSED, budget=Budget(9, 8), revision=4
    )


def test_a_changed_budget_reaches_the_ledger_and_says_what_is_spent(world: CampaignWorld) -> None:
    _, campaign, _, item = world.a_whole_campaign()
    now_ms = world.clock.now_ms()
    account = CAMPAIGN_ACCOUNTS + campaign.number
    assert world.ledger.lease("x", {account: 1 << 40, item.number: 700}, now_ms) == {
        account: 5_000_000,
        item.number: 700,
    }
    world.ledger.settle("x", [Spend(item.number, campaign.number, 700, now_ms, 1)], 1)
    world.ledger.give_back_all("x")

    state = world.campaigns.change_budget(world.write(), campaign.campaign_id, Budget(1_000, 900))

    assert (state.spent_total_micros, state.spent_today_micros) == (700, 700)
    assert world.ledger.lease("x", {account: 1 << 40}, now_ms) == {account: 200}


def test_a_campaign_keeps_one_limit_at_least(world: CampaignWorld) -> None:
    _, campaign, _, item = world.a_whole_campaign()

    with pytest.raises(InvalidInput) as caught:
        world.campaigns.change_budget(world.write(), campaign.campaign_id, Budget())
    assert fields(caught) == ["budget"]
    assert world.campaigns.change_budget(world.write(), item.line_item_id, Budget()).budget == Budget()


def test_only_operators_review_creatives(world: CampaignWorld) -> None:
    _, _, creative, _ = world.a_whole_campaign()

    with pytest.raises(PermissionDenied):
        world.campaigns.review_creative(world.write(), creative.creative_id, ReviewState.APPROVED)
    with pytest.raises(InvalidInput):
        world.campaigns.review_creative(world.write(role="operator"), creative.creative_id, ReviewState.PENDING)
    approved = world.campaigns.review_creative(world.write(role="operator"), creative.creative_id, ReviewState.APPROVED)
    assert approved == replace(creative, review_state=ReviewState.APPROVED, revision=2)


def test_pages_hold_everything_once_in_order_even_while_more_is_made(world: CampaignWorld) -> None:
    made = [world.an_advertiser(name=f"Brand {number}") for number in range(7)]
    world.an_advertiser(world.tenant_b)

    seen, token = [], ""
    while True:
        page = world.campaigns.advertisers(world.tenant_a, 3, token)
        seen += page.items
        if len(seen) == 3:
            made.append(world.an_advertiser(name="Late"))
        token = page.next_page_token
        if not token:
            break

    assert seen == made


def test_a_page_token_fits_its_own_list_only(world: CampaignWorld) -> None:
    first, second = world.an_advertiser(), world.an_advertiser()
    for _ in range(2):
        world.a_campaign(first)
    token = world.campaigns.campaigns(world.tenant_a, first.advertiser_id, 1).next_page_token

    assert len(world.campaigns.campaigns(world.tenant_a, first.advertiser_id, 1, token).items) == 1
    for bad in (token, "x", "\x00", "é", "A" * 500, token + "A"):
        with pytest.raises(InvalidInput) as caught:
            world.campaigns.campaigns(world.tenant_a, second.advertiser_id, 1, bad)
        assert fields(caught) == ["page_token"]


@pytest.mark.parametrize("size", [-1, 501, 1 << 31])
def test_a_page_size_is_bounded(world: CampaignWorld, size: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.campaigns.advertisers(world.tenant_a, size)
    assert fields(caught) == ["page_size"]


def test_an_import_is_all_or_nothing(world: CampaignWorld) -> None:
    _, campaign, creative, item = world.a_whole_campaign()
    draft = replace(LINE_ITEM, campaign_id=campaign.campaign_id, creative_ids=(creative.creative_id,))
    caller = world.write().caller

    with pytest.raises(InvalidInput) as caught:
        world.campaigns.import_line_items(caller, world.tenant_a, [draft, replace(draft, bid_micros=0)])
    assert fields(caught) == ["line_items[1].bid_micros"]
    with pytest.raises(NotFound):
        world.campaigns.import_line_items(caller, world.tenant_a, [draft, replace(draft, creative_ids=("0" * 32,))])
    made = world.campaigns.import_line_items(caller, world.tenant_a, [draft] * 5)

    assert [line_item.number for line_item in made] == [2, 3, 4, 5, 6]
    assert world.campaigns.line_items(world.tenant_a, campaign.campaign_id).items == [item, *made]


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    with campaign_world(tmp_path) as world:
        advertiser, campaign, creative, item = world.a_whole_campaign()
        key = world.accounts.create_key(world.tenant_a, "advertiser").plaintext
        again = world.write("key-9")
        bid = world.campaigns.change_bid(again, item.line_item_id, 9)

    with campaign_world(tmp_path) as world:
        caller = world.keys.caller_of(key)
        assert caller is not None
        assert caller.tenant_id == again.tenant_id == world.tenant_a
        assert world.campaigns.advertiser(world.tenant_a, advertiser.advertiser_id) == advertiser
        assert world.campaigns.campaign(world.tenant_a, campaign.campaign_id) == campaign
        assert world.campaigns.creative(world.tenant_a, creative.creative_id) == creative
        assert world.campaigns.line_item(world.tenant_a, item.line_item_id) == bid
        assert world.campaigns.change_bid(again, item.line_item_id, 9) == bid
        source = SqlLineItemSource(world.engine)
        assert [record.bid_micros for record in source.active()] == [9]
        assert source.sequence() == 5


def test_a_changed_creative_is_reviewed_again(world: CampaignWorld) -> None:
    advertiser = world.an_advertiser()
    creative = world.a_creative(advertiser)
    world.campaigns.review_creative(world.write(role="operator"), creative.creative_id, ReviewState.APPROVED)
    draft = replace(creative, advertiser_id="", format=0, title="A better chair", attributes=(6,), language="EN")
    changed = world.campaigns.change_creative(world.write(), creative.creative_id, replace(draft, revision=2))

    expected = replace(creative, title="A better chair", attributes=(6,), language="en", revision=3)
    assert changed == expected
    assert world.campaigns.creative(world.tenant_a, creative.creative_id) == expected
    assert changed.review_state == ReviewState.PENDING


def test_a_creative_that_is_changed_into_itself_stays_as_it_is(world: CampaignWorld) -> None:
    creative = world.a_creative(world.an_advertiser())
    approved = world.campaigns.review_creative(world.write(role="operator"), creative.creative_id, ReviewState.APPROVED)

    assert world.campaigns.change_creative(world.write(), creative.creative_id, approved) == approved


def test_a_change_of_a_creative_names_what_it_cannot_do(world: CampaignWorld) -> None:
    creative = world.a_creative(world.an_advertiser())

    with pytest.raises(Conflict, match="read it and send the change again"):
        world.campaigns.change_creative(world.write(), creative.creative_id, replace(creative, title="x", revision=9))
    with pytest.raises(InvalidInput) as refused:
        world.campaigns.change_creative(
            world.write(), creative.creative_id, replace(creative, format=3, landing_url="mailto:a@b.example")
        )
    assert [error.field for error in refused.value.errors] == ["creative.format", "creative.landing_url"]
    others = world.write(tenant_id=world.tenant_b)
    with pytest.raises(NotFound):
        world.campaigns.change_creative(others, creative.creative_id, replace(creative, title="theirs"))
    with pytest.raises(NotFound):
        world.campaigns.change_creative(world.write(), "nobody", creative)
