"""Do all stores of balances keep the promises of exchange.balances.BalanceStore, beside the ledger of budgets?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from backends.sql import writing
from backends.sql_tables_money import BALANCE_POSTINGS, INVOICES
from common.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from exchange.balances import AccountKind, Entry, Terms, Towards, Transaction
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture(params=["sqlite"])
def money(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MoneyWorld]:
    assert request.param == "sqlite"
    with money_world(tmp_path) as opened:
        yield opened


def standing(money: MoneyWorld) -> tuple[int, int, int]:
    balance = money.balances.balance(money.world.tenant_a, money.advertiser_id, "")
    return balance.balance_micros, balance.owed_micros, balance.available_micros


def test_without_terms_everything_is_lent_and_owed(money: MoneyWorld) -> None:
    assert money.lease(5_000_000) == 5_000_000
    money.spend(300)

    assert standing(money) == (0, 300, -1)


def test_who_pays_before_leases_no_more_than_was_paid(money: MoneyWorld) -> None:
    money.pay(1_000)

    assert money.lease(700) == 700
    assert money.lease(700) == 300
    money.spend(700)
    assert money.lease(700) == 0
    assert standing(money) == (300, 0, 0)


def test_all_campaigns_of_a_payer_share_one_balance(money: MoneyWorld) -> None:
    other = money.world.a_campaign(money.advertiser)
    money.pay(1_000)
    accounts = {(1 << 31) + money.campaign.number: 800, (1 << 31) + other.number: 800}

    granted = money.world.ledger.lease("a", accounts, money.world.clock.now_ms())

    assert sum(granted.values()) == 1_000


def test_a_credit_limit_is_lent_and_payments_open_it_again(money: MoneyWorld) -> None:
    money.balances.set_terms(money.operator(), money.advertiser_id, "", Terms.POSTPAID, 500)
    assert money.lease(900) == 500
    money.spend(500)
    assert standing(money) == (0, 500, 0)

    money.pay(200)

    assert standing(money) == (0, 300, 200)
    assert money.lease(900) == 200


def test_what_a_balance_does_not_hold_is_owed_and_the_balance_is_never_below_zero(money: MoneyWorld) -> None:
    money.lease(5_000)
    money.pay(1_000)

    money.spend(1_500)

    assert standing(money) == (0, 500, 0)


def test_a_payment_said_again_changes_nothing_and_another_under_its_key_is_a_conflict(money: MoneyWorld) -> None:
    money.pay(1_000, "bank 7")
    money.pay(1_000, "bank 7")

    assert standing(money)[0] == 1_000
    with pytest.raises(Conflict):
        money.pay(1_001, "bank 7")


def test_terms_said_again_do_not_come_back_after_others(money: MoneyWorld) -> None:
    first = money.operator("first")
    money.balances.set_terms(first, money.advertiser_id, "", Terms.POSTPAID, 500)
    money.balances.set_terms(money.operator(), money.advertiser_id, "", Terms.PREPAID, 0)

    again = money.balances.set_terms(first, money.advertiser_id, "", Terms.POSTPAID, 500)

    assert again.terms == Terms.PREPAID


def test_a_payment_towards_what_is_owed_leaves_the_balance(money: MoneyWorld) -> None:
    money.spend(400)
    money.pay(1_000)

    money.balances.top_up(money.operator(), money.advertiser_id, "", 300, "bank", Towards.OWED)

    assert standing(money) == (1_000, 100, 1_000)


def test_a_payment_is_told_to_whoever_leases(money: MoneyWorld) -> None:
    from backends.line_items_sql import SqlLineItemSource

    source = SqlLineItemSource(money.world.engine)
    before = source.sequence()

    money.pay(1_000)

    _, put, _ = source.changed_since(before)
    assert [record.line_item_id for record in put] == [money.item.line_item_id]


def test_postings_come_in_pages_and_tell_the_balance_after_each(money: MoneyWorld) -> None:
    money.pay(1_000)
    money.spend(300)
    money.spend(200)

    first = money.balances.postings(money.world.tenant_a, money.advertiser_id, "", 2)
    second = money.balances.postings(money.world.tenant_a, money.advertiser_id, "", 2, first.next_page_token)

    lines = [(p.kind, p.amount_micros, p.balance_after_micros) for p in [*first.items, *second.items]]
    assert lines == [("payment", -1_000, -1_000), ("spend", 300, -700), ("spend", 200, -500)]
    assert not second.next_page_token


def test_publishers_get_their_share_and_the_books_come_to_nothing(money: MoneyWorld) -> None:
    money.spend(1_001)

    sums = {line.account: line.balance_micros for line in money.balances.trial_balance()}

    assert sums == {"exchange_margin": -200, "publisher_payable": -801, "receivable": 1_001}


def test_a_transaction_that_does_not_add_up_is_our_mistake(money: MoneyWorld) -> None:
    wrong = Transaction(
        "payment", "t", "k", 1, 202603, "EUR", "", (Entry(AccountKind.CASH, "", 2), Entry(AccountKind.MARGIN, "", -1))
    )
    with pytest.raises(AssertionError), money.balances._store.writing() as unit:
        unit.post(wrong)
    right = replace(wrong, entries=(wrong.entries[0], replace(wrong.entries[1], amount_micros=-2)))
    with money.balances._store.writing() as unit:
        unit.post(right)
    with pytest.raises(Conflict), money.balances._store.writing() as unit:
        unit.post(right)


def test_what_was_posted_cannot_be_changed_or_taken_away(money: MoneyWorld) -> None:
    money.pay(1_000)

    with pytest.raises(Conflict, match="append only"), writing(money.world.engine) as connection:
        connection.execute(update(BALANCE_POSTINGS).values(amount_micros=1))
    with pytest.raises(Conflict, match="append only"), writing(money.world.engine) as connection:
        connection.execute(delete(BALANCE_POSTINGS))
    assert INVOICES.name == "invoices"


def test_another_tenants_advertiser_is_not_found(money: MoneyWorld) -> None:
    with pytest.raises(NotFound):
        money.balances.balance(money.world.tenant_b, money.advertiser_id, "")
    with pytest.raises(NotFound):
        money.balances.postings(money.world.tenant_b, money.advertiser_id, "")


def test_only_operators_book_payments_and_set_terms(money: MoneyWorld) -> None:
    with pytest.raises(PermissionDenied):
        money.balances.top_up(money.world.write(), money.advertiser_id, "", 5, "")
    with pytest.raises(PermissionDenied):
        money.balances.set_terms(money.world.write(), money.advertiser_id, "", Terms.PREPAID, 0)


def test_everything_wrong_with_a_payment_is_named(money: MoneyWorld) -> None:
    with pytest.raises(InvalidInput) as caught:
        money.balances.top_up(money.operator("\n"), money.advertiser_id, "USD", 0, "x" * 201, 9)

    assert [error.field for error in caught.value.errors] == [
        *("currency", "amount_micros", "towards", "reference", "idempotency_key")
    ]
    with pytest.raises(InvalidInput) as caught:
        money.balances.set_terms(money.operator(), money.advertiser_id, "", Terms.PREPAID, 5)
    assert [error.field for error in caught.value.errors] == ["credit_limit_micros"]
