"""Where are balances kept? In SQL, beside the budgets that are leased out of them: BalanceStore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, insert, select, update

from backends import outbox_sql
from backends.idempotency_sql import first_time
from backends.postings_sql import post, standings_of, terms_of
from backends.sql import in_turn, reading, writing
from backends.sql_tables_campaigns import ADVERTISERS
from backends.sql_tables_money import BALANCE_ACCOUNTS, BALANCE_POSTINGS, BALANCE_TRANSACTIONS, PAYMENT_TERMS
from exchange.balances import (
    AccountKind,
    AccountSum,
    BalanceUnit,
    Entry,
    PaymentTerms,
    Posting,
    Terms,
    Transaction,
    available,
)
from streams.topics import CAMPAIGN_CHANGES

_OWN = (AccountKind.ADVERTISER_BALANCE, AccountKind.RECEIVABLE)
_LINES = (
    select(
        BALANCE_POSTINGS,
        BALANCE_TRANSACTIONS.c.kind,
        BALANCE_TRANSACTIONS.c.at_ms,
        BALANCE_TRANSACTIONS.c.month,
        BALANCE_TRANSACTIONS.c.reference,
        BALANCE_ACCOUNTS.c.kind.label("account"),
        BALANCE_ACCOUNTS.c.owner,
        BALANCE_ACCOUNTS.c.currency,
    )
    .select_from(BALANCE_POSTINGS)
    .join(BALANCE_TRANSACTIONS)
    .join(BALANCE_ACCOUNTS)
)


class SqlBalanceStore:
    """BalanceStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[BalanceUnit]:
        """One state of everything."""
        with reading(self._engine) as connection:
            yield SqlBalanceUnit(connection, locking=False)

    @contextmanager
    def writing(self) -> Iterator[BalanceUnit]:
        """One transaction."""
        with writing(self._engine) as connection:
            yield SqlBalanceUnit(connection, locking=True)


class SqlBalanceUnit:
    """BalanceUnit over one connection within a transaction."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def advertiser(self, tenant_id: str, advertiser_id: str) -> int | None:
        """Its number, when it is the tenant's."""
        own = (ADVERTISERS.c.advertiser_id == advertiser_id) & (ADVERTISERS.c.tenant_id == tenant_id)
        number: int | None = self._connection.execute(select(ADVERTISERS.c.number).where(own)).scalar_one_or_none()
        return number

    def first_time(self, tenant_id: str, idempotency_key: str, method: str, digest: str, at_ms: int) -> bool:
        """False when this write was done before."""
        return first_time(self._connection, tenant_id, idempotency_key, method, digest, at_ms)

    def terms(self, advertiser: int, currency: str) -> PaymentTerms | None:
        """How it pays."""
        if self._locking:
            in_turn(self._connection, "terms", str(advertiser), currency)
        return terms_of(self._connection, [advertiser], currency, lock=self._locking).get(advertiser)

    def set_terms(self, advertiser: int, currency: str, terms: PaymentTerms) -> None:
        """Pay like this from now on."""
        values = {
            "terms": terms.terms,
            "credit_limit_micros": terms.credit_limit_micros,
            "revision": terms.revision,
        }
        key = {"advertiser_number": advertiser, "currency": currency}
        known = update(PAYMENT_TERMS).filter_by(**key).values(values)
        if not self._connection.execute(known).rowcount:
            self._connection.execute(insert(PAYMENT_TERMS).values(key | values | {"funded_micros": 0, "funded_by": 0}))

    def standing(self, advertiser: int, currency: str) -> tuple[int, int, int]:
        """(paid and not spent, owed, leased by its campaigns)."""
        return standings_of(self._connection, [advertiser], currency)[advertiser]

    def posted(self, tenant_id: str, idempotency_key: str) -> Transaction | None:
        """The transaction of this key."""
        if self._locking:
            in_turn(self._connection, "money", tenant_id, idempotency_key)
        query = _LINES.where(
            BALANCE_TRANSACTIONS.c.tenant_id == tenant_id, BALANCE_TRANSACTIONS.c.idempotency_key == idempotency_key
        )
        rows = self._connection.execute(query).all()
        if not rows:
            return None
        entries = tuple(Entry(AccountKind(row.account), row.owner, row.amount_micros) for row in rows)
        first = rows[0]
        return Transaction(
            first.kind, tenant_id, idempotency_key, first.at_ms, first.month, first.currency, first.reference, entries
        )

    def post(self, transaction: Transaction) -> int:
        """Write it; its number."""
        return post(self._connection, transaction)

    def funded(self, advertiser: int, currency: str, by_transaction: int) -> None:
        """From now on alerts measure by what can be spent now."""
        terms = self.terms(advertiser, currency)
        paid, owed, _ = self.standing(advertiser, currency)
        left = available(terms, paid, owed, 0) or 0
        if terms is not None and terms.terms == Terms.POSTPAID:
            left = terms.credit_limit_micros
        marked = {"funded_micros": left}
        if by_transaction:
            marked["funded_by"] = by_transaction
        own = update(PAYMENT_TERMS).filter_by(advertiser_number=advertiser, currency=currency)
        self._connection.execute(own.values(marked))

    def postings(self, advertiser: int, currency: str, after_number: int, limit: int) -> list[Posting]:
        """The lines of its accounts, oldest first."""
        query = (
            _LINES.where(
                BALANCE_ACCOUNTS.c.owner == str(advertiser),
                BALANCE_ACCOUNTS.c.currency == currency,
                BALANCE_ACCOUNTS.c.kind.in_(_OWN),
                BALANCE_POSTINGS.c.number > after_number,
            )
            .order_by(BALANCE_POSTINGS.c.number)
            .limit(limit)
        )
        return [
            Posting(
                number=row.number,
                transaction=row.transaction_number,
                kind=row.kind,
                account=row.account,
                amount_micros=row.amount_micros,
                balance_after_micros=row.balance_after_micros,
                currency=currency,
                at_ms=row.at_ms,
                reference=row.reference,
            )
            for row in self._connection.execute(query)
        ]

    def trial_balance(self) -> list[AccountSum]:
        """All accounts, by kind and currency."""
        of = BALANCE_ACCOUNTS.c
        query = select(of.kind, of.currency, func.sum(of.balance_micros)).group_by(of.kind, of.currency)
        rows = self._connection.execute(query.order_by(of.currency, of.kind))
        return [AccountSum(kind, currency, int(micros)) for kind, currency, micros in rows]

    def changed(self, tenant_id: str, advertiser_id: str, at_ms: int) -> None:
        """An event of its own: line items are funded again as after any change of their advertiser."""
        event = {
            "changed_at_ms": at_ms,
            "tenant_id": tenant_id,
            "kind": "advertiser",
            "id": advertiser_id,
            "revision": 0,
        }
        outbox_sql.append(self._connection, CAMPAIGN_CHANGES.name, [event], at_ms)
