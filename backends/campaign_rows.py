"""How do advertisers, campaigns, creatives and line items stand in rows? Values to columns and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from exchange import ports
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

TARGETING = msgspec.json.Decoder(Targeting)
HOURS = msgspec.json.Decoder(tuple[int, ...])
DEAL_IDS = msgspec.json.Decoder(tuple[str, ...])
CAPS = msgspec.json.Decoder(tuple[Cap, ...])
NUMBERS = HOURS
MEDIA_FILES = msgspec.json.Decoder(tuple[ports.MediaFile, ...])


def advertiser_of(row: Row[Any]) -> Advertiser:
    """The advertiser in a row."""
    return Advertiser(
        name=row.name,
        domain=row.domain,
        state=row.state,
        advertiser_id=row.advertiser_id,
        revision=row.revision,
        number=row.number,
    )


def campaign_of(row: Row[Any]) -> Campaign:
    """The campaign in a row that names its advertiser."""
    return Campaign(
        advertiser_id=row.advertiser_id,
        name=row.name,
        currency=row.currency,
        budget=Budget(row.total_micros, row.daily_micros),
        time_zone=row.time_zone,
        state=row.state,
        campaign_id=row.campaign_id,
        revision=row.revision,
        number=row.number,
        pacing=row.pacing,
    )


def creative_of(row: Row[Any]) -> Creative:
    """The creative in a row that names its advertiser."""
    values = row._mapping
    fields = {name: values[name] for name in Creative.__struct_fields__}
    lists = {"attributes": NUMBERS.decode(row.attributes), "media_files": MEDIA_FILES.decode(row.media_files)}
    return Creative(**fields | lists)


def creative_row(creative: Creative) -> dict[str, Any]:
    """The columns of a creative that an advertiser sets."""
    return msgspec.structs.asdict(creative) | {
        "attributes": msgspec.json.encode(creative.attributes).decode(),
        "media_files": msgspec.json.encode(creative.media_files).decode(),
    }


def line_item_of(row: Row[Any], creative_ids: list[str]) -> LineItem:
    """The line item in a row that names its campaign, with its creatives in their order."""
    return LineItem(
        campaign_id=row.campaign_id,
        name=row.name,
        strategy=row.strategy,
        pricing_model=row.pricing_model,
        bid_micros=row.bid_micros,
        creative_ids=tuple(creative_ids),
        budget=Budget(row.total_micros, row.daily_micros),
        targeting=TARGETING.decode(row.targeting),
        frequency_cap=FrequencyCap(row.cap_impressions, row.cap_window_s),
        schedule=Schedule(row.starts_at_ms, row.ends_at_ms, HOURS.decode(row.hours_of_week)),
        deal_ids=DEAL_IDS.decode(row.deal_ids),
        deals_only=row.deals_only,
        seat=row.seat,
        caps=CAPS.decode(row.caps),
        state=row.state,
        line_item_id=row.line_item_id,
        revision=row.revision,
        number=row.number,
    )


def line_item_row(tenant_id: str, item: LineItem, campaign_number: int) -> dict[str, Any]:
    """The columns of a line item."""
    return {
        "line_item_id": item.line_item_id,
        "tenant_id": tenant_id,
        "campaign_number": campaign_number,
        "name": item.name,
        "strategy": item.strategy,
        "pricing_model": item.pricing_model,
        "bid_micros": item.bid_micros,
        "total_micros": item.budget.total_micros,
        "daily_micros": item.budget.daily_micros,
        "targeting": msgspec.json.encode(item.targeting).decode(),
        "cap_impressions": item.frequency_cap.impressions,
        "cap_window_s": item.frequency_cap.window_s,
        "starts_at_ms": item.schedule.starts_at_ms,
        "ends_at_ms": item.schedule.ends_at_ms,
        "hours_of_week": msgspec.json.encode(item.schedule.hours_of_week).decode(),
        "deal_ids": msgspec.json.encode(item.deal_ids).decode(),
        "deals_only": item.deals_only,
        "seat": item.seat,
        "caps": msgspec.json.encode(item.caps).decode(),
        "state": item.state,
        "revision": item.revision,
    }
