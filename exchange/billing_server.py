"""How do balances, invoices and alerts come in over gRPC? BillingService: messages in, our own values, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import msgspec

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from common.errors import PermissionDenied
from exchange.alerts import Alerts
from exchange.balances import Balance, Balances
from exchange.campaigns import Write
from exchange.invoice_pdf import invoice_pdf
from exchange.invoice_ports import Invoice, Party, month_text
from exchange.invoices import InvoiceAsked, Invoices
from protos import billing_pb2

SERVICE = billing_pb2.DESCRIPTOR.services_by_name["BillingService"].full_name
ROLES = ("advertiser", "operator")

T = TypeVar("T")


class BillingServer:
    """BillingService; `on_change` is called after every write, on the event loop, and must not block."""

    def __init__(
        self,
        *,
        balances: Balances,
        invoices: Invoices,
        alerts: Alerts,
        keys: ApiKeys,
        on_change: Callable[[], object],
        font: Path | None = None,
    ) -> None:
        self._balances = balances
        self._invoices = invoices
        self._alerts = alerts
        self._keys = keys
        self._on_change = on_change
        self._font = font

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "SetTerms": (billing_pb2.SetTermsRequest, self.set_terms),
            "TopUp": (billing_pb2.TopUpRequest, self.top_up),
            "GetBalance": (billing_pb2.GetBalanceRequest, self.get_balance),
            "ListPostings": (billing_pb2.ListPostingsRequest, self.list_postings),
            "GetTrialBalance": (billing_pb2.GetTrialBalanceRequest, self.get_trial_balance),
            "IssueInvoice": (billing_pb2.IssueInvoiceRequest, self.issue_invoice),
            "IssueCreditNote": (billing_pb2.IssueCreditNoteRequest, self.issue_credit_note),
            "ListInvoices": (billing_pb2.ListInvoicesRequest, self.list_invoices),
            "GetInvoice": (billing_pb2.GetInvoiceRequest, self.get_invoice),
            "GetInvoicePdf": (billing_pb2.GetInvoiceRequest, self.get_invoice_pdf),
            "ListAlerts": (billing_pb2.ListAlertsRequest, self.list_alerts),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def set_terms(self, request: billing_pb2.SetTermsRequest, caller: Caller, _: Context) -> billing_pb2.Balance:
        """How an advertiser pays."""
        asked = request.advertiser_id, request.currency, request.terms, request.credit_limit_micros
        return _balance(await self._write(request, caller, lambda write: self._balances.set_terms(write, *asked)))

    async def top_up(self, request: billing_pb2.TopUpRequest, caller: Caller, _: Context) -> billing_pb2.Balance:
        """A payment came in."""
        asked = request.advertiser_id, request.currency, request.amount_micros, request.reference, request.towards
        return _balance(await self._write(request, caller, lambda write: self._balances.top_up(write, *asked)))

    async def get_balance(
        self, request: billing_pb2.GetBalanceRequest, caller: Caller, _: Context
    ) -> billing_pb2.Balance:
        """How an advertiser stands."""
        tenant = tenant_of(request, caller)
        found = await asyncio.to_thread(self._balances.balance, tenant, request.advertiser_id, request.currency)
        return _balance(found)

    async def list_postings(
        self, request: billing_pb2.ListPostingsRequest, caller: Caller, _: Context
    ) -> billing_pb2.PostingPage:
        """A page of the lines of an advertiser's accounts."""
        tenant = tenant_of(request, caller)
        page = await asyncio.to_thread(
            self._balances.postings,
            tenant,
            request.advertiser_id,
            request.currency,
            request.page_size,
            request.page_token,
        )
        return billing_pb2.PostingPage(
            postings=[billing_pb2.Posting(**msgspec.structs.asdict(posting)) for posting in page.items],
            next_page_token=page.next_page_token,
        )

    async def get_trial_balance(
        self, request: billing_pb2.GetTrialBalanceRequest, caller: Caller, _: Context
    ) -> billing_pb2.TrialBalance:
        """The sums of all accounts."""
        if caller.role != "operator":
            raise PermissionDenied("the trial balance is the exchange's own: use the API key of an operator")
        sums = await asyncio.to_thread(self._balances.trial_balance)
        return billing_pb2.TrialBalance(
            accounts=[billing_pb2.AccountSum(**msgspec.structs.asdict(account)) for account in sums]
        )

    async def issue_invoice(
        self, request: billing_pb2.IssueInvoiceRequest, caller: Caller, _: Context
    ) -> billing_pb2.Invoice:
        """Bill what is on no invoice yet."""
        asked = InvoiceAsked(
            advertiser_id=request.advertiser_id,
            currency=request.currency,
            month=request.month,
            interim=request.interim,
            vat_percent=request.vat_percent,
            issuer=_party(request.issuer),
            recipient=_party(request.recipient),
        )
        return _invoice(await self._write(request, caller, lambda write: self._invoices.issue(write, asked)))

    async def issue_credit_note(
        self, request: billing_pb2.IssueCreditNoteRequest, caller: Caller, _: Context
    ) -> billing_pb2.Invoice:
        """Give back a part of an invoice."""
        asked = request.invoice_id, request.net_micros, request.reason
        return _invoice(await self._write(request, caller, lambda write: self._invoices.credit(write, *asked)))

    async def list_invoices(
        self, request: billing_pb2.ListInvoicesRequest, caller: Caller, _: Context
    ) -> billing_pb2.InvoicePage:
        """A page of invoices and credit notes, without their lines."""
        tenant = tenant_of(request, caller)
        page = await asyncio.to_thread(
            self._invoices.invoices, tenant, request.advertiser_id, request.page_size, request.page_token
        )
        short = [_invoice(msgspec.structs.replace(invoice, lines=())) for invoice in page.items]
        return billing_pb2.InvoicePage(invoices=short, next_page_token=page.next_page_token)

    async def get_invoice(
        self, request: billing_pb2.GetInvoiceRequest, caller: Caller, _: Context
    ) -> billing_pb2.Invoice:
        """One invoice or credit note."""
        tenant = tenant_of(request, caller)
        return _invoice(await asyncio.to_thread(self._invoices.invoice, tenant, request.invoice_id))

    async def get_invoice_pdf(
        self, request: billing_pb2.GetInvoiceRequest, caller: Caller, _: Context
    ) -> billing_pb2.InvoicePdf:
        """The same on paper."""
        tenant = tenant_of(request, caller)
        invoice = await asyncio.to_thread(self._invoices.invoice, tenant, request.invoice_id)
        pdf = await asyncio.to_thread(invoice_pdf, invoice, self._font)
        return billing_pb2.InvoicePdf(file_name=f"{invoice.invoice_number}.pdf", pdf=pdf)

    async def list_alerts(
        self, request: billing_pb2.ListAlertsRequest, caller: Caller, _: Context
    ) -> billing_pb2.AlertPage:
        """A page of alerts."""
        tenant = tenant_of(request, caller)
        page = await asyncio.to_thread(self._alerts.alerts, tenant, request.page_size, request.page_token)
        named = set(billing_pb2.Alert.DESCRIPTOR.fields_by_name)
        alerts = [msgspec.structs.asdict(alert) for alert in page.items]
        return billing_pb2.AlertPage(
            alerts=[billing_pb2.Alert(**{name: alert[name] for name in named}) for alert in alerts],
            next_page_token=page.next_page_token,
        )

    async def _write(self, request: Any, caller: Caller, work: Callable[[Write], T]) -> T:
        write = Write(caller, tenant_of(request, caller), request.idempotency_key)
        answer = await asyncio.to_thread(work, write)
        self._on_change()
        return answer


def tenant_of(request: Any, caller: Caller) -> str:
    """The tenant that a call is about: the caller's own unless it names another, which only operators may."""
    tenant_id: str = request.tenant_id or caller.tenant_id
    if tenant_id != caller.tenant_id and caller.role != "operator":
        raise PermissionDenied("the API key belongs to another tenant than tenant_id names")
    return tenant_id


def _balance(balance: Balance) -> billing_pb2.Balance:
    fields: dict[str, Any] = msgspec.structs.asdict(balance)
    return billing_pb2.Balance(**fields)


def _party(message: billing_pb2.Party) -> Party:
    return Party(message.name, tuple(message.address), message.vat_number)


def _party_message(party: Party) -> billing_pb2.Party:
    return billing_pb2.Party(name=party.name, address=party.address, vat_number=party.vat_number)


def _invoice(invoice: Invoice) -> billing_pb2.Invoice:
    fields: dict[str, Any] = {
        name: getattr(invoice, name)
        for name in billing_pb2.Invoice.DESCRIPTOR.fields_by_name
        if name not in ("lines", "month", "issuer", "recipient")
    }
    lines = [
        billing_pb2.InvoiceLine(
            campaign_id=line.campaign_id,
            campaign_name=line.campaign_name,
            line_item_id=line.line_item_id,
            line_item_name=line.line_item_name,
            impressions=line.impressions,
            clicks=line.clicks,
            conversions=line.conversions,
            amount_micros=line.amount_micros,
        )
        for line in invoice.lines
    ]
    return billing_pb2.Invoice(
        **fields,
        lines=lines,
        month=month_text(invoice.month),
        issuer=_party_message(invoice.issuer),
        recipient=_party_message(invoice.recipient),
    )
