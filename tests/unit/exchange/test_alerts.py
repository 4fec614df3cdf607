from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from app.bridges import tell_outbox
from backends.alerts_sql import SqlAlertStore
from backends.event_log_lmdb import LmdbEventLog
from backends.outbox_sql import OutboxRelay
from backends.sql import reading
from backends.sql_tables_money import BUDGET_ALERTS
from exchange.alerts import Alerts, Usage, due
from exchange.balances import Terms
from exchange.campaign_values import Budget
from streams.publisher import Publisher
from streams.schemas import BudgetAlerted, decode
from streams.topics import ALERTS
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database

DAY = 86_400_000


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        opened.world.campaigns.change_budget(opened.world.write(), opened.campaign.campaign_id, Budget(10_000, 0))
        yield opened


def told(money: MoneyWorld) -> list[tuple[str, str, int]]:
    money.alerts.evaluate()
    return [(a.kind, a.measure, a.threshold_percent) for a in money.alerts.alerts(money.world.tenant_a).items]


def test_each_threshold_of_a_total_is_told_once(money: MoneyWorld) -> None:
    money.spend(4_999)
    assert told(money) == []
    money.spend(1)
    assert told(money) == [("campaign", "total", 50)]
    assert told(money) == [("campaign", "total", 50)]
    money.spend(5_000)
    assert told(money) == [("campaign", "total", percent) for percent in (50, 80, 100)]


def test_another_process_does_not_tell_again(money: MoneyWorld) -> None:
    money.spend(10_000)
    assert money.alerts.evaluate() == 3

    assert Alerts(store=SqlAlertStore(money.world.engine), clock=money.world.clock).evaluate() == 0


def test_a_raised_total_begins_anew(money: MoneyWorld) -> None:
    money.spend(5_000)
    told(money)
    money.world.campaigns.change_budget(money.world.write(), money.campaign.campaign_id, Budget(100_000, 0))
    assert len(told(money)) == 1
    money.spend(45_000)

    assert told(money) == [("campaign", "total", 50)] * 2


def test_a_daily_budget_is_told_of_each_day_anew(money: MoneyWorld) -> None:
    money.world.campaigns.change_budget(money.world.write(), money.campaign.campaign_id, Budget(0, 1_000))
    money.spend(800)
    assert told(money) == [("campaign", "daily", 50), ("campaign", "daily", 80)]
    money.world.clock.step(DAY)
    assert len(told(money)) == 2
    money.spend(500)

    assert told(money)[2:] == [("campaign", "daily", 50)]


def test_a_balance_is_told_of_since_its_newest_payment(money: MoneyWorld) -> None:
    money.pay(2_000)
    money.spend(1_000)
    assert told(money) == [("advertiser", "balance", 50)]
    money.pay(1_000)
    assert len(told(money)) == 1
    money.spend(1_600)

    assert told(money)[1:] == [("advertiser", "balance", 50), ("advertiser", "balance", 80)]


def test_a_credit_limit_is_told_of(money: MoneyWorld) -> None:
    money.balances.set_terms(money.operator(), money.advertiser_id, "", Terms.POSTPAID, 1_000)
    money.spend(800)

    assert told(money) == [("advertiser", "balance", 50), ("advertiser", "balance", 80)]


def test_an_alert_is_an_event_of_its_topic(money: MoneyWorld, tmp_path: Path) -> None:
    money.spend(5_000)
    money.alerts.evaluate()
    log = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)
    publisher = Publisher(log, money.world.clock)
    relay = OutboxRelay(
        engine=money.world.engine, clock=money.world.clock, publish=lambda events: tell_outbox(publisher, events)
    )
    relay.relay_once()

    (record,) = log.read(ALERTS.name, 0)
    event = decode(ALERTS.name, record)
    log.close()
    assert isinstance(event, BudgetAlerted)
    assert (event.id, event.measure, event.used_micros, event.limit_micros, event.alert_number) == (
        *(money.campaign.campaign_id, "total", 5_000, 10_000, 1),
    )


def test_alerts_are_the_tenants_own_and_come_in_pages(money: MoneyWorld) -> None:
    money.spend(10_000)
    money.alerts.evaluate()

    first = money.alerts.alerts(money.world.tenant_a, 2)
    second = money.alerts.alerts(money.world.tenant_a, 2, first.next_page_token)

    assert [a.threshold_percent for a in [*first.items, *second.items]] == [50, 80, 100]
    assert money.alerts.alerts(money.world.tenant_b).items == []
    with reading(money.world.engine) as connection:
        assert len(connection.execute(select(BUDGET_ALERTS)).all()) == 3


def test_what_has_no_limit_is_never_due() -> None:
    usage = Usage("t", "a", "campaign", "c", "total", "p", 5, 0, "EUR")

    assert due([usage], 1) == []
    assert [a.threshold_percent for a in due([replace(usage, limit_micros=6)], 1)] == [50, 80]
