"""What is known of a line item before any page view? Its caps, deals and traits, made once when it changes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from exchange.frequency import unrecognised_share
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.request import Format
from exchange.traits import NativeForm, Trait, VideoForm, is_secure, traits_of

LINE_ITEM, CAMPAIGN, ADVERTISER, CREATIVE = 1, 2, 3, 4


class Cap(NamedTuple):
    """A frequency cap as the walk reads it; `share` is of 2^32 page views on which nothing can be counted."""

    scope: int
    impressions: int
    window_ms: int
    share: int


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A line item beside what follows from it alone; `traits` have one entry for each creative."""

    record: LineItemRecord
    seat: str
    caps: tuple[Cap, ...]
    traits: tuple[tuple[Trait, ...], ...]


def standing(record: LineItemRecord) -> Standing:
    """What can be said of this line item whoever looks at whatever page."""
    seat = record.seat or record.advertiser_id
    traits = tuple(_traits(record, creative, seat) for creative in record.creatives)
    return Standing(record, seat, _caps(record), traits)


def _caps(record: LineItemRecord) -> tuple[Cap, ...]:
    caps = [(LINE_ITEM, record.cap_impressions, record.cap_window_s), *record.caps]
    # The narrowest first: it decides most often.
    return tuple(
        Cap(scope, impressions, window_s * 1000, unrecognised_share(impressions, window_s))
        for scope, impressions, window_s in sorted(dict.fromkeys(caps), key=lambda cap: (abs(cap[0]), cap))
        if impressions > 0
    )


def _traits(record: LineItemRecord, creative: CreativeRecord, seat: str) -> tuple[Trait, ...]:
    video = native = None
    if creative.format == Format.VIDEO:
        mimes = (creative.mime,) if creative.mime else ()
        video = VideoForm(mimes, creative.protocol, creative.duration_s, creative.skippable)
    elif creative.format == Format.NATIVE:
        native = NativeForm(
            title_chars=len(creative.title),
            body_chars=len(creative.body),
            call_chars=len(creative.call_to_action),
            has_image=bool(creative.image_url),
            width=creative.width,
            height=creative.height,
            has_icon=bool(creative.icon_url),
            has_video=bool(creative.video_url),
            has_product=bool(creative.product_id),
        )
    # All that the markup of a creative can load or lead to.
    addresses = (creative.image_url, creative.video_url, creative.icon_url, creative.landing_url)
    return traits_of(
        advertiser_domains=(record.advertiser_domain,),
        seat=seat,
        categories=(creative.category,),
        app_bundle=creative.app_bundle,
        attributes=creative.attributes,
        language=creative.language,
        secure=is_secure(" ".join(addresses)),
        video=video,
        native=native,
        # Our own banners are a picture in a link, or words (exchange.creatives.banner).
        types=(2 if creative.image_url else 1,) if creative.format == Format.BANNER else (),
    )
