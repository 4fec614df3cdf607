"""What does the visitor's browser get? Markup for a banner, a product listing or a video, made with the snapshot.

Everything an advertiser wrote is escaped here, once; at auction time only the impression id is put in.
"""

from __future__ import annotations

import json
from html import escape
from xml.sax.saxutils import escape as escape_xml

import msgspec

from exchange.bidding import OutsideBid
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.request import Format, PricingModel

IMPRESSION_MACRO = "${IMPRESSION_ID}"


class AdFacts(msgspec.Struct, frozen=True):
    """What is known of a standing bid's ad before any auction; `markup` still carries the impression macro."""

    line_item_id: str
    creative_id: str
    advertiser_id: str
    advertiser_domain: str
    product_id: str
    format: int
    width: int
    height: int
    pricing_model: int
    markup: str


def ad_facts(item: LineItemRecord, creative: CreativeRecord) -> AdFacts:
    """The ad of one line item with one of its creatives."""
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
        markup=markup_of(creative, item.advertiser_domain),
    )


def outside_facts(bid: OutsideBid) -> AdFacts:
    """The ad of an outside bid, which was screened; its markup is its own affair and stays inside its frame."""
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
        markup=bid.markup,
    )


def markup_of(creative: CreativeRecord, advertiser_domain: str) -> str:
    """The markup of a creative with the impression macro in it."""
    if creative.format == Format.VIDEO:
        return _vast(creative, advertiser_domain)
    if creative.format == Format.PRODUCT_LISTING:
        return _listing(creative, advertiser_domain)
    return _banner(creative)


def with_impression(markup: str, impression_id: str) -> str:
    """The markup with its impression named; impression ids are plain hexadecimal digits, a dot and digits."""
    return markup.replace(IMPRESSION_MACRO, impression_id)


def _banner(creative: CreativeRecord) -> str:
    title = escape(creative.title, quote=True)
    return (
        f'<a href="{escape(creative.landing_url, quote=True)}" target="_blank" rel="sponsored noopener" '
        f'data-impression="{IMPRESSION_MACRO}"><img src="{escape(creative.image_url, quote=True)}" '
        f'width="{creative.width}" height="{creative.height}" alt="{title}"></a>'
    )


def _listing(creative: CreativeRecord, advertiser_domain: str) -> str:
    return json.dumps(
        {
            "impression_id": IMPRESSION_MACRO,
            "product_id": creative.product_id,
            "title": creative.title,
            "image_url": creative.image_url,
            "landing_url": creative.landing_url,
            "sponsored_by": advertiser_domain,
        },
        ensure_ascii=True,
        separators=(",", ":"),
    )


def _vast(creative: CreativeRecord, advertiser_domain: str) -> str:
    """IAB VAST 4.2, one linear creative."""
    hours, rest = divmod(creative.duration_s, 3600)
    minutes, seconds = divmod(rest, 60)
    text = escape_xml
    return (
        '<?xml version="1.0" encoding="UTF-8"?><VAST version="4.2"><Ad id="'
        f'{IMPRESSION_MACRO}"><InLine><AdSystem>haat</AdSystem><AdTitle>{text(creative.title)}</AdTitle>'
        f"<Advertiser>{text(advertiser_domain)}</Advertiser><Creatives><Creative><Linear>"
        f"<Duration>{hours:02d}:{minutes:02d}:{seconds:02d}</Duration>"
        f"<VideoClicks><ClickThrough>{text(creative.landing_url)}</ClickThrough></VideoClicks>"
        f'<MediaFiles><MediaFile delivery="progressive" type="video/mp4" width="{creative.width}" '
        f'height="{creative.height}">{text(creative.video_url)}</MediaFile></MediaFiles>'
        "</Linear></Creative></Creatives></InLine></Ad></VAST>"
    )
