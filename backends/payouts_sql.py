"""Where are publishers' accounts kept? In the ledger's tables: PayoutStore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select, case, func, select

from backends.balances_sql import SqlBalanceUnit
from backends.postings_sql import post
from backends.sql import reading, writing
from backends.sql_tables_money import BALANCE_ACCOUNTS, BALANCE_POSTINGS, BALANCE_TRANSACTIONS, PLACEMENT_DAYS
from exchange.balances import AccountKind, Transaction
from exchange.payouts import PAYOUT, EarnedLine, Payout, PayoutUnit


class SqlPayoutStore:
    """PayoutStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[PayoutUnit]:
        """One state of everything."""
        with reading(self._engine) as connection:
            yield SqlPayoutUnit(connection, locking=False)

    @contextmanager
    def writing(self) -> Iterator[PayoutUnit]:
        """One transaction."""
        with writing(self._engine) as connection:
            yield SqlPayoutUnit(connection, locking=True)


class SqlPayoutUnit:
    """PayoutUnit over one connection within a transaction."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def owed(self, publisher_id: str, currency: str) -> int:
        """The account's balance, turned round: credits are below zero."""
        of = BALANCE_ACCOUNTS.c
        own = (of.kind == AccountKind.PUBLISHER_PAYABLE) & (of.owner == publisher_id) & (of.currency == currency)
        query = select(of.balance_micros).where(own)
        balance: int | None = self._connection.execute(
            query.with_for_update() if self._locking else query
        ).scalar_one_or_none()
        return -(balance or 0)

    def months(self, publisher_id: str, currency: str) -> list[tuple[int, int, int]]:
        """(month, earned, paid), in their order."""
        month, kind, amount = (
            BALANCE_TRANSACTIONS.c.month,
            BALANCE_TRANSACTIONS.c.kind,
            BALANCE_POSTINGS.c.amount_micros,
        )
        earned = func.sum(case((kind != PAYOUT, -amount), else_=0))
        paid = func.sum(case((kind == PAYOUT, amount), else_=0))
        query = _own(select(month, earned, paid), publisher_id, currency).group_by(month).order_by(month)
        return [(of, int(got), int(sent)) for of, got, sent in self._connection.execute(query)]

    def lines(self, publisher_id: str, currency: str, first_day: int, beyond: int) -> list[EarnedLine]:
        """What its placements brought, the most first."""
        of = PLACEMENT_DAYS.c
        earned = func.sum(of.revenue_micros).label("earned_micros")
        sums = (func.sum(of[name]).label(name) for name in ("impressions", "clicks", "conversions"))
        query = (
            select(of.placement_id, *sums, earned)
            .where(of.publisher_id == publisher_id, of.currency == currency, of.day >= first_day, of.day < beyond)
            .group_by(of.placement_id)
            .order_by(earned.desc(), of.placement_id)
        )
        return [
            EarnedLine(
                row.placement_id, int(row.impressions), int(row.clicks), int(row.conversions), int(row.earned_micros)
            )
            for row in self._connection.execute(query)
        ]

    def payouts(self, publisher_id: str, currency: str, month: int) -> list[Payout]:
        """What was paid in a month."""
        of = BALANCE_TRANSACTIONS.c
        query = _own(
            select(of.number, of.at_ms, BALANCE_POSTINGS.c.amount_micros, of.reference), publisher_id, currency
        )
        rows = self._connection.execute(query.where(of.kind == PAYOUT, of.month == month).order_by(of.number))
        return [Payout(*row) for row in rows]

    def posted(self, tenant_id: str, idempotency_key: str) -> Transaction | None:
        """The transaction of this key."""
        return SqlBalanceUnit(self._connection, locking=self._locking).posted(tenant_id, idempotency_key)

    def post(self, transaction: Transaction) -> int:
        """Write it; its number."""
        return post(self._connection, transaction)


def _own(query: Select[Any], publisher_id: str, currency: str) -> Select[Any]:
    """The postings of a publisher's account."""
    of = BALANCE_ACCOUNTS.c
    return (
        query.select_from(BALANCE_POSTINGS)
        .join(BALANCE_TRANSACTIONS)
        .join(BALANCE_ACCOUNTS)
        .where(of.kind == AccountKind.PUBLISHER_PAYABLE, of.owner == publisher_id, of.currency == currency)
    )
