"""How does an advertiser write and read campaigns? Each write carries one idempotency key over all its tries."""

from __future__ import annotations

from random import Random

import grpc

from client.connection import Connection, OverConnection, new_idempotency_key
from protos import campaigns_pb2 as wire
from protos.campaigns_pb2_grpc import CampaignServiceStub


class CampaignClient(OverConnection):
    """One tenant's connection to CampaignService. Make it inside a running event loop; close it, or use `async with`.

    A write without `idempotency_key` is given a fresh one; pass your own to make it safe over a restart of yours.
    Raises CallRefused with the field errors, or CallFailed.
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
        self._stub = CampaignServiceStub(self._connection.channel)

    async def create_advertiser(self, advertiser: wire.Advertiser, *, idempotency_key: str = "") -> wire.Advertiser:
        """The advertiser as stored; its id, state and revision are the server's."""
        request = wire.CreateAdvertiserRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), advertiser=advertiser
        )
        return await self._connection.call(self._stub.CreateAdvertiser, request)

    async def get_advertiser(self, advertiser_id: str) -> wire.Advertiser:
        """One advertiser."""
        return await self._connection.call(self._stub.GetAdvertiser, self._get(advertiser_id))

    async def list_advertisers(self, *, page_size: int = 0, page_token: str = "") -> wire.AdvertiserPage:
        """One page of the tenant's advertisers."""
        return await self._connection.call(self._stub.ListAdvertisers, self._list("", page_size, page_token))

    async def create_campaign(self, campaign: wire.Campaign, *, idempotency_key: str = "") -> wire.Campaign:
        """The campaign as stored."""
        request = wire.CreateCampaignRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), campaign=campaign
        )
        return await self._connection.call(self._stub.CreateCampaign, request)

    async def get_campaign(self, campaign_id: str) -> wire.Campaign:
        """One campaign."""
        return await self._connection.call(self._stub.GetCampaign, self._get(campaign_id))

    async def list_campaigns(
        self, advertiser_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> wire.CampaignPage:
        """One page of an advertiser's campaigns."""
        return await self._connection.call(self._stub.ListCampaigns, self._list(advertiser_id, page_size, page_token))

    async def create_creative(self, creative: wire.Creative, *, idempotency_key: str = "") -> wire.Creative:
        """The creative as stored, waiting for review."""
        request = wire.CreateCreativeRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), creative=creative
        )
        return await self._connection.call(self._stub.CreateCreative, request)

    async def get_creative(self, creative_id: str) -> wire.Creative:
        """One creative."""
        return await self._connection.call(self._stub.GetCreative, self._get(creative_id))

    async def list_creatives(
        self, advertiser_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> wire.CreativePage:
        """One page of an advertiser's creatives."""
        return await self._connection.call(self._stub.ListCreatives, self._list(advertiser_id, page_size, page_token))

    async def change_creative(
        self, creative_id: str, creative: wire.Creative, *, idempotency_key: str = ""
    ) -> wire.Creative:
        """The creative with this content, waiting for review again; send its revision to be sure of what you change."""
        request = wire.ChangeCreativeRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            creative_id=creative_id,
            creative=creative,
        )
        return await self._connection.call(self._stub.ChangeCreative, request)

    async def review_creative(
        self, creative_id: str, review_state: wire.ReviewState.ValueType, *, idempotency_key: str = ""
    ) -> wire.Creative:
        """Approve or refuse a creative; needs an operator's key."""
        request = wire.ReviewCreativeRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            creative_id=creative_id,
            review_state=review_state,
        )
        return await self._connection.call(self._stub.ReviewCreative, request)

    async def create_line_item(self, line_item: wire.LineItem, *, idempotency_key: str = "") -> wire.LineItem:
        """The line item as stored."""
        request = wire.CreateLineItemRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), line_item=line_item
        )
        return await self._connection.call(self._stub.CreateLineItem, request)

    async def get_line_item(self, line_item_id: str) -> wire.LineItem:
        """One line item."""
        return await self._connection.call(self._stub.GetLineItem, self._get(line_item_id))

    async def list_line_items(self, campaign_id: str, *, page_size: int = 0, page_token: str = "") -> wire.LineItemPage:
        """One page of a campaign's line items."""
        return await self._connection.call(self._stub.ListLineItems, self._list(campaign_id, page_size, page_token))

    async def change_bid(self, line_item_id: str, bid_micros: int, *, idempotency_key: str = "") -> wire.LineItem:
        """Bid `bid_micros` per unit of the line item's pricing model."""
        request = wire.ChangeBidRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            line_item_id=line_item_id,
            bid_micros=bid_micros,
        )
        return await self._connection.call(self._stub.ChangeBid, request)

    async def change_budget(
        self, subject_id: str, budget: wire.Budget, *, idempotency_key: str = ""
    ) -> wire.BudgetState:
        """New limits for a campaign or a line item."""
        request = wire.ChangeBudgetRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            id=subject_id,
            budget=budget,
        )
        return await self._connection.call(self._stub.ChangeBudget, request)

    async def set_state(
        self, subject_id: str, state: wire.State.ValueType, *, idempotency_key: str = ""
    ) -> wire.SetStateResponse:
        """Pause or resume an advertiser, a campaign or a line item."""
        request = wire.SetStateRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            id=subject_id,
            state=state,
        )
        return await self._connection.call(self._stub.SetState, request)

    async def set_pacing(
        self, campaign_id: str, pacing: wire.Pacing.ValueType, *, idempotency_key: str = ""
    ) -> wire.Campaign:
        """Spend a campaign's budgets evenly over their time, or as soon as they can be spent."""
        request = wire.SetPacingRequest(
            tenant_id=self.tenant_id,
            idempotency_key=idempotency_key or new_idempotency_key(),
            campaign_id=campaign_id,
            pacing=pacing,
        )
        return await self._connection.call(self._stub.SetPacing, request)

    async def forecast_line_item(self, line_item: wire.LineItem, *, days: int = 0) -> wire.Forecast:
        """What a draft would come to, by page views that were recorded in the last days."""
        request = wire.ForecastLineItemRequest(tenant_id=self.tenant_id, line_item=line_item, days=days)
        return await self._connection.call(self._stub.ForecastLineItem, request)

    async def get_statistics(self, subject_id: str) -> wire.Statistics:
        """Impressions, clicks, conversions and spend of an advertiser, a campaign or a line item."""
        request = wire.GetStatisticsRequest(tenant_id=self.tenant_id, id=subject_id)
        return await self._connection.call(self._stub.GetStatistics, request)

    def _get(self, subject_id: str) -> wire.GetRequest:
        return wire.GetRequest(tenant_id=self.tenant_id, id=subject_id)

    def _list(self, parent_id: str, page_size: int, page_token: str) -> wire.ListRequest:
        return wire.ListRequest(
            tenant_id=self.tenant_id, parent_id=parent_id, page_size=page_size, page_token=page_token
        )
