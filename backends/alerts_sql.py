"""Where are alerts kept, and what are they measured by? In SQL: budgets, balances, and what was told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, Engine, and_, or_, select

from backends import outbox_sql
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_budgets import BUDGET_ACCOUNTS
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS
from backends.sql_tables_money import BALANCE_ACCOUNTS, BUDGET_ALERTS, PAYMENT_TERMS
from exchange.alerts import Alert, Usage
from exchange.balances import AccountKind, Terms
from exchange.campaign_days import day_of
from exchange.campaign_values import State
from exchange.ports import CAMPAIGN_ACCOUNTS
from streams.topics import ALERTS


class SqlAlertStore:
    """AlertStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def usages(self, now_ms: int, least_percent: int) -> list[Usage]:
        """What is used at least so far."""
        with reading(self._engine) as connection:
            usages = [*_of_campaigns(connection, now_ms, least_percent), *_of_balances(connection)]
        return [usage for usage in usages if usage.used_micros * 100 >= least_percent * usage.limit_micros]

    def tell(self, alerts: Sequence[Alert]) -> int:
        """Store those that were not told before, with their events."""
        of = BUDGET_ALERTS.c
        with writing(self._engine) as connection:
            in_turn(connection, "alerts")
            known: set[tuple[str, str, int, str]] = set()
            for some in chunks({alert.id for alert in alerts}):
                rows = connection.execute(
                    select(of.id, of.measure, of.threshold_percent, of.period).where(of.id.in_(some))
                )
                known.update(tuple(row) for row in rows)
            fresh = [a for a in alerts if (a.id, a.measure, a.threshold_percent, a.period) not in known]
            if not fresh:
                return 0
            columns = [msgspec.structs.asdict(alert) for alert in fresh]
            for row in columns:
                del row["number"]
            giving_numbers = BUDGET_ALERTS.insert().returning(of.number, sort_by_parameter_order=True)
            numbers = connection.execute(giving_numbers, columns).scalars()
            events = [
                {name: value for name, value in row.items() if name != "period"} | {"alert_number": number}
                for row, number in zip(columns, numbers, strict=True)
            ]
            outbox_sql.append(connection, ALERTS.name, events, fresh[0].alerted_at_ms)
        return len(fresh)

    def alerts(self, tenant_id: str, after_number: int, limit: int) -> list[Alert]:
        """The tenant's, oldest first."""
        of = BUDGET_ALERTS.c
        query = select(BUDGET_ALERTS).where(of.tenant_id == tenant_id, of.number > after_number)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(of.number).limit(limit)).mappings()
            return [Alert(**{name: row[name] for name in Alert.__struct_fields__}) for row in rows]


def _of_campaigns(connection: Connection, now_ms: int, least_percent: int) -> Iterator[Usage]:
    limits = BUDGET_ACCOUNTS.c
    used = or_(
        and_(limits.total_micros > 0, limits.spent_total_micros * 100 >= limits.total_micros * least_percent),
        and_(limits.daily_micros > 0, limits.spent_day_micros * 100 >= limits.daily_micros * least_percent),
    )
    query = (
        select(CAMPAIGNS.c.tenant_id, ADVERTISERS.c.advertiser_id, CAMPAIGNS.c.campaign_id, BUDGET_ACCOUNTS)
        .select_from(CAMPAIGNS)
        .join(ADVERTISERS)
        .join(BUDGET_ACCOUNTS, limits.account == CAMPAIGNS.c.number + CAMPAIGN_ACCOUNTS)
        .where(CAMPAIGNS.c.state == State.ACTIVE, ADVERTISERS.c.state == State.ACTIVE, used)
    )
    for row in connection.execute(query):
        today = day_of(now_ms, row.time_zone)
        measures = [("total", f"total {row.total_micros}", row.spent_total_micros, row.total_micros)]
        if row.day == today:
            measures.append(("daily", f"day {today}", row.spent_day_micros, row.daily_micros))
        for measure, period, spent, limit in measures:
            if limit:
                yield Usage(
                    row.tenant_id, row.advertiser_id, "campaign", row.campaign_id, measure, period, spent, limit,
                    row.currency,
                )  # fmt: skip


def _of_balances(connection: Connection) -> Iterator[Usage]:
    terms, accounts = PAYMENT_TERMS.c, BALANCE_ACCOUNTS.c
    query = (
        select(
            ADVERTISERS.c.number,
            ADVERTISERS.c.tenant_id,
            ADVERTISERS.c.advertiser_id,
            terms.terms,
            terms.currency,
            terms.credit_limit_micros,
            terms.funded_micros,
            terms.funded_by,
        )
        .select_from(ADVERTISERS)
        .join(PAYMENT_TERMS)
        .where(ADVERTISERS.c.state == State.ACTIVE)
    )
    rows = connection.execute(query).all()
    balances: dict[tuple[str, str, str], int] = {}
    for some in chunks([str(row.number) for row in rows]):
        found = connection.execute(
            select(accounts.kind, accounts.owner, accounts.currency, accounts.balance_micros).where(
                accounts.owner.in_(some),
                accounts.kind.in_([AccountKind.ADVERTISER_BALANCE, AccountKind.RECEIVABLE]),
            )
        )
        balances.update({(kind, owner, currency): micros for kind, owner, currency, micros in found})
    for row in rows:
        if row.terms == Terms.PREPAID:
            limit = row.funded_micros
            used = limit + balances.get((AccountKind.ADVERTISER_BALANCE, str(row.number), row.currency), 0)
        else:
            limit = row.credit_limit_micros
            used = balances.get((AccountKind.RECEIVABLE, str(row.number), row.currency), 0)
        if limit > 0:
            period = f"payment {row.funded_by} {limit}"
            yield Usage(
                row.tenant_id, row.advertiser_id, "advertiser", row.advertiser_id, "balance", period, used, limit,
                row.currency,
            )  # fmt: skip
