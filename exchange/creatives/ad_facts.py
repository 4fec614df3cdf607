"""What is known of an ad before any auction? Who pays, what is shown, and its markup if that can be made so early."""

from __future__ import annotations

import msgspec

from exchange.bidding import OutsideBid
from exchange.creatives.formats import FORMATS, mtype_of
from exchange.creatives.outside_markup import duration_in, outside_template
from exchange.creatives.shown import Shown
from exchange.creatives.templates import Template
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.request import Format, PricingModel


class AdFacts(msgspec.Struct, frozen=True):
    """The ad of a standing bid, or of an outside bid. `mtype` is OpenRTB 2.6 §4.2.3's: 1 banner, 2 video, 4 native.

    `template` is None where the markup depends on the placement or on the product as it is sold at that moment;
    `creative` is None for an outside bid, whose markup is its own affair.
    """

    line_item_id: str
    creative_id: str
    advertiser_id: str
    advertiser_domain: str
    product_id: str
    format: int
    width: int
    height: int
    pricing_model: int
    mtype: int = 0
    duration_s: int = 0
    landing_url: str = ""
    template: Template | None = None
    creative: CreativeRecord | None = None


def ad_facts(item: LineItemRecord, creative: CreativeRecord) -> AdFacts:
    """The ad of one line item with one of its creatives."""
    rules = FORMATS[creative.format]
    return AdFacts(
        line_item_id=item.line_item_id,
        creative_id=creative.creative_id,
        advertiser_id=item.advertiser_id,
        advertiser_domain=item.advertiser_domain,
        product_id=creative.product_id,
        format=creative.format,
        width=creative.width,
        height=creative.height,
        pricing_model=item.pricing_model,
        mtype=rules.mtype,
        duration_s=creative.duration_s,
        landing_url=creative.landing_url,
        template=None if rules.live else rules.markup(Shown(creative, item.advertiser_domain)),
        creative=creative,
    )


def outside_facts(bid: OutsideBid) -> AdFacts:
    """The ad of an outside bid, which was screened; its markup may use our macros and stays inside its frame."""
    return AdFacts(
        line_item_id="",
        creative_id=bid.creative_id,
        advertiser_id="",
        advertiser_domain=bid.advertiser_domain,
        product_id=bid.product_id,
        format=bid.format,
        width=bid.width,
        height=bid.height,
        pricing_model=PricingModel.CPM,
        mtype=mtype_of(bid.format),
        duration_s=bid.duration_s or (duration_in(bid.markup) if bid.format == Format.VIDEO else 0),
        template=outside_template(bid.format, bid.markup),
    )


class KnownAds:
    """The ads of all line items, made again only for line items that changed: a new snapshot costs what is new in it.

    Belongs to one compiler, which compiles one snapshot at a time.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[LineItemRecord, tuple[AdFacts, ...]]] = {}

    def of(self, item: LineItemRecord) -> tuple[AdFacts, ...]:
        """The ads of a line item, one for each of its creatives, in their order."""
        known = self._known.get(item.line_item_id)
        if known is None or known[0] is not item:
            known = self._known[item.line_item_id] = (item, tuple(ad_facts(item, each) for each in item.creatives))
        return known[1]

    def forget_all_but(self, line_item_ids: set[str]) -> None:
        """Let go of the ads of line items that are no more."""
        if len(self._known) > len(line_item_ids):
            self._known = {key: value for key, value in self._known.items() if key in line_item_ids}
