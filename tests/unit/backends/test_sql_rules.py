"""Does the database itself refuse what must never be, whoever writes it?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text, update

from backends.balances_sql import SqlBalanceStore
from backends.sql import reading, writing
from backends.sql_schema import METADATA
from backends.sql_tables_campaigns import CAMPAIGNS, IDEMPOTENCY
from backends.sql_tables_money import BALANCE_ACCOUNTS, BALANCE_POSTINGS, BALANCE_TRANSACTIONS, OPEN_TRANSACTIONS
from common.errors import Conflict
from exchange.balances import AccountKind, Entry, Transaction
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store with a payment of 5,000 in it, between accounts 1 and 2."""
    opened = open_database(tmp_path)
    entries = (Entry(AccountKind.CASH, "", 5_000), Entry(AccountKind.ADVERTISER_BALANCE, "7", -5_000))
    with SqlBalanceStore(opened).writing() as unit:
        unit.post(Transaction("payment", "t", "first", 1, 202603, "EUR", "", entries))
    yield opened
    opened.dispose()


def write(engine: Engine, *amounts: tuple[int, int]) -> None:
    """A transaction with these (account, micros), past all of our own checks."""
    row = {"kind": "payment", "tenant_id": "t", "idempotency_key": "second", "at_ms": 1, "month": 202603}
    with writing(engine) as connection:
        number = connection.execute(
            insert(BALANCE_TRANSACTIONS).values(row | {"reference": ""}).returning(BALANCE_TRANSACTIONS.c.number)
        ).scalar_one()
        for account, micros in amounts:
            posting = {"transaction_number": number, "account_number": account, "amount_micros": micros}
            connection.execute(insert(BALANCE_POSTINGS).values(posting | {"balance_after_micros": micros}))


def postings(engine: Engine) -> int:
    with reading(engine) as connection:
        assert connection.execute(select(OPEN_TRANSACTIONS)).all() == []
        return len(connection.execute(select(BALANCE_POSTINGS)).all())


@pytest.mark.parametrize("amounts", [[(1, 10)], [(1, 10), (2, -9)], [(1, 10), (2, -10), (1, 1)]])
def test_a_transaction_that_does_not_add_up_is_not_committed(engine: Engine, amounts: list[tuple[int, int]]) -> None:
    with pytest.raises(Conflict):
        write(engine, *amounts)

    assert postings(engine) == 2


def test_a_transaction_adds_up_in_each_currency_and_not_across_them(engine: Engine) -> None:
    with writing(engine) as connection:
        dollars = {"kind": "cash", "owner": "", "currency": "USD", "balance_micros": 0}
        connection.execute(insert(BALANCE_ACCOUNTS).values(dollars))

    with pytest.raises(Conflict):
        write(engine, (1, 10), (3, -10))
    assert postings(engine) == 2


def test_a_transaction_that_adds_up_is_taken_in_any_order(engine: Engine) -> None:
    write(engine, (1, 10), (2, -15), (1, 5))

    assert postings(engine) == 5


def test_nothing_is_posted_to_a_transaction_that_is_over(engine: Engine) -> None:
    posting = {"transaction_number": 1, "account_number": 1, "amount_micros": 5, "balance_after_micros": 5}

    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(insert(BALANCE_POSTINGS).values(posting))
    assert postings(engine) == 2


@pytest.mark.parametrize("name", ["balance_transactions", "balance_postings"])
def test_what_is_written_once_is_neither_changed_nor_removed(engine: Engine, name: str) -> None:
    table = METADATA.tables[name]

    with pytest.raises(Conflict, match="append only"), writing(engine) as connection:
        connection.execute(update(table).values(number=table.c.number + 1))
    with pytest.raises(Conflict, match="append only"), writing(engine) as connection:
        connection.execute(table.delete())


def test_money_that_was_not_paid_cannot_be_spent(engine: Engine) -> None:
    overdrawn = update(BALANCE_ACCOUNTS).where(BALANCE_ACCOUNTS.c.kind == "advertiser_balance").values(balance_micros=1)

    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(overdrawn)


def test_a_key_is_used_once_and_belongs_to_a_tenant(engine: Engine) -> None:
    key = {"idempotency_key": "k", "method": "m", "request_sha256": "", "response": b"", "at_ms": 1}
    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(insert(IDEMPOTENCY).values(key | {"tenant_id": "nobody"}))

    with writing(engine) as connection:
        connection.execute(text("INSERT INTO tenants (tenant_id, name, created_at_ms) VALUES ('t', 'T', 1)"))
        connection.execute(insert(IDEMPOTENCY).values(key | {"tenant_id": "t"}))
    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(insert(IDEMPOTENCY).values(key | {"tenant_id": "t", "method": "other"}))
    write(engine)
    with pytest.raises(Conflict):
        write(engine)


def test_a_campaign_belongs_to_an_advertiser_that_is(engine: Engine) -> None:
    campaign = {
        "campaign_id": "c", "tenant_id": "t", "advertiser_number": 99, "name": "", "currency": "EUR", "total_micros": 0,
        "daily_micros": 0, "time_zone": "UTC", "state": 1, "revision": 1,
    }  # fmt: skip
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO tenants (tenant_id, name, created_at_ms) VALUES ('t', 'T', 1)"))

    with pytest.raises(Conflict), writing(engine) as connection:
        connection.execute(insert(CAMPAIGNS).values(campaign))
