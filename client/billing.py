"""How does somebody who pays look after money? Balances, postings and invoices; payments with an operator's key."""

from __future__ import annotations

from random import Random

import grpc

from client.connection import Connection, OverConnection, new_idempotency_key
from protos import billing_pb2 as wire
from protos.billing_pb2_grpc import BillingServiceStub


class BillingClient(OverConnection):
    """One tenant's connection to BillingService. Make it inside a running event loop; close it, or use `async with`.

    A payment without `idempotency_key` is given a fresh one; pass the bank's own to make it safe for ever. Raises
    CallRefused with the field errors, or CallFailed.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        tenant_id: str,
        *,
        timeout_ms: int = 5_000,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        super().__init__(Connection(target, api_key, timeout_ms=timeout_ms, credentials=credentials, chance=chance))
        self._stub = BillingServiceStub(self._connection.channel)

    async def top_up(
        self, advertiser_id: str, amount_micros: int, *, reference: str = "", idempotency_key: str = ""
    ) -> wire.Balance:
        """A payment came in; needs an operator's key."""
        request = wire.TopUpRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            advertiser_id=advertiser_id,
            amount_micros=amount_micros,
            reference=reference,
        )
        return await self._connection.call(self._stub.TopUp, request)

    async def get_balance(self, advertiser_id: str) -> wire.Balance:
        """How an advertiser stands."""
        request = wire.GetBalanceRequest(tenant_id=self.tenant_id, advertiser_id=advertiser_id)
        return await self._connection.call(self._stub.GetBalance, request)

    async def list_postings(self, advertiser_id: str, *, page_size: int = 0, page_token: str = "") -> wire.PostingPage:
        """One page of an advertiser's payments and spend."""
        request = wire.ListPostingsRequest(
            tenant_id=self.tenant_id, advertiser_id=advertiser_id, page_size=page_size, page_token=page_token
        )
        return await self._connection.call(self._stub.ListPostings, request)

    async def list_invoices(
        self, advertiser_id: str = "", *, page_size: int = 0, page_token: str = ""
    ) -> wire.InvoicePage:
        """One page of invoices and credit notes, without their lines."""
        request = wire.ListInvoicesRequest(
            tenant_id=self.tenant_id, advertiser_id=advertiser_id, page_size=page_size, page_token=page_token
        )
        return await self._connection.call(self._stub.ListInvoices, request)

    async def get_invoice_pdf(self, invoice_id: str) -> wire.InvoicePdf:
        """An invoice or a credit note on paper."""
        request = wire.GetInvoiceRequest(tenant_id=self.tenant_id, invoice_id=invoice_id)
        return await self._connection.call(self._stub.GetInvoicePdf, request)
