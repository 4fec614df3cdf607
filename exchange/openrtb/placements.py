"""Which placement does an impression offer? One `imp` of a valid request becomes one Placement, or none."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from exchange.creatives import native as assets
from exchange.creatives.pods import MAX_SLOTS
from exchange.openrtb.floors import DEFAULT_CURRENCY, Rates, floor_micros, floors_by_length
from exchange.openrtb.native_validation import PRODUCT_CONTEXT, read_native
from exchange.request import Deal, FlexSize, Format, LengthFloors, NativeTerms, Placement, VideoTerms

ID_LIMIT: Final = 64
_BANNER, _VIDEO = int(Format.BANNER), int(Format.VIDEO)
_LISTING = (int(Format.PRODUCT_LISTING), 0, 0)
_NATIVE = (int(Format.NATIVE), 0, 0)
# What a product listing can fill: a title, the picture of the product, and texts of these types of Native 1.2 §7.4, the
# last of them the product's id of the product listing extension. Whether a product has them is seen when it is sold.
LISTING_DATA_TYPES: Final = frozenset(
    {
        assets.SPONSORED, assets.DESCRIPTION, assets.RATING, assets.LIKES, assets.DOWNLOADS, assets.PRICE,
        assets.SALE_PRICE, assets.SHOWN_URL, assets.CALL_TO_ACTION, assets.PRODUCT_ID,
    }
)  # fmt: skip
_LISTING_KINDS: Final = ("title", "img")


class NotOffered(IntEnum):
    """Why an impression is no placement; numbers of the seat-non-bid extension's status codes."""

    UNSUPPORTED_FORMAT = 202
    UNSUPPORTED_CURRENCY = 205


class Blocks(NamedTuple):
    """What the request blocks for all of its impressions, lower-cased once."""

    categories: tuple[str, ...]
    advertisers: tuple[str, ...]
    apps: tuple[str, ...]


def read_placement(
    imp: Mapping[str, Any], placement_id: str, blocks: Blocks, rates: Rates, currency: str
) -> Placement | NotOffered:
    """The placement of one impression under the name `placement_id`."""
    shapes: list[tuple[int, int, int]] = []
    flexible: tuple[FlexSize, ...] = ()
    video: VideoTerms | None = None
    native: NativeTerms | None = None
    attributes: tuple[int, ...] = ()
    categories, apis = blocks.categories, tuple[int, ...]()
    floor = floor_micros(imp, rates, currency)
    if (held := imp.get("banner")) is not None:
        shapes, flexible = _sizes(held)
        attributes = tuple(held.get("battr") or ())
        apis += tuple(held.get("api") or ())
    if (held := imp.get("video")) is not None:
        shapes.append((_VIDEO, held.get("w", 0), held.get("h", 0)))
        by_length = floors_by_length(held, imp.get("bidfloorcur", DEFAULT_CURRENCY), rates, currency)
        if by_length is None:
            return NotOffered.UNSUPPORTED_CURRENCY
        video = _video_terms(held, by_length)
        attributes += tuple(held.get("battr") or ())
        apis += tuple(held.get("api") or ())
    if (held := imp.get("native")) is not None:
        asked = read_native(held["request"])
        native = asked.terms
        shapes.append(_NATIVE)
        feed = _prodfeed(imp)
        if (asked.context == PRODUCT_CONTEXT or asked.prodfeed or feed is not None) and listing_fits(native):
            shapes.append(_LISTING)
        if feed:
            # The product listing extension's blocked product categories.
            categories += tuple(word.lower() for word in feed.get("bprodcat") or () if type(word) is str)
        attributes += tuple(held.get("battr") or ())
        apis += tuple(held.get("api") or ())
    if floor is None:
        return NotOffered.UNSUPPORTED_CURRENCY
    if not shapes and not flexible:
        return NotOffered.UNSUPPORTED_FORMAT
    pmp = imp.get("pmp")
    return Placement(
        placement_id=placement_id,
        shapes=tuple(shapes),
        floor_micros=floor,
        blocked_categories=categories,
        blocked_advertisers=blocks.advertisers,
        blocked_attributes=attributes,
        blocked_apps=blocks.apps,
        secure=bool(imp.get("secure")),
        flex_sizes=flexible,
        video=video,
        native=native,
        deals=_deals(pmp, rates, currency) if pmp is not None else (),
        private_auction=pmp is not None and bool(pmp.get("private_auction")),
        for_sale_s=imp.get("exp", 0),
        blocked_types=tuple((imp.get("banner") or {}).get("btype") or ()),
        apis=apis,
    )


def placement_ids(imps: list[dict[str, Any]]) -> list[str]:
    """The name of each impression's placement: its `tagid`, a name in its `ext`, or its id; each name once."""
    names: list[str] = []
    taken: set[str] = set()
    for imp in imps:
        name = imp.get("tagid") or ("ext" in imp and _name_in(imp["ext"])) or imp["id"]
        if name in taken:
            name = imp["id"]
        if len(name) > ID_LIMIT or name in taken:
            name = digest_of(f"{name} {imp['id']}")
        taken.add(name)
        names.append(name)
    return names


def digest_of(text: str) -> str:
    """A name of 32 hexadecimal digits for a text that is longer than names may be."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def listing_fits(native: NativeTerms) -> bool:
    """Can a product listing fill every asset that is required?"""
    return all(
        kind in _LISTING_KINDS or (kind == "data" and type_ in LISTING_DATA_TYPES)
        for _, kind, type_, required, *_ in native.assets
        if required
    )


def _sizes(banner: Mapping[str, Any]) -> tuple[list[tuple[int, int, int]], tuple[FlexSize, ...]]:
    formats = banner.get("format")
    if not formats:
        return [(_BANNER, banner["w"], banner["h"])], ()
    fixed = dict.fromkeys((_BANNER, size["w"], size["h"]) for size in formats if "w" in size)
    flexible = [FlexSize(size["wratio"], size["hratio"], size.get("wmin", 0)) for size in formats if "w" not in size]
    return list(fixed), tuple(flexible)


def _video_terms(video: Mapping[str, Any], by_length: LengthFloors) -> VideoTerms:
    return VideoTerms(
        mimes=tuple(mime.lower() for mime in video["mimes"]),
        least_duration_s=video.get("minduration", 0),
        most_duration_s=video.get("maxduration", 0),
        required_durations_s=tuple(video.get("rqddurs") or ()),
        protocols=tuple(video.get("protocols") or ()),
        skippable=video.get("skip", -1),
        pod_id=video.get("podid", "")[:ID_LIMIT],
        pod_duration_s=video.get("poddur", 0),
        pod_ads=min(video.get("maxseq", 0), MAX_SLOTS),
        slot_in_pod=video.get("slotinpod", 0),
        least_cpm_per_second_micros=by_length.per_second_micros,
        pod_sequence=video.get("podseq", 0),
        floor_ranges=by_length.ranges,
    )


def _deals(pmp: Mapping[str, Any], rates: Rates, currency: str) -> tuple[Deal, ...]:
    """A deal whose floor cannot be told in the auction's currency cannot be kept, so it is not offered."""
    deals = []
    for deal in pmp.get("deals") or ():
        floor = floor_micros(deal, rates, currency)
        by_length = floors_by_length(deal, deal.get("bidfloorcur", DEFAULT_CURRENCY), rates, currency)
        if floor is not None and by_length is not None:
            deals.append(
                Deal(
                    deal_id=deal["id"],
                    floor_micros=floor,
                    price_rule=deal.get("at", 0),
                    seats=tuple(deal.get("wseat") or ()),
                    advertiser_domains=tuple(domain.lower() for domain in deal.get("wadomain") or ()),
                    guaranteed=deal.get("guar") == 1,
                    by_length=by_length if by_length.ranges or by_length.per_second_micros else None,
                )
            )
    return tuple(deals)


def _prodfeed(imp: Mapping[str, Any]) -> dict[str, Any] | None:
    """The product listing extension's object, of the impression or of its native object."""
    for ext in (imp.get("ext"), imp["native"].get("ext")):
        feed = ext.get("prodfeed") if ext else None
        if type(feed) is dict:
            return feed
    return None


def _name_in(ext: Mapping[str, Any]) -> str:
    """A placement's name where Prebid's clients put it: in the bidder's parameters, or as a stored request."""
    prebid = ext.get("prebid")
    bidders = prebid.get("bidder") if type(prebid) is dict else None
    parameters = [ext.get("bidder"), *(bidders.values() if type(bidders) is dict else ())]
    for one in parameters:
        if type(one) is dict and type(one.get("placement")) is str:
            return str(one["placement"])
    stored = prebid.get("storedrequest") if type(prebid) is dict else None
    name = stored.get("id") if type(stored) is dict else None
    return name if type(name) is str else ""
