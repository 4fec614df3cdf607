from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backends.outbox_sql import OutboxRelay
from backends.pruning_sql import IDEMPOTENCY_KEPT_MS, OUTBOX_KEPT_MS, ROWS_AT_ONCE, Pruning
from backends.sql import reading, writing
from backends.sql_tables_campaigns import IDEMPOTENCY
from backends.sql_tables_outbox import OUTBOX
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


def count(money: MoneyWorld, table: object) -> int:
    with reading(money.world.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def prune(money: MoneyWorld) -> int:
    return Pruning(money.world.engine).prune(money.world.clock.now_ms())


def relay(money: MoneyWorld) -> None:
    OutboxRelay(engine=money.world.engine, clock=money.world.clock, publish=lambda _: None).relay_once()


def test_a_write_is_remembered_for_two_days(money: MoneyWorld) -> None:
    assert IDEMPOTENCY_KEPT_MS > 24 * 3_600_000
    money.world.clock.step(IDEMPOTENCY_KEPT_MS)
    assert prune(money) == 0
    money.world.an_advertiser(domain="fresh.example")
    money.world.clock.step(1)

    assert prune(money) == 4
    assert count(money, IDEMPOTENCY) == 1


def test_events_that_were_not_told_are_never_dropped(money: MoneyWorld) -> None:
    money.world.clock.step(100 * OUTBOX_KEPT_MS)
    prune(money)

    assert count(money, OUTBOX) == 4


def test_events_that_were_told_long_ago_go_and_sequences_go_on(money: MoneyWorld) -> None:
    relay(money)
    money.world.clock.step(OUTBOX_KEPT_MS + 1)
    prune(money)
    # The newest stays, so that the inventory's sequence does not fall back.
    assert count(money, OUTBOX) == 1

    money.world.an_advertiser(domain="fresh.example")

    with reading(money.world.engine) as connection:
        assert connection.execute(select(OUTBOX.c.sequence).order_by(OUTBOX.c.sequence)).scalars().all() == [4, 5]


def test_many_rows_go_some_at_a_time(money: MoneyWorld) -> None:
    rows = [
        {
            "tenant_id": money.world.tenant_a, "idempotency_key": f"k{at}", "method": "m", "request_sha256": "",
            "response": b"", "at_ms": 0,
        }
        for at in range(2 * ROWS_AT_ONCE + 3)
    ]  # fmt: skip
    with writing(money.world.engine) as connection:
        connection.execute(IDEMPOTENCY.insert(), rows)

    assert prune(money) == len(rows)


def test_payments_and_invoices_keep_their_keys(money: MoneyWorld) -> None:
    money.pay(1_000, "bank 7")
    money.world.clock.step(400 * 86_400_000)
    prune(money)

    money.pay(1_000, "bank 7")

    assert money.balances.balance(money.world.tenant_a, money.advertiser_id, "").balance_micros == 1_000
