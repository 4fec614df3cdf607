from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import pytest

from accounts.ports import Tenant
from backends.accounts_sql import SqlAccountStore
from backends.campaigns_sql import SqlCampaignStore
from common.errors import Conflict
from exchange.campaign_ports import Answered, Audit, CampaignStore, Change
from exchange.campaign_values import Budget, Cap, CapScope, FrequencyCap, ReviewState, Schedule, State, Targeting
from exchange.ports import MediaFile
from tests.campaign_stores import ADVERTISER, CAMPAIGN, CREATIVE, LINE_ITEM
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

replace = msgspec.structs.replace
A, B = "a" * 32, "b" * 32
BRAND = replace(ADVERTISER, advertiser_id="1" * 32, revision=1)
WINTER = replace(CAMPAIGN, campaign_id="2" * 32, advertiser_id=BRAND.advertiser_id, revision=1)
CHAIR = replace(CREATIVE, creative_id="3" * 32, advertiser_id=BRAND.advertiser_id, revision=1)
TABLE = replace(CHAIR, creative_id="4" * 32, title="A table")
ITEM = replace(
    LINE_ITEM,
    line_item_id="5" * 32,
    campaign_id=WINTER.campaign_id,
    creative_ids=(TABLE.creative_id, CHAIR.creative_id),
    budget=Budget(0, 7),
    targeting=Targeting(("BD",), (1,), ("shoes",), ("red",), ("tier=Gold",), ("p1",), ("top",), ("bn",)),
    frequency_cap=FrequencyCap(3, 60),
    schedule=Schedule(5, 9, (0, 167)),
    deal_ids=("deal-1", "deal-2"),
    deals_only=True,
    seat="seat-1",
    caps=(Cap(CapScope.CAMPAIGN, 3, 60), Cap(CapScope.CREATIVE, 1, 5, by_session=True)),
    revision=1,
)


@contextmanager
def _sqlite(folder: Path) -> Iterator[CampaignStore]:
    engine = open_database(folder)
    try:
        accounts = SqlAccountStore(engine)
        for tenant_id in (A, B):
            accounts.add_tenant(Tenant(tenant_id, tenant_id[0], 1))
        yield SqlCampaignStore(engine)
    finally:
        engine.dispose()


STORES: dict[str, Callable[[Path], AbstractContextManager[CampaignStore]]] = {"sqlite": _sqlite}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CampaignStore]:
    with request.param(tmp_path) as opened:
        yield opened


def fill(store: CampaignStore) -> None:
    with store.writing() as unit:
        unit.add_advertiser(A, BRAND)
        unit.add_campaign(A, WINTER)
        unit.add_creative(A, CHAIR)
        unit.add_creative(A, TABLE)
        unit.add_line_items(A, [ITEM])


def test_what_is_added_reads_back_with_its_number(store: CampaignStore) -> None:
    fill(store)

    with store.reading() as unit:
        assert unit.advertiser(A, BRAND.advertiser_id) == replace(BRAND, number=1)
        assert unit.campaign(A, WINTER.campaign_id) == replace(WINTER, number=1)
        assert unit.creative(A, CHAIR.creative_id) == replace(CHAIR, number=1)
        assert unit.line_item(A, ITEM.line_item_id) == replace(ITEM, number=1)
        assert unit.creatives_by_id(A, [TABLE.creative_id, "9" * 32, ""]) == {
            TABLE.creative_id: replace(TABLE, number=2)
        }


def test_another_tenant_reads_none_of_it(store: CampaignStore) -> None:
    fill(store)

    with store.reading() as unit:
        assert unit.advertiser(B, BRAND.advertiser_id) is None
        assert unit.campaign(B, WINTER.campaign_id) is None
        assert unit.creative(B, CHAIR.creative_id) is None
        assert unit.line_item(B, ITEM.line_item_id) is None
        assert unit.creatives_by_id(B, [CHAIR.creative_id]) == {}
        assert unit.advertisers(B, 0, 9) == []
        assert unit.campaigns(B, BRAND.advertiser_id, 0, 9) == []
        assert unit.creatives(B, BRAND.advertiser_id, 0, 9) == []
        assert unit.line_items(B, WINTER.campaign_id, 0, 9) == []


def test_there_are_the_tenants_that_were_made(store: CampaignStore) -> None:
    with store.writing() as unit:
        assert unit.has_tenant(A)
        assert not unit.has_tenant("c" * 32)


def test_lists_go_on_beyond_a_number(store: CampaignStore) -> None:
    fill(store)
    with store.writing() as unit:
        unit.add_line_items(A, [replace(ITEM, line_item_id=f"{number:032d}") for number in (3, 1, 2)])

    with store.reading() as unit:
        assert [item.number for item in unit.line_items(A, WINTER.campaign_id, 1, 2)] == [2, 3]
        assert [item.line_item_id[-1] for item in unit.line_items(A, WINTER.campaign_id, 1, 9)] == ["3", "1", "2"]
        assert [item.creative_ids for item in unit.line_items(A, WINTER.campaign_id, 0, 9)] == [ITEM.creative_ids] * 4
        assert unit.creatives(A, BRAND.advertiser_id, 1, 9) == [replace(TABLE, number=2)]


def test_numbers_are_dense_and_bulk_keeps_the_order(store: CampaignStore) -> None:
    fill(store)
    with store.writing() as unit:
        added = unit.add_line_items(A, [replace(ITEM, line_item_id=f"{number:032d}") for number in range(1500)])

    assert [item.number for item in added] == list(range(2, 1502))
    assert [int(item.line_item_id) for item in added] == list(range(1500))
    with store.reading() as unit:
        assert unit.line_items(A, WINTER.campaign_id, 0, 2000) == [replace(ITEM, number=1), *added]


def test_what_is_set_reads_back(store: CampaignStore) -> None:
    fill(store)
    with store.writing() as unit:
        unit.set_state("advertiser", BRAND.advertiser_id, State.PAUSED, 2)
        unit.set_state("campaign", WINTER.campaign_id, State.PAUSED, 2)
        unit.set_budget("campaign", WINTER.campaign_id, Budget(4, 3), 3)
        unit.set_review_state(CHAIR.creative_id, ReviewState.REFUSED, 2)
        unit.set_bid(ITEM.line_item_id, 77, 2)
        unit.set_budget("line_item", ITEM.line_item_id, Budget(2, 1), 3)

    with store.reading() as unit:
        assert unit.advertiser(A, BRAND.advertiser_id) == replace(BRAND, number=1, state=State.PAUSED, revision=2)
        assert unit.campaign(A, WINTER.campaign_id) == replace(
            WINTER, number=1, state=State.PAUSED, budget=Budget(4, 3), revision=3
        )
        assert unit.creative(A, CHAIR.creative_id) == replace(
            CHAIR, number=1, review_state=ReviewState.REFUSED, revision=2
        )
        assert unit.line_item(A, ITEM.line_item_id) == replace(
            ITEM, number=1, bid_micros=77, budget=Budget(2, 1), revision=3
        )


def test_a_creative_reads_back_as_it_was_set_whatever_it_holds(store: CampaignStore) -> None:
    fill(store)
    film = replace(
        CHAIR, format=3, title="Film", video_url="https://chairs.example/7.mp4", duration_s=15, mime="video/webm",
        protocol=7, skippable=True, attributes=(6, 16), language="bn", app_bundle="com.chairs", body="Oak",
        call_to_action="Sit", icon_url="https://chairs.example/i.png", revision=2, number=1,
        media_files=(MediaFile("https://chairs.example/s.mp4", "video/mp4", 320, 180, 800),),
    )  # fmt: skip
    with store.writing() as unit:
        unit.set_creative(film)

    with store.reading() as unit:
        assert unit.creative(A, CHAIR.creative_id) == film
        assert unit.creative(A, TABLE.creative_id) == replace(TABLE, number=2)
    with pytest.raises(Conflict), store.writing() as unit:
        unit.set_creative(film)


def test_a_change_to_what_changed_meanwhile_is_a_conflict(store: CampaignStore) -> None:
    fill(store)

    with pytest.raises(Conflict), store.writing() as unit:
        unit.set_bid(ITEM.line_item_id, 77, 5)


def test_answers_are_kept_by_tenant_and_key(store: CampaignStore) -> None:
    answered = Answered("CreateAdvertiser", "0" * 64, b'{"a":1}')
    with store.writing() as unit:
        assert unit.answered(A, "key") is None
        unit.remember(A, "key", answered, 5)
    with store.writing() as unit:
        assert unit.answered(A, "key") == answered
        assert unit.answered(B, "key") is None

    with pytest.raises(Conflict), store.writing() as unit:
        unit.remember(A, "key", answered, 6)


def test_an_exception_undoes_the_whole_transaction(store: CampaignStore) -> None:
    def break_down() -> None:
        with store.writing() as unit:
            unit.add_advertiser(A, BRAND)
            unit.record(Audit(5, A, "advertiser", A, "Create"), [Change("advertiser", BRAND.advertiser_id, 1)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_down()

    with store.reading() as unit:
        assert unit.advertisers(A, 0, 9) == []
    with store.writing() as unit:
        # The number that was given may be given again, or not: some engines leave it out.
        assert unit.add_advertiser(A, BRAND).number >= 1
        assert [one.advertiser_id for one in unit.advertisers(A, 0, 9)] == [BRAND.advertiser_id]


def test_a_reader_sees_one_state_while_others_write(store: CampaignStore) -> None:
    with store.reading() as unit:
        assert unit.advertiser(A, BRAND.advertiser_id) is None
        fill(store)
        assert unit.advertiser(A, BRAND.advertiser_id) is None
    with store.reading() as unit:
        assert unit.advertiser(A, BRAND.advertiser_id) is not None
