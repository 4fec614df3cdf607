"""How do publishers ask what they earn? PublisherService over the revenue report."""

from __future__ import annotations

import asyncio

import grpc

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from exchange.billing_server import tenant_of
from exchange.revenue import Revenue, day_text
from protos import publishers_pb2

SERVICE = publishers_pb2.DESCRIPTOR.services_by_name["PublisherService"].full_name
ROLES = ("storefront", "operator")


class PublisherServer:
    """PublisherService."""

    def __init__(self, *, revenue: Revenue, keys: ApiKeys, currency: str) -> None:
        self._revenue = revenue
        self._keys = keys
        self._currency = currency

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "GetRevenueReport": (publishers_pb2.RevenueReportRequest, self.get_revenue_report),
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
