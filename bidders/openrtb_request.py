"""What is an outside bidder asked in OpenRTB 2.6? One bid request for one page view, without what it may not see.

A page view that came as OpenRTB goes on as it came; one of our own is put into the standard's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from common.consent import Permission
from common.consent_signals import ConsentSignals
from common.countries import alpha_3
from common.money import MICROS
from exchange.bidder_terms import seats_for
from exchange.openrtb.codec import from_json, to_json
from exchange.openrtb.passing_on import for_bidders
from exchange.openrtb.signals import FromConnection, signals_of
from exchange.request import Deal, Format, NativeTerms, PageView, Placement, VideoTerms

# May the visitor's ids go to the vendor of this number? common.consent_policy.ConsentPolicy.may_share_with.
MayShareWith = Callable[[ConsentSignals, int], bool]

_SHARE: Final = int(Permission.SHARE)
_NO_CONNECTION: Final = FromConnection()
# haat.common.v1.DeviceType by the numbers of AdCOM 1.0, List: Device Types.
_DEVICES: Final = {1: 4, 2: 5, 3: 2, 4: 3}
# OpenRTB Native 1.2: a product listing is context 3 with a title, the product's picture and its id (data asset 13).
_PRODUCT_CONTEXT: Final = 3
_LISTING_ASSETS: Final = (
    (1, "title", 0, True, 140, 0, 0),
    (2, "img", 3, True, 0, 0, 0),
    (3, "data", 13, False, 0, 0, 0),
)


class Asked(msgspec.Struct, frozen=True):
    """Who is asked, as far as the request goes: the bidder of this `name`.

    It bids in `currency`; floors of page views that name no currency are in `own_currency`, the exchange's. `vendor_id`
    is its number in the vendor list, 0 without one; `seats` are those it may bid for, empty any.
    """

    currency: str
    own_currency: str
    vendor_id: int
    may_share_with: MayShareWith
    seats: tuple[str, ...] = ()
    name: str = ""


def request_for(auction_id: str, view: PageView, tmax_ms: int, asked: Asked) -> bytes:
    """The JSON of one bid request; `tmax_ms` is the time that is left."""
    if view.openrtb:
        return _passed_on(auction_id, view, tmax_ms, asked)
    return to_json(_of_page_view(auction_id, view, tmax_ms, asked))


def _passed_on(auction_id: str, view: PageView, tmax_ms: int, asked: Asked) -> bytes:
    request = from_json(view.openrtb)
    currency = view.currency or asked.own_currency
    imps = [
        {**imp, "id": placement.placement_id, **(_raised(imp, placement, currency) if placement.floor_raised else {})}
        for imp, placement in zip(request["imp"], view.placements, strict=True)
    ]
    request |= {"id": auction_id, "imp": imps, "tmax": tmax_ms, "cur": [asked.currency]}
    if asked.seats:
        request.pop("bseat", None)
        request["wseat"] = list(seats_for(asked.seats, view))
    shares = _shares(view, asked) and all(
        asked.may_share_with(signals, asked.vendor_id) for signals in signals_of(request, _NO_CONNECTION)
    )
    if not shares:
        return for_bidders(request, imps, view.permissions & ~_SHARE, None)
    if buyer_id := view.buyer_id(asked.name):
        request["user"] = {**(request.get("user") or {}), "buyeruid": buyer_id}
    return to_json(request)


def _raised(imp: dict[str, Any], placement: Placement, currency: str) -> dict[str, Any]:
    """The fields of an impression whose floor the exchange has raised: what a bid is really held to. All of its floors
    are then in `currency`, as `bidfloorcur` is of all of them.
    """
    told: dict[str, Any] = {"bidfloor": placement.floor_micros / MICROS, "bidfloorcur": currency}
    terms = placement.video
    if "video" in imp and terms is not None and terms.by_length is not None:
        least = placement.floor_micros
        told["video"] = {
            **{name: held for name, held in imp["video"].items() if name not in ("mincpmpersec", "durfloors")},
            **_said(mincpmpersec=terms.least_cpm_per_second_micros / MICROS),
            **_said(durfloors=_ranges([(a, b, max(floor, least)) for a, b, floor in terms.floor_ranges])),
        }
    return told


def _ranges(ranges: Iterable[tuple[int, int, int]]) -> list[dict[str, Any]]:
    return [{"mindur": least_s, "maxdur": most_s, "bidfloor": floor / MICROS} for least_s, most_s, floor in ranges]


def _shares(view: PageView, asked: Asked) -> bool:
    return bool(view.permissions & _SHARE) and asked.name not in view.withheld_from


def _of_page_view(auction_id: str, view: PageView, tmax_ms: int, asked: Asked) -> dict[str, Any]:
    request: dict[str, Any] = {
        "id": auction_id,
        "imp": [_imp(placement, view.currency or asked.own_currency) for placement in view.placements],
        "site": _said(
            page=view.url,
            cat=list(view.categories),
            keywords=",".join(view.keywords),
            publisher=_said(id=view.publisher_id),
            ext=_said(product_id=view.product_id),
        ),
        "at": view.price_rule,
        "tmax": tmax_ms,
        "cur": [asked.currency],
        **_said(
            device=_said(
                devicetype=_DEVICES.get(view.device_type, 0),
                language=view.language,
                geo=_said(country=alpha_3(view.country)),
            ),
            user=_said(id=view.visitor_id, buyeruid=view.buyer_id(asked.name)) if _shares(view, asked) else {},
            test=int(view.test),
            bcat=_everywhere(placement.blocked_categories for placement in view.placements),
            badv=_everywhere(placement.blocked_advertisers for placement in view.placements),
            bapp=_everywhere(placement.blocked_apps for placement in view.placements),
            acat=list(view.allowed_categories),
            **_seats(view, asked.seats),
            wlang=list(view.allowed_languages),
        ),
    }
    return request


def _seats(view: PageView, own: Sequence[str]) -> dict[str, list[str]]:
    """Who may buy: of a bidder's own seats those that may, else as the page view has it. One list or the other."""
    if own:
        return {"wseat": list(seats_for(own, view))}
    if view.allowed_seats:
        return {"wseat": list(view.allowed_seats)}
    return {"bseat": list(view.blocked_seats)}


def _imp(placement: Placement, currency: str) -> dict[str, Any]:
    sizes: dict[int, list[tuple[int, int]]] = {}
    for kind, width, height in placement.shapes:
        sizes.setdefault(kind, []).append((width, height))
    attributes = _said(battr=list(placement.blocked_attributes))
    imp: dict[str, Any] = {
        "id": placement.placement_id,
        "tagid": placement.placement_id,
        "bidfloor": placement.floor_micros / MICROS,
        "bidfloorcur": currency,
        "secure": int(placement.secure),
        **_said(exp=placement.for_sale_s),
    }
    flexible = [
        {"wratio": size.width_ratio, "hratio": size.height_ratio, **_said(wmin=size.least_width)}
        for size in placement.flex_sizes
    ]
    if Format.BANNER in sizes or flexible:
        fixed = [{"w": width, "h": height} for width, height in sizes.get(Format.BANNER, ())]
        first = fixed[0] if len(fixed) == 1 and not flexible else {}
        imp["banner"] = {**first, "format": fixed + flexible, **attributes}
    if Format.VIDEO in sizes:
        imp["video"] = _video(placement.video or VideoTerms(), sizes[Format.VIDEO][0]) | attributes
    if Format.NATIVE in sizes or Format.PRODUCT_LISTING in sizes:
        listing = Format.PRODUCT_LISTING in sizes
        imp["native"] = {"ver": "1.2", "request": _native(placement.native, listing), **attributes}
        if listing:
            imp["ext"] = {"prodfeed": {}}
    if placement.deals:
        imp["pmp"] = {
            "private_auction": int(placement.private_auction),
            "deals": [_deal(deal, currency) for deal in placement.deals],
        }
    return imp


def _video(terms: VideoTerms, size: tuple[int, int]) -> dict[str, Any]:
    # A slot of a dynamic pod has a place in it; the pod's time is shared out among the slots by the exchange.
    most_s = terms.most_duration_s or (0 if terms.required_durations_s else terms.pod_duration_s)
    return {
        "mimes": list(terms.mimes) or ["video/mp4"],
        **_said(
            w=size[0],
            h=size[1],
            minduration=terms.least_duration_s,
            maxduration=min(most_s, terms.pod_duration_s or most_s),
            rqddurs=list(terms.required_durations_s),
            protocols=list(terms.protocols),
            podid=terms.pod_id,
            podseq=terms.pod_sequence,
            slotinpod=terms.slot_in_pod,
            mincpmpersec=terms.least_cpm_per_second_micros / MICROS,
            durfloors=_ranges(terms.floor_ranges),
        ),
        **({} if terms.skippable < 0 else {"skip": terms.skippable}),
    }


def _native(terms: NativeTerms | None, listing: bool) -> str:
    if terms is not None and terms.wire:
        return terms.wire.decode("utf-8", "replace")
    assets = terms.assets if terms is not None and terms.assets else _LISTING_ASSETS
    request: dict[str, Any] = {"ver": "1.2", "assets": [_asset(*asset) for asset in assets]}
    if listing:
        request["context"] = _PRODUCT_CONTEXT
    return msgspec.json.encode(request).decode()


def _asset(number: int, kind: str, type_: int, required: bool, limit: int, width: int, height: int) -> dict[str, Any]:
    held: dict[str, Any]
    if kind == "title":
        held = {"len": limit or 140}
    elif kind == "img":
        held = _said(type=type_, wmin=width, hmin=height)
    elif kind == "video":
        held = {"mimes": ["video/mp4"], "minduration": 0, "maxduration": 3_600, "protocols": [2, 3, 7, 8]}
    else:
        held = {"type": type_, **_said(len=limit)}
    return {"id": number, "required": int(required), kind: held}


def _deal(deal: Deal, currency: str) -> dict[str, Any]:
    return {
        "id": deal.deal_id,
        "bidfloor": deal.floor_micros / MICROS,
        "bidfloorcur": currency,
        **_said(
            at=deal.price_rule,
            wseat=list(deal.seats),
            wadomain=list(deal.advertiser_domains),
            guar=int(deal.guaranteed),
        ),
    }


def _everywhere(lists: Iterable[Sequence[str]]) -> list[str]:
    """What every placement blocks: the standard has these lists for the whole request, and one too many is no bid."""
    first, *others = [dict.fromkeys(words) for words in lists]
    return [word for word in first if all(word in other for other in others)]


def _said(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: held for name, held in fields.items() if held}
