"""What does an advertiser work with? Advertisers, campaigns, creatives and line items as the exchange's own values.

In a draft, which an advertiser sends, ids, numbers and revisions are empty; the store gives them. Money is in micros
of the campaign's currency.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from exchange.pacing_ports import Pacing
from exchange.ports import MediaFile


class State(IntEnum):
    """Does it run? Numbers of haat.campaigns.v1.State."""

    ACTIVE = 1
    PAUSED = 2


class ReviewState(IntEnum):
    """What an operator thinks of a creative; numbers of haat.campaigns.v1.ReviewState."""

    PENDING = 1
    APPROVED = 2
    REFUSED = 3


class Strategy(IntEnum):
    """Which internal bidder speaks for a line item; numbers of haat.campaigns.v1.Strategy."""

    BRAND_CAMPAIGN = 1
    CONTEXTUAL = 2
    RETARGET = 3
    LOOK_ALIKE = 4


class Budget(msgspec.Struct, frozen=True):
    """Limits in micros, 0 is no limit; a day is one of the campaign's time zone."""

    total_micros: int = 0
    daily_micros: int = 0


class Targeting(msgspec.Struct, frozen=True):
    """All given lists must match, a list by one of its entries; an empty list matches everything."""

    countries: tuple[str, ...] = ()
    devices: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    seen_products: tuple[str, ...] = ()
    placement_ids: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    near_products: tuple[str, ...] = ()


def dimensions_of(targeting: Targeting) -> dict[str, tuple[str, ...]]:
    """Targeting by the dimensions of exchange.ports.LineItemRecord, empty ones left out."""
    dimensions = {
        "country": targeting.countries,
        "device": tuple(str(device) for device in targeting.devices),
        "category": targeting.categories,
        "keyword": targeting.keywords,
        "segment": targeting.segments,
        "seen_product": targeting.seen_products,
        "placement": targeting.placement_ids,
        "language": targeting.languages,
        "near_product": targeting.near_products,
    }
    return {dimension: values for dimension, values in dimensions.items() if values}


class FrequencyCap(msgspec.Struct, frozen=True):
    """At most so many impressions per visitor within the window; 0 is no cap."""

    impressions: int = 0
    window_s: int = 0


class CapScope(IntEnum):
    """Of what impressions are counted; numbers of haat.campaigns.v1.CapScope."""

    LINE_ITEM = 1
    CAMPAIGN = 2
    ADVERTISER = 3
    CREATIVE = 4


class Cap(msgspec.Struct, frozen=True):
    """At most so many impressions of what `scope` says within the window, per visitor or per session."""

    scope: int
    impressions: int
    window_s: int
    by_session: bool = False


class Schedule(msgspec.Struct, frozen=True):
    """When it runs: from, until (0: without end), and in which hours of the week (0 is Monday 00:00; none: always)."""

    starts_at_ms: int = 0
    ends_at_ms: int = 0
    hours_of_week: tuple[int, ...] = ()


class Advertiser(msgspec.Struct, frozen=True):
    """Who pays; `domain` is what publishers block by."""

    name: str
    domain: str
    state: int = State.ACTIVE
    advertiser_id: str = ""
    revision: int = 0
    number: int = 0


class Campaign(msgspec.Struct, frozen=True):
    """Line items under one budget; in a draft `state` 0 is active and `pacing` 0 is even."""

    advertiser_id: str
    name: str
    currency: str
    budget: Budget
    time_zone: str = "UTC"
    state: int = State.ACTIVE
    campaign_id: str = ""
    revision: int = 0
    number: int = 0
    pacing: int = Pacing.EVEN


class Creative(msgspec.Struct, frozen=True):
    """What is shown; a product listing is 0 × 0, a native ad as large as its image.

    `attributes` are of AdCOM's list of creative attributes; `mime`, `protocol`, `skippable` and `media_files` are a
    video's, `protocol` being AdCOM's number of the VAST that is written for it.
    """

    advertiser_id: str
    format: int
    landing_url: str
    width: int = 0
    height: int = 0
    title: str = ""
    image_url: str = ""
    video_url: str = ""
    duration_s: int = 0
    product_id: str = ""
    category: str = ""
    attributes: tuple[int, ...] = ()
    language: str = ""
    app_bundle: str = ""
    mime: str = ""
    protocol: int = 0
    skippable: bool = False
    body: str = ""
    call_to_action: str = ""
    icon_url: str = ""
    media_files: tuple[MediaFile, ...] = ()
    review_state: int = ReviewState.PENDING
    creative_id: str = ""
    revision: int = 0
    number: int = 0


class LineItem(msgspec.Struct, frozen=True):
    """One standing offer: which bid, for whom, when, how often, with which creatives.

    It may bid under the deals of `deal_ids`, and with `deals_only` under nothing else. `seat` is whom publishers allow
    or block as the buyer; empty: the advertiser's id. `caps` hold beside `frequency_cap`.
    """

    campaign_id: str
    name: str
    strategy: int
    pricing_model: int
    bid_micros: int
    creative_ids: tuple[str, ...]
    budget: Budget = Budget()
    targeting: Targeting = Targeting()
    frequency_cap: FrequencyCap = FrequencyCap()
    schedule: Schedule = Schedule()
    deal_ids: tuple[str, ...] = ()
    deals_only: bool = False
    seat: str = ""
    caps: tuple[Cap, ...] = ()
    state: int = State.ACTIVE
    line_item_id: str = ""
    revision: int = 0
    number: int = 0


class BudgetState(msgspec.Struct, frozen=True):
    """A budget beside what was spent of it, in micros: in all, and today in the campaign's time zone."""

    budget: Budget
    spent_total_micros: int
    spent_today_micros: int


class StateSet(msgspec.Struct, frozen=True):
    """The state that an advertiser, a campaign or a line item now has."""

    id: str
    state: int
    revision: int
