"""How do campaigns, line items and creatives look in an index? Records to documents, with every field that is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from backends.elasticsearch_mappings import DIMENSIONS
from exchange.campaign_search import words_of
from exchange.inventory import shape_of
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.request import Format
from exchange.standing_bids import standing
from exchange.traits import Kind, category_words, language_words

# Stands where nothing is asked, so that one clause finds both who asks for nothing and who asks for what there is.
ANY: Final = "*"
ALWAYS: Final = -1
NEVER_ENDS: Final = 1 << 62

_HOURS: Final = 168
_HOUR_S: Final = 3600
_MONTH_S: Final = 2_629_800


def line_item_document(
    record: LineItemRecord, about: Mapping[str, Any], worths: Sequence[int], sequence: int, now_ms: int
) -> dict[str, Any]:
    """The document of a line item. `about` has what its record leaves out: tenant_id, name, state, running and
    advertiser_name; `worths` are in micros per thousand impressions, one for each creative.
    """
    made = standing(record)
    creatives = [
        _creative(creative, traits, worth)
        for creative, traits, worth in zip(record.creatives, made.traits, worths, strict=True)
    ]
    return {
        "sequence": sequence,
        "number": record.number,
        **about,
        "name_words": words_of(about["name"]),
        "campaign_id": record.campaign_id,
        "advertiser_id": record.advertiser_id,
        "advertiser_domain": record.advertiser_domain,
        "seat": made.seat,
        "strategy": record.strategy,
        "pricing_model": record.pricing_model,
        "bid_micros": record.bid_micros,
        "currency": record.currency,
        "formats": sorted({creative.format for creative in record.creatives}),
        "review_states": sorted({creative.review_state for creative in record.creatives}),
        "starts_at_ms": record.starts_at_ms,
        "ends_at_ms": record.ends_at_ms or NEVER_ENDS,
        "hours_utc": hours_utc(record.hours_of_week, record.time_zone, now_ms // 86_400_000),
        "deal_ids": list(record.deal_ids),
        "deals_only": record.deals_only,
        **{dimension: list(record.targeting.get(dimension, (ANY,))) for dimension in DIMENSIONS},
        "creatives": creatives,
        "record": msgspec.to_builtins(record),
    }


def stopped_document(line_item_id: str, number: int, tenant_id: str, sequence: int) -> dict[str, Any]:
    """What stands for a line item whose newest form cannot be indexed: it must not run in an older one."""
    return {
        "sequence": sequence,
        "number": number,
        "tenant_id": tenant_id,
        "running": False,
        "record": {"line_item_id": line_item_id},
    }


def shape_word(shape: tuple[int, int, int]) -> str:
    """A shape as one word."""
    return ":".join(map(str, shape))


@lru_cache(maxsize=4096)
def _offsets_s(time_zone: str, day: int) -> frozenset[int]:
    """What is added to UTC in this zone within a year from a day (counted from 1970): two numbers in most."""
    zone = ZoneInfo(time_zone)
    moments = (datetime.fromtimestamp(day * 86_400 + month * _MONTH_S, UTC) for month in range(13))
    return frozenset(int(moment.astimezone(zone).utcoffset().total_seconds()) for moment in moments)  # type: ignore[union-attr]  # every zone has one


def hours_utc(hours_of_week: Sequence[int], time_zone: str, day: int) -> list[int]:
    """The hours of the week in UTC (0 is Monday 00:00) in which any of these local hours can fall, summer and winter
    together; [ALWAYS] where there are none. It is wider than the schedule itself, which the auction keeps exactly.
    """
    if not hours_of_week:
        return [ALWAYS]
    found = set()
    # By the year, so that the same line item comes to the same document for long.
    for offset_s in _offsets_s(time_zone, day // 365 * 365):
        for hour in hours_of_week:
            begin_s = hour * _HOUR_S - offset_s
            found |= {begin_s // _HOUR_S % _HOURS, (begin_s + _HOUR_S - 1) // _HOUR_S % _HOURS}
    return sorted(found)


def _creative(creative: CreativeRecord, traits: Sequence[tuple[Kind, object]], worth: int) -> dict[str, Any]:
    shape = shape_of(creative)
    return {
        "shape": shape_word(shape),
        "banner_width": creative.width if creative.format == Format.BANNER else 0,
        "review_state": creative.review_state,
        "categories": list(category_words(creative.category)),
        "attributes": list(creative.attributes),
        # What is not said passes every list of what is allowed.
        "languages": list(language_words(creative.language)) or [ANY],
        "app_bundle": creative.app_bundle,
        "insecure": any(kind == Kind.INSECURE for kind, _ in traits),
        "product_id": creative.product_id,
        "worth_micros": worth,
    }
