"""Where are invoices kept? In SQL, beside the days that they bill and the ledger that they must agree with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Row, Select, func, insert, select, update

from backends.balances_sql import SqlBalanceUnit
from backends.postings_sql import SETTLEMENT, terms_of
from backends.sql import in_turn, insert_once, reading, writing
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, LINE_ITEMS
from backends.sql_tables_money import (
    BALANCE_ACCOUNTS,
    BALANCE_POSTINGS,
    BALANCE_TRANSACTIONS,
    BILLED_DAYS,
    INVOICE_SERIES,
    INVOICED,
    INVOICES,
)
from exchange.balances import AccountKind, Terms, Transaction
from exchange.invoice_ports import INVOICE, Billed, Invoice, InvoiceLine, InvoiceUnit, days_of

_SUMS = ("impressions", "clicks", "conversions", "spend_micros")
_DOCUMENT = msgspec.json.Decoder(Invoice)


class SqlInvoiceStore:
    """InvoiceStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[InvoiceUnit]:
        """One state of everything."""
        with reading(self._engine) as connection:
            yield _Unit(connection, locking=False)

    @contextmanager
    def writing(self) -> Iterator[InvoiceUnit]:
        """One transaction."""
        with writing(self._engine) as connection:
            yield _Unit(connection, locking=True)


class _Unit:
    """InvoiceUnit over one connection within a transaction."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking
        self._balances = SqlBalanceUnit(connection, locking=locking)

    def billed(self, tenant_id: str, advertiser_id: str, currency: str) -> Billed | None:
        own = (ADVERTISERS.c.advertiser_id == advertiser_id) & (ADVERTISERS.c.tenant_id == tenant_id)
        query = select(ADVERTISERS.c.number, ADVERTISERS.c.name).where(own)
        # Locked, so that an advertiser's invoices come one after the other.
        row = self._connection.execute(query.with_for_update() if self._locking else query).first()
        if row is None:
            return None
        terms = terms_of(self._connection, [row.number], currency).get(row.number)
        return Billed(row.number, row.name, terms.terms if terms else Terms.POSTPAID)

    def issued_before(self, tenant_id: str, idempotency_key: str) -> tuple[str, Invoice] | None:
        of = INVOICES.c
        if self._locking:
            in_turn(self._connection, "invoice", tenant_id, idempotency_key)
        query = select(INVOICES).where(of.tenant_id == tenant_id, of.idempotency_key == idempotency_key)
        row = self._connection.execute(query).first()
        return (row.request_sha256, _invoice(row)) if row is not None else None

    def unbilled(self, advertiser: int, currency: str, month: int) -> list[InvoiceLine]:
        if self._locking:
            # Days and ledger are read one after the other: nothing is billed between.
            in_turn(self._connection, SETTLEMENT)
        first, beyond = days_of(month)
        of = BILLED_DAYS.c
        spent = (
            select(of.line_item_number, *(func.sum(of[name]).label(name) for name in _SUMS))
            .select_from(BILLED_DAYS)
            .join(CAMPAIGNS, CAMPAIGNS.c.number == of.campaign_number)
            .where(CAMPAIGNS.c.advertiser_number == advertiser, of.currency == currency)
            .where(of.day >= first, of.day < beyond)
            .group_by(of.line_item_number)
        )
        before = (
            select(INVOICED.c.line_item_number, *(func.sum(INVOICED.c[name]).label(name) for name in _SUMS))
            .join(INVOICES, INVOICES.c.number == INVOICED.c.invoice_number)
            .where(INVOICES.c.advertiser_number == advertiser, INVOICES.c.currency == currency)
            .where(INVOICED.c.month == month)
            .group_by(INVOICED.c.line_item_number)
        )
        left = _sums(self._connection, spent)
        total = sum(sums[3] for sums in left.values())
        posted = self._spent_in_ledger(advertiser, currency, month)
        assert total == posted, f"line items of {month} were billed {total} micros and the ledger has {posted}"
        for number, sums in _sums(self._connection, before).items():
            left[number] = [now - then for now, then in zip(left.get(number, [0, 0, 0, 0]), sums, strict=True)]
        return self._lines({number: sums for number, sums in left.items() if any(sums)}, advertiser)

    def next_number(self, issuer_id: str, kind: str, year: int) -> int:
        series = INVOICE_SERIES.c
        own = (series.issuer_id == issuer_id) & (series.kind == kind) & (series.year == year)
        taken = update(INVOICE_SERIES).where(own).values(newest=series.newest + 1).returning(series.newest)
        insert_once(self._connection, INVOICE_SERIES, {"issuer_id": issuer_id, "kind": kind, "year": year, "newest": 0})
        return int(self._connection.execute(taken).scalar_one())

    def last_invoice(self, advertiser: int, currency: str, month: int) -> Invoice | None:
        of = INVOICES.c
        query = (
            select(INVOICES)
            .where(of.advertiser_number == advertiser, of.currency == currency, of.month == month, of.kind == INVOICE)
            .order_by(of.number.desc())
            .limit(1)
        )
        row = self._connection.execute(query).first()
        return _invoice(row) if row is not None else None

    def add(self, invoice: Invoice, advertiser: int, idempotency_key: str, digest: str, of_invoice: int) -> Invoice:
        row = {
            "invoice_id": invoice.invoice_id,
            "tenant_id": invoice.tenant_id,
            "issuer_id": invoice.issuer_id,
            "kind": invoice.kind,
            "invoice_number": invoice.invoice_number,
            "advertiser_number": advertiser,
            "currency": invoice.currency,
            "month": invoice.month,
            "issued_at_ms": invoice.issued_at_ms,
            "net_micros": invoice.net_micros,
            "vat_micros": invoice.vat_micros,
            "idempotency_key": idempotency_key,
            "request_sha256": digest,
            "of_invoice": of_invoice or None,
            "document": msgspec.json.encode(invoice),
        }
        added = insert(INVOICES).values(row).returning(INVOICES.c.number)
        number = int(self._connection.execute(added).scalar_one())
        if not of_invoice:
            lines = [
                {
                    "invoice_number": number,
                    "line_item_number": line.line_item_number,
                    "month": invoice.month,
                    "impressions": line.impressions,
                    "clicks": line.clicks,
                    "conversions": line.conversions,
                    "spend_micros": line.amount_micros,
                }
                for line in invoice.lines
            ]
            self._connection.execute(insert(INVOICED), lines)
        return replace(invoice, number=number)

    def post(self, transaction: Transaction) -> int:
        return self._balances.post(transaction)

    def invoice(self, tenant_id: str, invoice_id: str) -> Invoice | None:
        query = select(INVOICES).where(INVOICES.c.invoice_id == invoice_id, INVOICES.c.tenant_id == tenant_id)
        row = self._connection.execute(query.with_for_update() if self._locking else query).first()
        return _invoice(row) if row is not None else None

    def credited(self, invoice: int) -> tuple[int, int]:
        sums = select(
            func.coalesce(func.sum(INVOICES.c.net_micros), 0), func.coalesce(func.sum(INVOICES.c.vat_micros), 0)
        )
        net, vat = self._connection.execute(sums.where(INVOICES.c.of_invoice == invoice)).one()
        return -int(net), -int(vat)

    def invoices(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Invoice]:
        query = select(INVOICES).where(INVOICES.c.tenant_id == tenant_id, INVOICES.c.number > after_number)
        if advertiser_id:
            query = query.join(ADVERTISERS).where(ADVERTISERS.c.advertiser_id == advertiser_id)
        rows = self._connection.execute(query.order_by(INVOICES.c.number).limit(limit))
        return [_invoice(row) for row in rows]

    def changed(self, tenant_id: str, advertiser_id: str, at_ms: int) -> None:
        self._balances.changed(tenant_id, advertiser_id, at_ms)

    def _spent_in_ledger(self, advertiser: int, currency: str, month: int) -> int:
        accounts, transactions = BALANCE_ACCOUNTS.c, BALANCE_TRANSACTIONS.c
        query = (
            select(func.coalesce(func.sum(BALANCE_POSTINGS.c.amount_micros), 0))
            .select_from(BALANCE_POSTINGS)
            .join(BALANCE_TRANSACTIONS)
            .join(BALANCE_ACCOUNTS)
            .where(transactions.kind == "spend", transactions.month == month)
            .where(accounts.owner == str(advertiser), accounts.currency == currency)
            .where(accounts.kind.in_([AccountKind.ADVERTISER_BALANCE, AccountKind.RECEIVABLE]))
        )
        return int(self._connection.execute(query).scalar_one())

    def _lines(self, left: dict[int, list[int]], advertiser: int) -> list[InvoiceLine]:
        query = (
            select(
                LINE_ITEMS.c.number,
                LINE_ITEMS.c.line_item_id,
                LINE_ITEMS.c.name,
                CAMPAIGNS.c.campaign_id,
                CAMPAIGNS.c.name.label("campaign_name"),
            )
            .join(CAMPAIGNS)
            .where(CAMPAIGNS.c.advertiser_number == advertiser)
            .order_by(CAMPAIGNS.c.number, LINE_ITEMS.c.number)
        )
        return [
            InvoiceLine(row.number, row.campaign_id, row.campaign_name, row.line_item_id, row.name, *left[row.number])
            for row in self._connection.execute(query)
            if row.number in left
        ]


def _sums(connection: Connection, query: Select[Any]) -> dict[int, list[int]]:
    return {number: [int(value) for value in sums] for number, *sums in connection.execute(query)}


def _invoice(row: Row[Any]) -> Invoice:
    return replace(_DOCUMENT.decode(row.document), number=row.number)
