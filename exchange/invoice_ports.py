"""What is an invoice, and what do invoices need from outside? Values as they were issued, and a store for ever."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date
from typing import Protocol

import msgspec

from exchange.balances import Transaction

INVOICE = "invoice"
CREDIT_NOTE = "credit_note"
_EPOCH = date(1970, 1, 1).toordinal()


class Party(msgspec.Struct, frozen=True):
    """Who bills, or who is billed, as it stands on paper."""

    name: str = ""
    address: tuple[str, ...] = ()
    vat_number: str = ""


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line item of a campaign: what came of it in the month, and what it cost."""

    line_item_number: int
    campaign_id: str
    campaign_name: str
    line_item_id: str
    line_item_name: str
    impressions: int
    clicks: int
    conversions: int
    amount_micros: int


class Invoice(msgspec.Struct, frozen=True):
    """An invoice or a credit note as it was issued. `month` is as 202603; amounts of credit notes are below zero."""

    invoice_id: str
    kind: str
    invoice_number: str
    issuer_id: str
    tenant_id: str
    advertiser_id: str
    advertiser_name: str
    currency: str
    month: int
    issued_at_ms: int
    terms: int
    lines: tuple[InvoiceLine, ...]
    net_micros: int
    vat_percent: str
    vat_micros: int
    issuer: Party
    recipient: Party
    of_invoice_id: str = ""
    of_invoice_number: str = ""
    reason: str = ""
    number: int = 0

    @property
    def total_micros(self) -> int:
        """With VAT."""
        return self.net_micros + self.vat_micros


class Billed(msgspec.Struct, frozen=True):
    """Who is billed: the advertiser's number, its name and how it pays."""

    number: int
    name: str
    terms: int


class InvoiceUnit(Protocol):
    """One transaction of the store."""

    def billed(self, tenant_id: str, advertiser_id: str, currency: str) -> Billed | None:
        """The advertiser; None when it is unknown or another tenant's."""

    def issued_before(self, tenant_id: str, idempotency_key: str) -> tuple[str, Invoice] | None:
        """(digest of the request, what it issued) of this key, however long ago."""

    def unbilled(self, advertiser: int, currency: str, month: int) -> list[InvoiceLine]:
        """What was spent in the month and is on no invoice; AssertionError when the ledger says another sum."""

    def next_number(self, issuer_id: str, kind: str, year: int) -> int:
        """1, 2, 3 …; it is given back when the transaction fails."""

    def last_invoice(self, advertiser: int, currency: str, month: int) -> Invoice | None:
        """The newest invoice, not a credit note, of an advertiser's month."""

    def add(self, invoice: Invoice, advertiser: int, idempotency_key: str, digest: str, of_invoice: int) -> Invoice:
        """Store what was issued, for ever. With `of_invoice` it gives back a part of that one; without, what its lines
        say is billed from now on.
        """

    def post(self, transaction: Transaction) -> int:
        """Book it."""

    def invoice(self, tenant_id: str, invoice_id: str) -> Invoice | None:
        """One of them; locked until a writing transaction ends."""

    def credited(self, invoice: int) -> tuple[int, int]:
        """(net, VAT) micros that credit notes have taken back of an invoice, both 0 and more."""

    def invoices(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Invoice]:
        """Of one advertiser or of all of the tenant's, in their order."""

    def changed(self, tenant_id: str, advertiser_id: str, at_ms: int) -> None:
        """The advertiser's balance is another: lease again."""


class InvoiceStore(Protocol):
    """Where invoices are kept, beside the ledger that they are made of."""

    def reading(self) -> AbstractContextManager[InvoiceUnit]:
        """One state of everything."""

    def writing(self) -> AbstractContextManager[InvoiceUnit]:
        """One transaction: all of it or nothing."""


def days_of(month: int) -> tuple[int, int]:
    """(first day, first day of the next month) of a month as 202603, in days since 1970."""
    year, of_year = divmod(month, 100)
    following = date(year + of_year // 12, of_year % 12 + 1, 1)
    return date(year, of_year, 1).toordinal() - _EPOCH, following.toordinal() - _EPOCH


def month_text(month: int) -> str:
    """202603 as 2026-03."""
    return f"{month // 100}-{month % 100:02d}"
