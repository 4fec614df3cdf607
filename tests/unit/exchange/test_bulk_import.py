from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from common.errors import InvalidInput, NotFound
from exchange import bulk_csv
from exchange.campaign_values import Budget, Cap, FrequencyCap, LineItem, Schedule, Targeting
from tests.campaign_stores import CAMPAIGN
from tests.money_worlds import MoneyWorld, money_world

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


def rows_of(money: MoneyWorld, *rows: dict[str, str]) -> bytes:
    """A file: each row with what is given, else the least that is needed."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, bulk_csv.NAMES, restval="")
    writer.writeheader()
    for at, row in enumerate(rows):
        least = {
            "campaign_external_id": "autumn", "advertiser_id": money.advertiser_id, "campaign_name": "Autumn",
            "campaign_total_budget": "50", "external_id": f"item-{at}", "name": f"Item {at}",
            "strategy": "brand_campaign", "pricing_model": "cpm", "bid": "1.5",
            "creative_ids": money.creative.creative_id,
        }  # fmt: skip
        writer.writerow(least | row)
    return out.getvalue().encode()


def actions(money: MoneyWorld, data: bytes, *, dry: bool = False) -> list[tuple[str, str]]:
    report = money.files.dry_run(money.world.tenant_a, data) if dry else money.files.run(money.world.write(), data)
    return [(row.external_id, row.action) for row in report.rows]


def complaints(money: MoneyWorld, data: bytes) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        money.files.dry_run(money.world.tenant_a, data)
    return [error.field for error in caught.value.errors]


def test_a_file_makes_campaigns_and_line_items_and_again_changes_nothing(money: MoneyWorld) -> None:
    data = rows_of(money, {}, {"campaign_external_id": "winter", "campaign_name": "Winter"})
    new = [("autumn", "create"), ("item-0", "create"), ("winter", "create"), ("item-1", "create")]

    assert actions(money, data, dry=True) == new
    assert len(money.world.campaigns.campaigns(money.world.tenant_a, money.advertiser_id).items) == 1
    assert actions(money, data) == new
    assert actions(money, data) == [(name, "unchanged") for name, _ in new]
    assert len(money.world.campaigns.campaigns(money.world.tenant_a, money.advertiser_id).items) == 3


def test_what_differs_is_changed_and_told_by_field(money: MoneyWorld) -> None:
    money.files.run(money.world.write(), rows_of(money, {}, {}))
    data = rows_of(money, {"bid": "2", "countries": "de|at"}, {})

    report = money.files.run(money.world.write(), data)

    assert [(r.external_id, r.action, r.changed_fields) for r in report.rows] == [
        ("autumn", "unchanged", ()),
        ("item-0", "change", ("bid_micros", "targeting")),
        ("item-1", "unchanged", ()),
    ]
    item = money.world.campaigns.line_item(money.world.tenant_a, report.rows[1].id)
    assert (item.bid_micros, item.targeting.countries, item.revision) == (2_000_000, ("DE", "AT"), 2)


def test_one_bad_cell_and_nothing_is_done(money: MoneyWorld) -> None:
    data = rows_of(money, {}, {"bid": "cheap"}, {"countries": "Germany", "strategy": "magic", "creative_ids": "0" * 32})

    assert complaints(money, data) == [
        *("line 3, bid",),
        *("line 4, strategy",),
    ]
    data = rows_of(
        money, {}, {"countries": "Germany", "creative_ids": "0" * 32, "daily_budget": "3", "total_budget": "2"}
    )
    assert complaints(money, data) == [
        *("line 3, daily_budget", "line 3, countries", "line 3, creative_ids"),
    ]
    with pytest.raises(InvalidInput):
        money.files.run(money.world.write(), data)
    assert len(money.world.campaigns.campaigns(money.world.tenant_a, money.advertiser_id).items) == 1


def test_export_imports_as_no_change_whatever_it_was_made_by(money: MoneyWorld) -> None:
    money.files.run(money.world.write(), rows_of(money, {"keywords": "a\\|b|c", "hours_of_week": "0|5"}))
    money.world.a_line_item(
        money.campaign, money.creative, name="=cmd|' /C calc'!A0", budget=Budget(1, 1),
        targeting=Targeting(("BD",), (1, 4), ("a|b",), ("back\\slash", "-1"), ("x=1|2",), ("p1",), ("top",), ("bn",)),
        frequency_cap=FrequencyCap(2, 60), schedule=Schedule(5, 1_700_000_000_001, (0, 167)), strategy=3, state=2,
        deal_ids=("spring|summer", "autumn"), deals_only=True, seat="-house",
        caps=(Cap(2, 5, 86_400), Cap(4, 1, 60, True)),
    )  # fmt: skip

    data, rows = money.files.export(money.world.tenant_a)

    assert rows == 3
    assert {action for _, action in actions(money, data)} == {"unchanged"}
    cells = [cell for row in csv.reader(io.StringIO(data.decode(), newline="")) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert "'=cmd|' /C calc'!A0" in cells


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
WORDS = st.lists(NAMES, max_size=3, unique=True).map(tuple)
ITEMS = st.builds(
    LineItem,
    campaign_id=st.just(""),
    name=NAMES,
    strategy=st.integers(1, 3),
    pricing_model=st.integers(1, 3),
    bid_micros=st.integers(1, 10**12),
    creative_ids=st.just(("0" * 32,)),
    budget=st.builds(Budget, st.integers(0, 10**15), st.integers(0, 10**15)),
    targeting=st.builds(Targeting, keywords=WORDS, categories=WORDS, devices=st.sampled_from([(), (1,), (4, 2)])),
    schedule=st.builds(Schedule, st.integers(0, 4_102_444_800_000), st.integers(0, 4_102_444_800_000)),
    deal_ids=WORDS,
    deals_only=st.booleans(),
    seat=NAMES,
    caps=st.lists(
        st.builds(Cap, st.integers(1, 4), st.integers(0, 99), st.integers(0, 10**8), st.booleans()), max_size=3
    ).map(tuple),
    state=st.integers(1, 2),
)


@given(NAMES, ITEMS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_written_is_read_back(campaign_name: str, item: LineItem) -> None:
    campaign = replace(CAMPAIGN, advertiser_id="1", name=campaign_name)

    (row,) = bulk_csv.read(bulk_csv.write([("c", campaign, "i", item)]), "EUR")

    assert (row.campaign, row.line_item) == (campaign, item)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for file in (data, b",".join(name.encode() for name in bulk_csv.NAMES) + b"\r\n" + data):
        # Anything else that is raised is our mistake.
        with contextlib.suppress(InvalidInput):
            assert bulk_csv.read(file, "EUR")


def test_a_mark_of_byte_order_and_other_orders_of_columns_are_taken(money: MoneyWorld) -> None:
    text = rows_of(money, {}).decode()
    rows = [list(reversed(row)) for row in csv.reader(io.StringIO(text, newline=""))]

    data = b"\xef\xbb\xbf" + bulk_csv.lines_of(rows).encode()

    assert actions(money, data, dry=True) == [("autumn", "create"), ("item-0", "create")]


def test_what_the_file_has_no_column_for_stays_as_it_is(money: MoneyWorld) -> None:
    told = {"caps": "campaign 5/86400|creative 2/3600 by session", "deal_ids": "spring", "deals_only": "yes",
            "seat": "agency", "countries": "BD", "daily_budget": "5", "campaign_pacing": "asap",
            "campaign_time_zone": "Asia/Dhaka"}  # fmt: skip
    money.files.run(money.world.write(), rows_of(money, told))
    (made,) = [
        item
        for campaign in money.world.campaigns.campaigns(money.world.tenant_a, money.advertiser_id).items
        for item in money.world.campaigns.line_items(money.world.tenant_a, campaign.campaign_id).items
        if item.seat == "agency"
    ]
    assert made.caps == (Cap(2, 5, 86_400), Cap(4, 2, 3600, by_session=True))
    assert (made.deal_ids, made.deals_only) == (("spring",), True)

    rows = list(csv.DictReader(io.StringIO(rows_of(money, {"bid": "9"}).decode(), newline="")))
    few = [column.name for column in bulk_csv.COLUMNS if column.required]
    data = bulk_csv.lines_of([few, *([row[name] for name in few] for row in rows)]).encode()

    report = money.files.run(money.world.write(), data)

    # A required field alone is told, and the budget of the campaign, whose columns are both not there, stays.
    assert [(row.action, row.changed_fields) for row in report.rows] == [
        ("unchanged", ()), ("change", ("bid_micros",)),
    ]  # fmt: skip
    after = money.world.campaigns.line_item(money.world.tenant_a, made.line_item_id)
    assert after == replace(made, bid_micros=9_000_000, revision=made.revision + 1)
    # A column that is there and empty takes it away.
    assert ("change", ("deal_ids", "deals_only")) in [
        (row.action, row.changed_fields)
        for row in money.files.dry_run(
            money.world.tenant_a, rows_of(money, told | {"bid": "9", "deal_ids": "", "deals_only": ""})
        ).rows
    ]


@pytest.mark.parametrize("cell", ["campaign", "campaign 5", "nobody 5/60", "campaign -1/60", "campaign 5/60 by week"])
def test_caps_are_written_one_way(money: MoneyWorld, cell: str) -> None:
    assert complaints(money, rows_of(money, {"caps": cell})) == ["line 2, caps"]
    assert complaints(money, rows_of(money, {"deals_only": "maybe"})) == ["line 2, deals_only"]
    assert complaints(money, rows_of(money, {"caps": "campaign 99/60"})) == ["line 2, caps"]


def test_what_is_wrong_with_the_file_itself_is_told(money: MoneyWorld) -> None:
    assert complaints(money, b"x" * (bulk_csv.MAX_BYTES + 1)) == ["csv"]
    assert complaints(money, b"\xff\xfe") == ["csv"]
    assert complaints(money, b"") == ["line 1"] * 9
    assert complaints(money, rows_of(money)) == ["csv"]
    assert complaints(money, rows_of(money, {}) + b"a,b\r\n") == ["line 3"]
    assert complaints(money, rows_of(money, {}, {"external_id": "item-0"})) == ["line 3, external_id"]
    assert complaints(money, rows_of(money, {}, {"campaign_name": "Winter"})) == ["line 3, campaign_name"]
    assert complaints(money, rows_of(money, *[{}] * (bulk_csv.MAX_ROWS + 1))) == ["csv"]
    many = complaints(money, rows_of(money, *[{"bid": "x"}] * 300))
    assert len(many) == 101


@pytest.mark.parametrize("amount", ["1e5", "NaN", "-1", "+1", "1,5", "1_0", "٣", "0.0000001", "99999999999", "1 0"])
def test_amounts_are_plain_numbers(money: MoneyWorld, amount: str) -> None:
    assert complaints(money, rows_of(money, {"bid": amount})) == ["line 2, bid"]


def test_what_never_changes_is_said(money: MoneyWorld) -> None:
    money.files.run(money.world.write(), rows_of(money, {}))

    assert complaints(money, rows_of(money, {"pricing_model": "cpc"})) == ["line 2, pricing_model"]
    assert complaints(money, rows_of(money, {"campaign_time_zone": "Asia/Dhaka"})) == ["line 2, campaign_time_zone"]
    moved = rows_of(money, {"campaign_external_id": "winter"})
    assert complaints(money, moved) == ["line 2, campaign_external_id"]


def test_another_tenants_things_cannot_be_named(money: MoneyWorld) -> None:
    world = money.world
    theirs, campaign, creative, item = world.a_whole_campaign(world.tenant_b)

    assert complaints(money, rows_of(money, {"advertiser_id": theirs.advertiser_id})) == [
        *("line 2, advertiser_id", "line 2, creative_ids")
    ]
    assert complaints(money, rows_of(money, {"campaign_external_id": f"id:{campaign.campaign_id}"})) == [
        "line 2, campaign_external_id"
    ]
    assert complaints(money, rows_of(money, {"external_id": f"id:{item.line_item_id}"})) == ["line 2, external_id"]
    assert complaints(money, rows_of(money, {"creative_ids": creative.creative_id})) == ["line 2, creative_ids"]
    with pytest.raises(NotFound):
        money.files.export(world.tenant_a, theirs.advertiser_id)
    # The same names mean other things to another tenant.
    money.files.run(world.write(), rows_of(money, {}))
    own = rows_of(money, {"advertiser_id": theirs.advertiser_id, "creative_ids": creative.creative_id})
    assert [row.action for row in money.files.dry_run(world.tenant_b, own).rows] == ["create", "create"]


def test_the_template_is_read_but_for_what_is_to_be_filled_in() -> None:
    text = bulk_csv.template().decode()

    assert next(csv.reader(io.StringIO(text, newline=""))) == list(bulk_csv.NAMES)
    assert bulk_csv.read(text.encode(), "EUR")[0].line_item.bid_micros == 1_800_000


def test_imports_are_in_the_history(money: MoneyWorld) -> None:
    money.files.run(money.world.write(), rows_of(money, {}))

    actions = [change.action for change in money.edits.changes(money.world.tenant_a).items[-2:]]
    assert actions == ["ImportCampaigns", "ImportCampaigns"]
