"""What does an advertiser get billed? Invoices by month (UTC) whose lines are the ledger's, and credit notes.

An invoice lists what was spent in its month and is on no invoice yet, so what is counted late, or taken back, comes on
the next one of the same month. Numbers are without gaps for each issuer, kind and year; what was issued never changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

import msgspec
from msgspec.structs import replace

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound, PermissionDenied
from common.ids import new_id
from common.money import split
from exchange.balances import AccountKind, Entry, Terms, Transaction, month_of
from exchange.campaign_pages import Page, asked_page
from exchange.campaign_text import check_key, checked_text
from exchange.campaigns import Write
from exchange.invoice_ports import CREDIT_NOTE, INVOICE, Invoice, InvoiceLine, InvoiceStore, InvoiceUnit, Party

MAX_VAT_PERCENT = Decimal(100)
MAX_ADDRESS_LINES = 6
_PREFIX = {INVOICE: "INV", CREDIT_NOTE: "CN"}
TAKEN_BACK = "Events that were taken back after they had been billed"
_MONTH = re.compile(r"(20\d\d|2100)-(0[1-9]|1[0-2])")


class InvoiceAsked(msgspec.Struct, frozen=True):
    """What an operator asks to be billed; `month` as 2026-03, `vat_percent` as a decimal number or empty."""

    advertiser_id: str
    currency: str
    month: str
    interim: bool = False
    vat_percent: str = ""
    issuer: Party = Party()
    recipient: Party = Party()


class Invoices:
    """The use cases. InvalidInput names the fields, NotFound hides what is another tenant's."""

    def __init__(self, *, store: InvoiceStore, clock: Clock, currency: str) -> None:
        self._store = store
        self._clock = clock
        self._currency = currency

    def issue(self, write: Write, asked: InvoiceAsked) -> Invoice:
        """Bill what is on no invoice yet: by a credit note for the last one where more was taken back since than was
        spent. Conflict when there is nothing. For operators.
        """
        _require_operator(write)
        errors: list[FieldError] = []
        now_ms = self._clock.now_ms()
        month = _checked_month(asked, now_ms, errors)
        vat = _checked_vat(asked.vat_percent, errors)
        currency = asked.currency or self._currency
        if currency != self._currency:
            errors.append(FieldError("currency", f"is {currency[:10]!r}", f"this exchange trades in {self._currency}"))
        if not asked.advertiser_id:
            errors.append(FieldError("advertiser_id", "is empty", "name the advertiser"))
        issuer = _checked_party("issuer", asked.issuer, errors)
        recipient = _checked_party("recipient", asked.recipient, errors)
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        digest = _digest("IssueInvoice", asked)
        with self._store.writing() as unit:
            billed = unit.billed(write.tenant_id, asked.advertiser_id, currency)
            if billed is None:
                raise NotFound(
                    f"the tenant has no advertiser {asked.advertiser_id[:40]!r}: operators give another tenant_id"
                )
            if (before := _before(unit, write, digest)) is not None:
                return before
            lines = unit.unbilled(billed.number, currency, month)
            if not any(line.amount_micros for line in lines):
                raise Conflict(f"nothing of {asked.month} is left to be billed to this advertiser")
            net = sum(line.amount_micros for line in lines)
            of = unit.last_invoice(billed.number, currency, month) if net < 0 else None
            kind = INVOICE if of is None else CREDIT_NOTE
            draft = Invoice(
                invoice_id=new_id(now_ms),
                kind=kind,
                invoice_number=_next_number(unit, write, kind, now_ms),
                issuer_id=write.caller.tenant_id,
                tenant_id=write.tenant_id,
                advertiser_id=asked.advertiser_id,
                advertiser_name=billed.name,
                currency=currency,
                month=month,
                issued_at_ms=now_ms,
                terms=billed.terms,
                lines=tuple(lines),
                net_micros=net,
                vat_percent=str(vat) if vat is not None else "",
                vat_micros=vat_of(net, vat),
                issuer=issuer,
                recipient=replace(recipient, name=recipient.name or billed.name),
                of_invoice_id=of.invoice_id if of is not None else "",
                of_invoice_number=of.invoice_number if of is not None else "",
                reason=TAKEN_BACK if of is not None else "",
            )
            issued = unit.add(draft, billed.number, write.idempotency_key, digest, 0)
            _book(unit, issued, [*_vat_entries(billed.number, issued.vat_micros)])
            return issued

    def credit(self, write: Write, invoice_id: str, net_micros: int, reason: str) -> Invoice:
        """Give back a part of an invoice, 0 for all that is left: to the balance, or off what is owed. For operators.

        The exchange bears it: what publishers earned stays theirs.
        """
        _require_operator(write)
        errors: list[FieldError] = []
        reason = checked_text("reason", reason, 200, errors)
        if not reason:
            errors.append(FieldError("reason", "is empty", "say why, as it shall stand on the credit note"))
        if not invoice_id:
            errors.append(FieldError("invoice_id", "is empty", "name the invoice"))
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        digest = _digest("IssueCreditNote", (invoice_id, net_micros, reason))
        now_ms = self._clock.now_ms()
        with self._store.writing() as unit:
            of = _found(unit.invoice(write.tenant_id, invoice_id), invoice_id)
            if (before := _before(unit, write, digest)) is not None:
                return before
            if of.kind != INVOICE:
                raise InvalidInput([FieldError("invoice_id", "is a credit note", "name the invoice that it is of")])
            net_before, vat_before = unit.credited(of.number)
            left = of.net_micros - net_before
            net = net_micros or left
            if not 0 < net <= left:
                remedy = f"give 1 to {left} micros, what is left of the invoice" if left else "nothing is left of it"
                raise InvalidInput([FieldError("net_micros", f"is {net_micros}", remedy)])
            # What is credited in all has its part of the VAT; so the last credit note takes the rest, to the micro.
            vat = of.vat_micros * (net_before + net) // of.net_micros - vat_before if of.net_micros else 0
            billed = unit.billed(write.tenant_id, of.advertiser_id, of.currency)
            assert billed is not None, "an advertiser with an invoice is there"
            draft = replace(
                of,
                invoice_id=new_id(now_ms),
                kind=CREDIT_NOTE,
                invoice_number=_next_number(unit, write, CREDIT_NOTE, now_ms),
                issuer_id=write.caller.tenant_id,
                issued_at_ms=now_ms,
                terms=billed.terms,
                lines=_credited_lines(of.lines, net),
                net_micros=-net,
                vat_micros=-vat,
                of_invoice_id=of.invoice_id,
                of_invoice_number=of.invoice_number,
                reason=reason,
                number=0,
            )
            issued = unit.add(draft, billed.number, write.idempotency_key, digest, of.number)
            back_to = AccountKind.ADVERTISER_BALANCE if billed.terms == Terms.PREPAID else AccountKind.RECEIVABLE
            entries = [Entry(AccountKind.MARGIN, "", net), Entry(back_to, str(billed.number), -net)]
            _book(unit, issued, [*entries, *_vat_entries(billed.number, -vat)])
            unit.changed(write.tenant_id, of.advertiser_id, now_ms)
            return issued

    def invoice(self, tenant_id: str, invoice_id: str) -> Invoice:
        """One invoice or credit note."""
        with self._store.reading() as unit:
            return _found(unit.invoice(tenant_id, invoice_id), invoice_id)

    def invoices(
        self, tenant_id: str, advertiser_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> Page[Invoice]:
        """Invoices and credit notes, oldest first."""
        errors: list[FieldError] = []
        asked = asked_page(f"invoices {advertiser_id}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            if advertiser_id and unit.billed(tenant_id, advertiser_id, self._currency) is None:
                raise NotFound(f"the tenant has no advertiser {advertiser_id[:40]!r}: operators give another tenant_id")
            return asked.cut(lambda after, limit: unit.invoices(tenant_id, advertiser_id, after, limit))


def vat_of(net_micros: int, percent: Decimal | None) -> int:
    """VAT in whole micros, half to even."""
    if percent is None:
        return 0
    return int((Decimal(net_micros) * percent / 100).quantize(Decimal(1), ROUND_HALF_EVEN))


def _credited_lines(lines: Sequence[InvoiceLine], net_micros: int) -> tuple[InvoiceLine, ...]:
    """The invoice's lines with their part of what is given back; they add up exactly."""
    weights = [max(line.amount_micros, 0) for line in lines]
    parts = split(net_micros, weights)
    return tuple(
        replace(line, impressions=0, clicks=0, conversions=0, amount_micros=-part)
        for line, part in zip(lines, parts, strict=True)
        if part
    )


def _vat_entries(advertiser: int, vat_micros: int) -> list[Entry]:
    if not vat_micros:
        return []
    return [
        Entry(AccountKind.RECEIVABLE, str(advertiser), vat_micros),
        Entry(AccountKind.VAT_PAYABLE, "", -vat_micros),
    ]


def _book(unit: InvoiceUnit, issued: Invoice, entries: Sequence[Entry]) -> None:
    if entries:
        key = f"{issued.kind} {issued.invoice_id}"
        unit.post(
            Transaction(
                issued.kind,
                issued.tenant_id,
                key,
                issued.issued_at_ms,
                month_of(issued.issued_at_ms),
                issued.currency,
                issued.invoice_number,
                tuple(entries),
            )
        )


def _next_number(unit: InvoiceUnit, write: Write, kind: str, now_ms: int) -> str:
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    return f"{_PREFIX[kind]}-{year}-{unit.next_number(write.caller.tenant_id, kind, year):06d}"


def _before(unit: InvoiceUnit, write: Write, digest: str) -> Invoice | None:
    found = unit.issued_before(write.tenant_id, write.idempotency_key)
    if found is None:
        return None
    if found[0] != digest:
        remedy = "give every write a key of its own"
        raise Conflict(f"idempotency key {write.idempotency_key!r} was used for another request: {remedy}")
    return found[1]


def _digest(method: str, request: object) -> str:
    return hashlib.sha256(msgspec.json.encode((method, request))).hexdigest()


def _checked_month(asked: InvoiceAsked, now_ms: int, errors: list[FieldError]) -> int:
    if not _MONTH.fullmatch(asked.month):
        errors.append(FieldError("month", f"is {asked.month[:20]!r}", "write it as 2026-03"))
        return 0
    month, current = int(asked.month.replace("-", "")), month_of(now_ms)
    if month > current or (month == current and not asked.interim):
        remedy = "bill it when it is over" if month > current else "wait for its end (UTC), or ask for an interim one"
        errors.append(FieldError("month", f"{asked.month} is not over", remedy))
    return month


def _checked_vat(text: str, errors: list[FieldError]) -> Decimal | None:
    if not text:
        return None
    try:
        percent = Decimal(text) if len(text) <= 10 else Decimal("NaN")
    except InvalidOperation:
        percent = Decimal("NaN")
    # Comparing NaN would raise.
    if not percent.is_finite() or not 0 <= percent <= MAX_VAT_PERCENT or int(percent.as_tuple().exponent) < -4:
        remedy = "give per cent from 0 to 100 with at most four digits behind the point, as 19 or 7.7"
        errors.append(FieldError("vat_percent", f"is {text[:20]!r}", remedy))
        return None
    return percent


def _checked_party(field: str, party: Party, errors: list[FieldError]) -> Party:
    if len(party.address) > MAX_ADDRESS_LINES:
        value = f"has {len(party.address)} lines"
        errors.append(FieldError(f"{field}.address", value, f"give at most {MAX_ADDRESS_LINES}"))
    return Party(
        name=checked_text(f"{field}.name", party.name, 200, errors),
        address=tuple(
            checked_text(f"{field}.address[{at}]", line, 100, errors)
            for at, line in enumerate(party.address[:MAX_ADDRESS_LINES])
        ),
        vat_number=checked_text(f"{field}.vat_number", party.vat_number, 40, errors),
    )


def _found(invoice: Invoice | None, invoice_id: str) -> Invoice:
    if invoice is None:
        raise NotFound(f"there is no invoice {invoice_id[:40]!r}")
    return invoice


def _require_operator(write: Write) -> None:
    if write.caller.role != "operator":
        raise PermissionDenied("invoices and credit notes are issued by operators: use the API key of one")
