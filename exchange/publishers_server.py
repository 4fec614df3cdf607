"""How do publishers ask what they earn, and how is it marked as paid? PublisherService over revenue and payouts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from exchange.billing_server import tenant_of
from exchange.campaigns import Write
from exchange.invoice_ports import month_text
from exchange.payouts import Payout, Payouts, Statement
from exchange.revenue import Revenue, day_text
from exchange.statement_pdf import file_name, statement_pdf
from protos import publishers_pb2

SERVICE = publishers_pb2.DESCRIPTOR.services_by_name["PublisherService"].full_name
ROLES = ("storefront", "operator")


class PublisherServer:
    """PublisherService."""

    def __init__(
        self, *, revenue: Revenue, payouts: Payouts, keys: ApiKeys, currency: str, font: Path | None = None
    ) -> None:
        self._payouts = payouts
        self._font = font
        self._revenue = revenue
        self._keys = keys
        self._currency = currency

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "GetRevenueReport": (publishers_pb2.RevenueReportRequest, self.get_revenue_report),
            "GetStatement": (publishers_pb2.StatementRequest, self.get_statement),
            "GetStatementPdf": (publishers_pb2.StatementRequest, self.get_statement_pdf),
            "RecordPayout": (publishers_pb2.RecordPayoutRequest, self.record_payout),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def get_revenue_report(
        self, request: publishers_pb2.RevenueReportRequest, caller: Caller, _: Context
    ) -> publishers_pb2.RevenueReport:
        """What placements brought."""
        by = set(request.by) or {publishers_pb2.BY_PLACEMENT, publishers_pb2.BY_DAY}
        page = await asyncio.to_thread(
            lambda: self._revenue.report(
                tenant_of(request, caller),
                getattr(request, "from"),
                request.to,
                by_placement=publishers_pb2.BY_PLACEMENT in by,
                by_day=publishers_pb2.BY_DAY in by,
                page_size=request.page_size,
                page_token=request.page_token,
            )
        )
        return publishers_pb2.RevenueReport(
            rows=[
                publishers_pb2.RevenueRow(
                    placement_id=row.placement_id,
                    day=day_text(row.day),
                    offered=row.offered,
                    sold=row.sold,
                    fill=row.fill,
                    impressions=row.impressions,
                    clicks=row.clicks,
                    conversions=row.conversions,
                    revenue_micros=row.revenue_micros,
                    ecpm_micros=row.ecpm_micros,
                )
                for row in page.items
            ],
            currency=self._currency,
            next_page_token=page.next_page_token,
        )

    async def get_statement(
        self, request: publishers_pb2.StatementRequest, caller: Caller, _: Context
    ) -> publishers_pb2.Statement:
        """A month of a publisher."""
        return _told(await self._statement(request, caller))

    async def get_statement_pdf(
        self, request: publishers_pb2.StatementRequest, caller: Caller, _: Context
    ) -> publishers_pb2.StatementPdf:
        """The same on paper."""
        made = await self._statement(request, caller)
        pdf = await asyncio.to_thread(statement_pdf, made, made.publisher_id, self._font)
        return publishers_pb2.StatementPdf(file_name=file_name(made), pdf=pdf)

    async def record_payout(
        self, request: publishers_pb2.RecordPayoutRequest, caller: Caller, _: Context
    ) -> publishers_pb2.PayoutRecorded:
        """Money was sent."""
        write = Write(caller, tenant_of(request, caller), request.idempotency_key)
        payout, owed = await asyncio.to_thread(self._payouts.record, write, request.amount_micros, request.reference)
        return publishers_pb2.PayoutRecorded(payout=_payout(payout), owed_micros=owed)

    async def _statement(self, request: publishers_pb2.StatementRequest, caller: Caller) -> Statement:
        return await asyncio.to_thread(self._payouts.statement, tenant_of(request, caller), request.month)


def _told(statement: Statement) -> publishers_pb2.Statement:
    return publishers_pb2.Statement(
        tenant_id=statement.publisher_id,
        currency=statement.currency,
        month=month_text(statement.month),
        made_at_ms=statement.made_at_ms,
        opening_micros=statement.opening_micros,
        earned_micros=statement.earned_micros,
        paid_micros=statement.paid_micros,
        owed_micros=statement.owed_micros,
        lines=[
            publishers_pb2.EarnedLine(
                placement_id=line.placement_id,
                impressions=line.impressions,
                clicks=line.clicks,
                conversions=line.conversions,
                earned_micros=line.earned_micros,
            )
            for line in statement.lines
        ],
        payouts=[_payout(payout) for payout in statement.payouts],
    )


def _payout(payout: Payout) -> publishers_pb2.Payout:
    return publishers_pb2.Payout(at_ms=payout.at_ms, amount_micros=payout.amount_micros, reference=payout.reference)
