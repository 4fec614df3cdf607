"""What does an advertiser work with? Advertisers, campaigns, creatives and line items as the exchange's own values.

In a draft, which an advertiser sends, ids, numbers and revisions are empty; the store gives them. Money is in micros
of the campaign's currency.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from exchange.pacing_ports import Pacing


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
    }
    return {dimension: values for dimension, values in dimensions.items() if values}


class FrequencyCap(msgspec.Struct, frozen=True):
    """At most so many impressions per visitor within the window; 0 is no cap."""

    impressions: int = 0
    window_s: int = 0


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
    """What is shown; a product listing is 0 × 0."""

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
    review_state: int = ReviewState.PENDING
    creative_id: str = ""
    revision: int = 0
    number: int = 0


class LineItem(msgspec.Struct, frozen=True):
    """One standing offer: which bid, for whom, when, how often, with which creatives."""

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
