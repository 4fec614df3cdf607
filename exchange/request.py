"""What is asked? A page view with its placements, as the exchange's own values."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Format(IntEnum):
    """What kind of ad a placement can show; numbers of haat.exchange.v1.Format."""

    BANNER = 1
    PRODUCT_LISTING = 2
    VIDEO = 3


class PriceRule(IntEnum):
    """How the price is found; OpenRTB 2.6 §3.2.1 `at`."""

    FIRST_PRICE = 1
    SECOND_PRICE = 2


class PricingModel(IntEnum):
    """What a bid is for: a thousand impressions, a click, a conversion."""

    CPM = 1
    CPC = 2
    CPA = 3


class Placement(msgspec.Struct, frozen=True, gc=False):
    """One place on the page.

    `shapes` are `(format, width, height)` with 0 × 0 for a product listing; `floor_micros` is per thousand
    impressions; `position` counts from 1, 0 is unknown.
    """

    placement_id: str
    shapes: tuple[tuple[int, int, int], ...]
    floor_micros: int = 0
    blocked_categories: tuple[str, ...] = ()
    blocked_advertisers: tuple[str, ...] = ()
    position: int = 0


class PageView(msgspec.Struct, frozen=True, gc=False):
    """One page view, read and checked.

    `affinities` are `(product_id, weight)`; `permissions` are bits of common.consent.Permission.
    """

    request_id: str
    session_id: str
    visitor_id: str
    segments: tuple[str, ...]
    affinities: tuple[tuple[str, float], ...]
    permissions: int
    url: str
    categories: tuple[str, ...]
    keywords: tuple[str, ...]
    product_id: str
    device_type: int
    country: str
    language: str
    placements: tuple[Placement, ...]
    price_rule: int
    tmax_ms: int
    viewed_at_ms: int
    # The request as it goes into the event log: without the visitor where consent does not cover remembering.
    wire: bytes = b""
