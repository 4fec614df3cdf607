"""How do campaigns come in over gRPC? CampaignService: messages in, our own values, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import msgspec

from accounts.grpc_edge import MAX_REQUEST_BYTES, Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from common.errors import FieldError, InvalidInput, PermissionDenied
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    Cap,
    Creative,
    FrequencyCap,
    LineItem,
    Schedule,
    Targeting,
)
from exchange.campaigns import Campaigns, Write
from exchange.forecasts import Forecasts
from exchange.ports import MediaFile
from exchange.statistics import Statistics
from protos import campaigns_pb2

SERVICE = campaigns_pb2.DESCRIPTOR.services_by_name["CampaignService"].full_name
ROLES = ("advertiser", "operator")

T = TypeVar("T")


class CampaignServer:
    """CampaignService; `on_change` is called after every write, on the event loop, and must not block."""

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        statistics: Statistics,
        forecasts: Forecasts,
        keys: ApiKeys,
        on_change: Callable[[], object],
    ) -> None:
        self._forecasts = forecasts
        self._campaigns = campaigns
        self._statistics = statistics
        self._keys = keys
        self._on_change = on_change

    def handler(self, max_bytes: int = MAX_REQUEST_BYTES) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "CreateAdvertiser": (campaigns_pb2.CreateAdvertiserRequest, self.create_advertiser),
            "GetAdvertiser": (campaigns_pb2.GetRequest, self.get_advertiser),
            "ListAdvertisers": (campaigns_pb2.ListRequest, self.list_advertisers),
            "CreateCampaign": (campaigns_pb2.CreateCampaignRequest, self.create_campaign),
            "GetCampaign": (campaigns_pb2.GetRequest, self.get_campaign),
            "ListCampaigns": (campaigns_pb2.ListRequest, self.list_campaigns),
            "CreateCreative": (campaigns_pb2.CreateCreativeRequest, self.create_creative),
            "GetCreative": (campaigns_pb2.GetRequest, self.get_creative),
            "ListCreatives": (campaigns_pb2.ListRequest, self.list_creatives),
            "ChangeCreative": (campaigns_pb2.ChangeCreativeRequest, self.change_creative),
            "ReviewCreative": (campaigns_pb2.ReviewCreativeRequest, self.review_creative),
            "CreateLineItem": (campaigns_pb2.CreateLineItemRequest, self.create_line_item),
            "GetLineItem": (campaigns_pb2.GetRequest, self.get_line_item),
            "ListLineItems": (campaigns_pb2.ListRequest, self.list_line_items),
            "ChangeBid": (campaigns_pb2.ChangeBidRequest, self.change_bid),
            "ChangeBudget": (campaigns_pb2.ChangeBudgetRequest, self.change_budget),
            "SetState": (campaigns_pb2.SetStateRequest, self.set_state),
            "SetPacing": (campaigns_pb2.SetPacingRequest, self.set_pacing),
            "ForecastLineItem": (campaigns_pb2.ForecastLineItemRequest, self.forecast_line_item),
            "GetStatistics": (campaigns_pb2.GetStatisticsRequest, self.get_statistics),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES, max_bytes)

    async def create_advertiser(
        self, request: campaigns_pb2.CreateAdvertiserRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Advertiser:
        """A new advertiser."""
        draft = _advertiser(request.advertiser)
        made = await self._write(request, caller, lambda write: self._campaigns.create_advertiser(write, draft))
        return campaigns_pb2.Advertiser(**_fields(made))

    async def get_advertiser(
        self, request: campaigns_pb2.GetRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Advertiser:
        """One advertiser."""
        _check_get(request, caller)
        return campaigns_pb2.Advertiser(
            **_fields(await asyncio.to_thread(self._campaigns.advertiser, request.tenant_id, request.id))
        )

    async def list_advertisers(
        self, request: campaigns_pb2.ListRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.AdvertiserPage:
        """A page of the tenant's advertisers."""
        _check_tenant(request, caller)
        page = await asyncio.to_thread(
            self._campaigns.advertisers, request.tenant_id, request.page_size, request.page_token
        )
        return campaigns_pb2.AdvertiserPage(
            advertisers=[campaigns_pb2.Advertiser(**_fields(item)) for item in page.items],
            next_page_token=page.next_page_token,
        )

    async def create_campaign(
        self, request: campaigns_pb2.CreateCampaignRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Campaign:
        """A new campaign."""
        draft = _campaign(request.campaign)
        made = await self._write(request, caller, lambda write: self._campaigns.create_campaign(write, draft))
        return campaigns_pb2.Campaign(**_fields(made))

    async def get_campaign(
        self, request: campaigns_pb2.GetRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Campaign:
        """One campaign."""
        _check_get(request, caller)
        return campaigns_pb2.Campaign(
            **_fields(await asyncio.to_thread(self._campaigns.campaign, request.tenant_id, request.id))
        )

    async def list_campaigns(
        self, request: campaigns_pb2.ListRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.CampaignPage:
        """A page of an advertiser's campaigns."""
        _check_tenant(request, caller)
        page = await asyncio.to_thread(self._campaigns.campaigns, *_asked(request))
        return campaigns_pb2.CampaignPage(
            campaigns=[campaigns_pb2.Campaign(**_fields(item)) for item in page.items],
            next_page_token=page.next_page_token,
        )

    async def create_creative(
        self, request: campaigns_pb2.CreateCreativeRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Creative:
        """A new creative."""
        draft = _creative(request.creative)
        made = await self._write(request, caller, lambda write: self._campaigns.create_creative(write, draft))
        return campaigns_pb2.Creative(**_fields(made))

    async def get_creative(
        self, request: campaigns_pb2.GetRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Creative:
        """One creative."""
        _check_get(request, caller)
        return campaigns_pb2.Creative(
            **_fields(await asyncio.to_thread(self._campaigns.creative, request.tenant_id, request.id))
        )

    async def list_creatives(
        self, request: campaigns_pb2.ListRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.CreativePage:
        """A page of an advertiser's creatives."""
        _check_tenant(request, caller)
        page = await asyncio.to_thread(self._campaigns.creatives, *_asked(request))
        return campaigns_pb2.CreativePage(
            creatives=[campaigns_pb2.Creative(**_fields(item)) for item in page.items],
            next_page_token=page.next_page_token,
        )

    async def change_creative(
        self, request: campaigns_pb2.ChangeCreativeRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Creative:
        """Another content, to be reviewed again."""
        draft = msgspec.structs.replace(_creative(request.creative), revision=request.creative.revision)
        changed = await self._write(
            request, caller, lambda write: self._campaigns.change_creative(write, request.creative_id, draft)
        )
        return campaigns_pb2.Creative(**_fields(changed))

    async def review_creative(
        self, request: campaigns_pb2.ReviewCreativeRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Creative:
        """An operator's opinion of a creative."""
        reviewed = await self._write(
            request,
            caller,
            lambda write: self._campaigns.review_creative(write, request.creative_id, request.review_state),
        )
        return campaigns_pb2.Creative(**_fields(reviewed))

    async def create_line_item(
        self, request: campaigns_pb2.CreateLineItemRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.LineItem:
        """A new line item."""
        draft = line_item_of(request.line_item)
        made = await self._write(request, caller, lambda write: self._campaigns.create_line_item(write, draft))
        return campaigns_pb2.LineItem(**_fields(made))

    async def get_line_item(
        self, request: campaigns_pb2.GetRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.LineItem:
        """One line item."""
        _check_get(request, caller)
        return campaigns_pb2.LineItem(
            **_fields(await asyncio.to_thread(self._campaigns.line_item, request.tenant_id, request.id))
        )

    async def list_line_items(
        self, request: campaigns_pb2.ListRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.LineItemPage:
        """A page of a campaign's line items."""
        _check_tenant(request, caller)
        page = await asyncio.to_thread(self._campaigns.line_items, *_asked(request))
        return campaigns_pb2.LineItemPage(
            line_items=[campaigns_pb2.LineItem(**_fields(item)) for item in page.items],
            next_page_token=page.next_page_token,
        )

    async def change_bid(
        self, request: campaigns_pb2.ChangeBidRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.LineItem:
        """Another bid."""
        changed = await self._write(
            request,
            caller,
            lambda write: self._campaigns.change_bid(write, request.line_item_id, request.bid_micros),
        )
        return campaigns_pb2.LineItem(**_fields(changed))

    async def change_budget(
        self, request: campaigns_pb2.ChangeBudgetRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.BudgetState:
        """Another budget."""
        budget = _budget(request.budget)
        state = await self._write(
            request, caller, lambda write: self._campaigns.change_budget(write, request.id, budget)
        )
        return campaigns_pb2.BudgetState(**_fields(state))

    async def set_state(
        self, request: campaigns_pb2.SetStateRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.SetStateResponse:
        """Pause or resume."""
        changed = await self._write(
            request, caller, lambda write: self._campaigns.set_state(write, request.id, request.state)
        )
        return campaigns_pb2.SetStateResponse(**_fields(changed))

    async def set_pacing(
        self, request: campaigns_pb2.SetPacingRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Campaign:
        """Spend evenly, or as fast as possible."""
        changed = await self._write(
            request, caller, lambda write: self._campaigns.set_pacing(write, request.campaign_id, request.pacing)
        )
        return campaigns_pb2.Campaign(**_fields(changed))

    async def forecast_line_item(
        self, request: campaigns_pb2.ForecastLineItemRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Forecast:
        """What a draft would come to."""
        _check_tenant(request, caller)
        draft = line_item_of(request.line_item)
        made = await asyncio.to_thread(self._forecasts.line_item, request.tenant_id, draft, request.days)
        return campaigns_pb2.Forecast(currency=self._campaigns.currency, **_fields(made))

    async def get_statistics(
        self, request: campaigns_pb2.GetStatisticsRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Statistics:
        """What came of it."""
        _check_get(request, caller)
        totals = await asyncio.to_thread(self._statistics.totals, request.tenant_id, request.id)
        return campaigns_pb2.Statistics(id=request.id, currency=self._campaigns.currency, **_fields(totals))

    async def _write(self, request: Any, caller: Caller, work: Callable[[Write], T]) -> T:
        _check_tenant(request, caller)
        answer = await asyncio.to_thread(work, Write(caller, request.tenant_id, request.idempotency_key))
        self._on_change()
        return answer


def _check_tenant(request: Any, caller: Caller) -> None:
    """Operators act for any tenant, everybody else for their own."""
    if not request.tenant_id:
        raise InvalidInput([FieldError("tenant_id", "is empty", "name the tenant that the API key belongs to")])
    if request.tenant_id != caller.tenant_id and caller.role != "operator":
        raise PermissionDenied("the API key belongs to another tenant than tenant_id names")


def _check_get(request: Any, caller: Caller) -> None:
    _check_tenant(request, caller)
    if not request.id:
        raise InvalidInput([FieldError("id", "is empty", "name one")])


def _asked(request: campaigns_pb2.ListRequest) -> tuple[str, str, int, str]:
    return request.tenant_id, request.parent_id, request.page_size, request.page_token


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    """The value's fields, which have the names of the message's; numbers are only for ourselves."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    fields.pop("number", None)
    return fields


def _advertiser(message: campaigns_pb2.Advertiser) -> Advertiser:
    return Advertiser(name=message.name, domain=message.domain)


def _budget(message: campaigns_pb2.Budget) -> Budget:
    return Budget(message.total_micros, message.daily_micros)


def _campaign(message: campaigns_pb2.Campaign) -> Campaign:
    return Campaign(
        advertiser_id=message.advertiser_id,
        name=message.name,
        currency=message.currency,
        budget=_budget(message.budget),
        time_zone=message.time_zone,
        state=message.state,
        pacing=message.pacing,
    )


def _creative(message: campaigns_pb2.Creative) -> Creative:
    return Creative(
        advertiser_id=message.advertiser_id,
        format=message.format,
        width=message.width,
        height=message.height,
        title=message.title,
        image_url=message.image_url,
        landing_url=message.landing_url,
        video_url=message.video_url,
        duration_s=message.duration_s,
        product_id=message.product_id,
        category=message.category,
        attributes=tuple(message.attributes),
        language=message.language,
        app_bundle=message.app_bundle,
        mime=message.mime,
        protocol=message.protocol,
        skippable=message.skippable,
        body=message.body,
        call_to_action=message.call_to_action,
        icon_url=message.icon_url,
        media_files=tuple(
            MediaFile(file.url, file.mime, file.width, file.height, file.bitrate_kbps) for file in message.media_files
        ),
    )


def line_item_of(message: campaigns_pb2.LineItem) -> LineItem:
    """A draft as it was sent; not checked yet."""
    targeting, cap, schedule = message.targeting, message.frequency_cap, message.schedule
    return LineItem(
        campaign_id=message.campaign_id,
        name=message.name,
        strategy=message.strategy,
        pricing_model=message.pricing_model,
        bid_micros=message.bid_micros,
        creative_ids=tuple(message.creative_ids),
        budget=_budget(message.budget),
        targeting=Targeting(**{name: tuple(getattr(targeting, name)) for name in Targeting.__struct_fields__}),
        frequency_cap=FrequencyCap(cap.impressions, cap.window_s),
        schedule=Schedule(schedule.starts_at_ms, schedule.ends_at_ms, tuple(schedule.hours_of_week)),
        deal_ids=tuple(message.deal_ids),
        deals_only=message.deals_only,
        seat=message.seat,
        caps=tuple(Cap(cap.scope, cap.impressions, cap.window_s, cap.by_session) for cap in message.caps),
        state=message.state,
    )


# How others read the same messages.
advertiser_of, campaign_of, fields_of, check_tenant = (
    _advertiser,
    _campaign,
    _fields,
    _check_tenant,
)
