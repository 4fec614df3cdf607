"""What does a video player get? IAB VAST 4.2, one InLine ad with one linear creative and all that is to be told of it.

Addresses of ours stand in CDATA sections, which none of them can end; what an advertiser wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from exchange.creatives.shown import Shown
from exchange.creatives.templates import (
    CLICK_URL_MACRO,
    ERROR_URL_MACRO,
    IMPRESSION_MACRO,
    IMPRESSION_URL_MACRO,
    Template,
    event_macro,
    template,
    xml,
)
from exchange.ports import CreativeRecord

# AdCOM 1.0, List: Creative Subtypes - Audio/Video, of InLine documents; a creative has 4.2 unless it says otherwise.
VERSIONS = {7: "4.0", 11: "4.1", 13: "4.2"}
PROTOCOL = 13
# After so many seconds a video that may be skipped can be.
SKIP_AFTER_S = 5
_TOLD = ("loaded", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete")
_TAIL = "</VAST>"


def markup(shown: Shown) -> Template:
    """The whole VAST document of one video."""
    return template(
        f"{_head(VERSIONS.get(shown.creative.protocol, VERSIONS[PROTOCOL]))}{ad_of(shown)}{_TAIL}", ampersand=False
    )


def document(ads: Sequence[str], version: str = VERSIONS[PROTOCOL]) -> str:
    """A VAST document of `<Ad>` elements, which may be none."""
    return _head(version) + "".join(ads) + _TAIL


def ad_of(shown: Shown) -> str:
    """The `<Ad>` element with its macros; elements stand in the order of VAST 4.2's schema."""
    creative = shown.creative
    # VAST 4.0 names the ad's id in an attribute too, and knows neither an id of the serving nor that it was loaded.
    first = creative.protocol == 7
    told = _TOLD[1:] if first else _TOLD
    tracking = "".join(f'<Tracking event="{event}">{_cdata(event_macro(event))}</Tracking>' for event in told)
    skippable = ""
    if creative.skippable and creative.duration_s > SKIP_AFTER_S:
        skippable = f' skipoffset="{clock_time(SKIP_AFTER_S)}"'
        tracking += f'<Tracking event="skip">{_cdata(event_macro("skip"))}</Tracking>'
    registered = f' idValue="{xml(creative.creative_id)}"' if first else ""
    serving = "" if first else f"<AdServingId>{IMPRESSION_MACRO}</AdServingId>"
    description = f"<Description>{xml(creative.body)}</Description>" if creative.body else ""
    return (
        f'<Ad id="{IMPRESSION_MACRO}"><InLine><AdSystem version="1">haat</AdSystem>'
        f"<Error>{_cdata(ERROR_URL_MACRO)}</Error>"
        f"<Impression>{_cdata(IMPRESSION_URL_MACRO)}</Impression>"
        f"<ViewableImpression><Viewable>{_cdata(event_macro('viewable'))}</Viewable></ViewableImpression>"
        f"{serving}<AdTitle>{xml(creative.title)}</AdTitle>"
        f"<Advertiser>{xml(shown.advertiser_domain)}</Advertiser>"
        f'<Creatives><Creative id="{xml(creative.creative_id)}">'
        f"<Linear{skippable}><TrackingEvents>{tracking}</TrackingEvents>"
        f"<Duration>{clock_time(creative.duration_s)}</Duration><MediaFiles>{_media_files(creative)}</MediaFiles>"
        f"<VideoClicks><ClickThrough>{_cdata(CLICK_URL_MACRO)}</ClickThrough></VideoClicks>"
        f'</Linear><UniversalAdId idRegistry="haat"{registered}>{xml(creative.creative_id)}</UniversalAdId>'
        f"</Creative></Creatives>{description}</InLine></Ad>"
    )


def in_pod(ad: str, sequence: int) -> str:
    """A filled `<Ad>` element as number `sequence` (from 1) of its pod."""
    assert ad.startswith("<Ad ")
    return f'<Ad sequence="{sequence}"{ad[3:]}'


def ad_in(vast: str) -> str:
    """The one `<Ad>` element of a document made by `markup`, filled or not."""
    return vast[vast.index("<Ad ") : vast.rindex(_TAIL)]


def clock_time(seconds: int) -> str:
    """`HH:MM:SS`, as VAST writes durations and offsets."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def mimes_of(creative: CreativeRecord) -> tuple[str, ...]:
    """The types of media files that the creative brings, the main one first."""
    return tuple(dict.fromkeys((creative.mime, *(file.mime for file in creative.media_files))))


def _head(version: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><VAST version="{version}" xmlns="http://www.iab.com/VAST">'


def _media_files(creative: CreativeRecord) -> str:
    first = _media_file(creative.video_url, creative.mime, creative.width, creative.height, 0)
    return first + "".join(
        _media_file(file.url, file.mime, file.width, file.height, file.bitrate_kbps) for file in creative.media_files
    )


def _media_file(url: str, mime: str, width: int, height: int, bitrate_kbps: int) -> str:
    # Playlists of HLS and DASH are streamed; everything else is one file.
    delivery = "streaming" if mime in ("application/x-mpegurl", "application/dash+xml") else "progressive"
    bitrate = f' bitrate="{bitrate_kbps}"' if bitrate_kbps else ""
    return (
        f'<MediaFile delivery="{delivery}" type="{xml(mime)}" width="{width}" height="{height}"{bitrate}>'
        f"{xml(url)}</MediaFile>"
    )


def _cdata(macro: str) -> str:
    return f"<![CDATA[{macro}]]>"
