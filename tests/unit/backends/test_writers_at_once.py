"""Do two nodes with one database write side by side and lose nothing, take nothing twice, and number without gaps?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from backends.balances_sql import SqlBalanceStore
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.campaigns_sql import SqlCampaignStore
from backends.graph_sql import SqlGraphStore
from backends.invoices_sql import SqlInvoiceStore
from backends.moderation_sql import SqlCaseStore
from backends.people_sql import SqlPeopleStore
from common.ids import new_id
from exchange.balances import Balances
from exchange.campaigns import Campaigns, Write
from exchange.ports import CAMPAIGN_ACCOUNTS
from feed.moderation.audit import entry_of, first_break
from feed.moderation.ports import CaseWrite
from feed.social.words import Person, Relation
from tests.databases import open_database
from tests.moderation_desk import TENANT, Desk
from tests.money_worlds import MoneyWorld, money_world

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]

AT_ONCE = 8
T = TypeVar("T")


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def nodes(database: str, tmp_path: Path) -> Iterator[list[Engine]]:
    """Engines of two nodes over the same database."""
    engines = [open_database(tmp_path), open_database(tmp_path)]
    assert {engine.dialect.name for engine in engines} == {database}
    yield engines
    for engine in engines:
        engine.dispose()


def at_once(do: Callable[[int], T]) -> list[T]:
    """What each of eight threads came to, which began together."""
    start = Barrier(AT_ONCE)

    def begin(number: int) -> T:
        start.wait()
        return do(number)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(begin, range(AT_ONCE)))


def test_a_payment_that_is_sent_eight_times_at_once_is_taken_once(money: MoneyWorld, nodes: list[Engine]) -> None:
    def pay(number: int) -> None:
        balances = Balances(store=SqlBalanceStore(nodes[number % 2]), clock=money.world.clock, currency="EUR")
        balances.top_up(money.operator("the key"), money.advertiser_id, "", 1_000, "bank")

    at_once(pay)

    assert money.balances.balance(money.world.tenant_a, money.advertiser_id, "").balance_micros == 1_000


def test_payments_at_once_all_count(money: MoneyWorld, nodes: list[Engine]) -> None:
    def pay(number: int) -> None:
        balances = Balances(store=SqlBalanceStore(nodes[number % 2]), clock=money.world.clock, currency="EUR")
        balances.top_up(money.operator(), money.advertiser_id, "", 1 << number, "bank")

    at_once(pay)

    assert money.balances.balance(money.world.tenant_a, money.advertiser_id, "").balance_micros == 255
    with SqlBalanceStore(nodes[0]).reading() as unit:
        assert sum(line.balance_micros for line in unit.trial_balance()) == 0


def test_leases_at_once_never_exceed_what_was_paid(money: MoneyWorld, nodes: list[Engine]) -> None:
    money.pay(3_000_000)
    account = CAMPAIGN_ACCOUNTS + money.campaign.number
    now_ms = money.world.clock.now_ms()

    def lease(number: int) -> int:
        ledger = SqlBudgetLedger(nodes[number % 2])
        return ledger.lease(f"holder {number}", {account: 1_000_000}, now_ms)[account]

    assert sum(at_once(lease)) == 3_000_000


def test_a_campaign_that_is_sent_eight_times_at_once_is_made_once(money: MoneyWorld, nodes: list[Engine]) -> None:
    world = money.world
    write = Write(world.write().caller, world.tenant_a, "the key")
    draft = replace(money.campaign, name="Once", campaign_id="", revision=0, number=0)

    def create(number: int) -> str:
        store = SqlCampaignStore(nodes[number % 2])
        campaigns = Campaigns(store=store, clock=world.clock, currency="EUR", spent=world.ledger)
        return campaigns.create_campaign(write, draft).campaign_id

    assert len(set(at_once(create))) == 1


def test_invoices_are_numbered_without_gaps(nodes: list[Engine]) -> None:
    def take(number: int) -> int:
        with SqlInvoiceStore(nodes[number % 2]).writing() as unit:
            return unit.next_number("issuer", "invoice", 2026)

    assert sorted(at_once(take)) == list(range(1, AT_ONCE + 1))


def test_followers_are_counted_while_people_sign_up_and_follow_each_other(nodes: list[Engine]) -> None:
    names = [f"p{number}" for number in range(AT_ONCE)]

    def join(number: int) -> None:
        node, me = nodes[number % 2], names[number]
        people, graph = SqlPeopleStore(node), SqlGraphStore(node)
        person = Person(tenant_id=TENANT, person_id=me, handle=me, display_name=me, joined_at_ms=1)
        people.sign_up(person, me, new_id(1), "digest")
        for other in names:
            if other != me:
                key = f"{me} {other}".encode().ljust(16)
                graph.relate(TENANT, me, Relation.FOLLOW, other, on=True, key=key, now_ms=1)

    at_once(join)

    found = [SqlPeopleStore(nodes[0]).get(TENANT, name) for name in names]
    assert [(one.followers, one.following) for one in found if one] == [(AT_ONCE - 1, AT_ONCE - 1)] * AT_ONCE


def test_the_trail_of_cases_that_are_written_at_once_is_whole(tmp_path: Path, nodes: list[Engine]) -> None:
    desk = Desk(tmp_path)
    cases = [desk.found(f"post {number}") for number in range(AT_ONCE)]
    before = len(desk.store.trail(TENANT, "", 0, 99))

    def claim(number: int) -> None:
        case = cases[number]
        claimed = replace(case, revision=case.revision + 1, claimed_by=f"m{number}")
        entry = entry_of(case, claimed, f"m{number}", "claimed")
        SqlCaseStore(nodes[number % 2]).save([CaseWrite(claimed, case.revision, entry)])

    at_once(claim)

    trail = desk.store.trail(TENANT, "", 0, 99)
    desk.close()
    assert len(trail) == before + AT_ONCE
    assert first_break(trail) == 0
