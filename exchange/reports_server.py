"""How are reports asked for over gRPC? ReportService: whose rows may be seen follows from the API key."""

from __future__ import annotations

import asyncio
import math

import grpc

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from common.clock import Clock
from common.errors import FieldError, InvalidInput, PermissionDenied
from exchange.corrections import TakesBack
from exchange.reports import ReportAsk, Reports, csv_of
from protos import reports_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["ReportService"].full_name
ROLES = ("advertiser", "storefront", "operator")


class ReportServer:
    """ReportService."""

    def __init__(self, *, reports: Reports, corrections: TakesBack, keys: ApiKeys, clock: Clock, currency: str) -> None:
        self._reports = reports
        self._corrections = corrections
        self._keys = keys
        self._clock = clock
        self._currency = currency

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "GetReport": (pb.GetReportRequest, self.get_report),
            "TakeBack": (pb.TakeBackRequest, self.take_back),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def get_report(self, request: pb.GetReportRequest, caller: Caller, _: Context) -> pb.Report:
        """A page of a report."""
        ask = _ask(request, caller)
        report = await asyncio.to_thread(self._reports.report, ask)
        return pb.Report(
            dimensions=report.dimensions,
            metrics=report.metrics,
            rows=[]
            if request.csv
            else [
                pb.ReportRow(
                    keys=row.keys,
                    names=row.names,
                    values=row.values,
                    rates=[math.nan if rate is None else rate for rate in report.rates_of(row)],
                )
                for row in report.rows
            ],
            rates=report.rates,
            next_page_token=report.next_page_token,
            as_of_ms=report.as_of_ms,
            age_ms=max(self._clock.now_ms() - report.as_of_ms, 0) if report.as_of_ms else 0,
            currency=self._currency,
            csv=csv_of(report) if request.csv else "",
            # Which advertisers' bids they were is not known, so an advertiser is not told how many.
            counted_apart=0 if ask.advertiser_tenant else report.counted_apart,
        )

    async def take_back(self, request: pb.TakeBackRequest, caller: Caller, _: Context) -> pb.TakeBackResponse:
        """Refund what turned out to be invalid."""
        if caller.role != "operator":
            raise PermissionDenied("only operators take back what was billed")
        done = await self._corrections.take_back(request.impression_id, request.kind, request.order_id)
        return pb.TakeBackResponse(
            taken_back=done.taken_back, refunded_micros=done.refunded_micros, currency=done.currency
        )


def _ask(request: pb.GetReportRequest, caller: Caller) -> ReportAsk:
    tenant_id = request.tenant_id
    if caller.role != "operator":
        if not tenant_id:
            raise InvalidInput([FieldError("tenant_id", "is empty", "name the tenant that the API key belongs to")])
        if tenant_id != caller.tenant_id:
            raise PermissionDenied("the API key belongs to another tenant than tenant_id names")
    return ReportAsk(
        dimensions=tuple(request.dimensions),
        from_ms=request.from_ms,
        to_ms=request.to_ms,
        filters={entry.dimension: tuple(entry.values) for entry in request.filters},
        advertiser_tenant="" if caller.role == "storefront" else tenant_id,
        publisher_tenant=tenant_id if caller.role == "storefront" else "",
        page_size=request.page_size,
        page_token=request.page_token,
    )
