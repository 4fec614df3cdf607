"""Step 9: what does the storefront get back? One answer for each page view, one entry for each of its placements."""

from __future__ import annotations

import msgspec


class Ad(msgspec.Struct, frozen=True, gc=False):
    """An ad that won; `price_micros` is per unit of `pricing_model`."""

    impression_id: str
    line_item_id: str
    creative_id: str
    advertiser_id: str
    advertiser_domain: str
    product_id: str
    format: int
    width: int
    height: int
    markup: str
    price_micros: int
    pricing_model: int
    bidder: str


class PlacementAnswer(msgspec.Struct, frozen=True, gc=False):
    """One placement: an ad, or why there is none (a code of exchange.refusals)."""

    placement_id: str
    ad: Ad | None
    no_ad_reason: int = 0


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a page view; `kept` when the session was given the same one before."""

    auction_id: str
    request_id: str
    placements: tuple[PlacementAnswer, ...]
    kept: bool = False
