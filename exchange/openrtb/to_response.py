"""What does the seller get? Answers of auctions as bid responses of OpenRTB 2.6 §4.2.

Prices are per thousand impressions, whatever the pricing model of the bid, and are whole micros: divided by a million
they are floats whose shortest form is exact. A client of Prebid's kind wants its own seat back and 200 without bids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from common.money import MICROS
from exchange.answer import Ad, Answer
from exchange.openrtb.floors import Rates
from exchange.openrtb.native_listing import as_native
from exchange.openrtb.non_bids import NoBid, status_of
from exchange.openrtb.placements import NotOffered
from exchange.openrtb.pods import pods_in_words
from exchange.openrtb.problems import Problem
from exchange.openrtb.to_page_view import Asked
from exchange.request import Format, Placement, PricingModel

# Whose bid it is where an unsold impression has no bidder of its own, and the name that Prebid's clients know us by.
OUR_SEAT: Final = "haat"
# OpenRTB 2.6 §4.2.3 `mtype`, with Prebid's name for it. A product listing is sold as a native ad.
_MARKUP_TYPE: Final = {
    Format.BANNER: (1, "banner"),
    Format.VIDEO: (2, "video"),
    Format.NATIVE: (4, "native"),
    Format.PRODUCT_LISTING: (4, "native"),
}
# nurl, burl and lurl of an ad, by name, those that there are; told whether a browser asked, as Prebid's clients are.
Links = Callable[[Ad, bool], Mapping[str, str]]


class Dialect(msgspec.Struct, frozen=True):
    """How this caller wants to be answered: as a client of Prebid's, and with warnings where it asked for them."""

    prebid: bool = False
    explains: bool = False


def no_links(_ad: Ad, _from_browser: bool) -> Mapping[str, str]:
    """An exchange that is told of wins otherwise."""
    return {}


def dialect_of(request: Mapping[str, Any]) -> Dialect:
    """What kind of client sent this request."""
    prebid = (request.get("ext") or {}).get("prebid")
    debug = type(prebid) is dict and bool(prebid.get("debug"))
    return Dialect(prebid=prebid is not None, explains=debug or bool(request.get("test")))


def to_response(
    request: Mapping[str, Any],
    asked: Asked,
    answer: Answer,
    *,
    ours: str,
    currency: str,
    rates: Rates,
    links: Links,
    dialect: Dialect,
    took_ms: int,
    warnings: list[Problem],
) -> dict[str, Any]:
    """The response to a request whose auction was held; without `seatbid`, and with `nbr`, when nothing was sold."""
    seats: dict[str, list[dict[str, Any]]] = {}
    unsold: dict[str, list[dict[str, Any]]] = {}
    for imp, places in zip(request["imp"], asked.placements_of, strict=True):
        asked_seat = _asked_seat(imp) if dialect.prebid else ""
        sold: list[tuple[Placement, Ad]] = []
        if isinstance(places, NotOffered):
            status = int(places)
        else:
            assert asked.view is not None
            answers = [answer.placements[at] for at in places]
            status = status_of(answers[0].no_ad_reason)
            slots = asked.view.placements[places.start : places.stop]
            sold = [(slot, placed.ad) for slot, placed in zip(slots, answers, strict=True) if placed.ad is not None]
        if not sold:
            unsold.setdefault(asked_seat or OUR_SEAT, []).append({"impid": imp["id"], "statuscode": status})
        for slot, ad in sold:
            price = rates.convert(ad.worth_micros, ours, currency, up=False)
            assert price is not None, "the currency of an answer has a rate"
            seat = asked_seat or ad.facts.advertiser_id or ad.bidder
            seats.setdefault(seat, []).append(_bid(ad, imp, slot, price, links, dialect.prebid))
    response: dict[str, Any] = {"id": request["id"], "cur": currency, "bidid": answer.auction_id}
    if seats or dialect.prebid:
        response["seatbid"] = [{"seat": seat, "bid": bids} for seat, bids in seats.items()]
    if not seats:
        response["nbr"] = int(NoBid.NOTHING_SOLD)
    response["ext"] = _ext(request, seats, unsold, dialect, took_ms, warnings)
    if pods := pods_in_words(answer):
        response["ext"]["haat"] = {"pods": pods}
    return response


def no_bid(
    request: Mapping[str, Any], reason: NoBid, dialect: Dialect, took_ms: int, warnings: list[Problem]
) -> dict[str, Any]:
    """The response to a request for which no auction was held."""
    status = {
        NoBid.NO_FORMAT: int(NotOffered.UNSUPPORTED_FORMAT),
        NoBid.NO_CURRENCY: int(NotOffered.UNSUPPORTED_CURRENCY),
    }.get(reason, 100)
    unsold: dict[str, list[dict[str, Any]]] = {}
    for imp in request["imp"]:
        seat = (_asked_seat(imp) if dialect.prebid else "") or OUR_SEAT
        unsold.setdefault(seat, []).append({"impid": imp["id"], "statuscode": status})
    response: dict[str, Any] = {"id": request["id"], "nbr": int(reason)}
    if dialect.prebid:
        response["seatbid"] = []
    response["ext"] = _ext(request, {}, unsold, dialect, took_ms, warnings)
    return response


def _bid(
    ad: Ad, imp: Mapping[str, Any], placement: Placement, price_micros: int, links: Links, prebid: bool
) -> dict[str, Any]:
    facts, markup = ad.facts, ad.markup
    if placement.native is not None and facts.format == Format.PRODUCT_LISTING:
        markup = as_native(markup, placement.native)
    markup_type, prebid_name = _MARKUP_TYPE[Format(facts.format)]
    bid: dict[str, Any] = {
        "id": ad.impression_id,
        "impid": imp["id"],
        "price": price_micros / MICROS,
        "adm": markup,
        "mtype": markup_type,
        "adomain": [facts.advertiser_domain],
        "crid": facts.creative_id,
    }
    if facts.line_item_id:
        bid["cid"] = facts.line_item_id
    if facts.width and facts.height:
        bid["w"], bid["h"] = facts.width, facts.height
    if placement.for_sale_s:
        bid["exp"] = placement.for_sale_s
    if facts.duration_s:
        bid["dur"] = facts.duration_s
    if placement.video is not None and placement.video.pod_id:
        bid["slotinpod"] = placement.video.slot_in_pod
    if ad.deal_id:
        bid["dealid"] = ad.deal_id
    told = links(ad, prebid)
    bid.update(told)
    ext: dict[str, Any] = {}
    if facts.pricing_model != PricingModel.CPM:
        # What the price is for where it is not for a thousand impressions: the bid's `price` is then expected.
        ext["haat"] = {"pricing_model": facts.pricing_model, "price_micros": ad.price_micros}
    if prebid:
        ext["prebid"] = {"type": prebid_name, "meta": {"advertiserDomains": [facts.advertiser_domain]}}
        if facts.format == Format.VIDEO and "nurl" in told:
            # Prebid's clients take no instream video without a key of a cache; ours serves it under the bid's id.
            ext["prebid"]["cache"] = {"vastXml": {"url": told["nurl"], "cacheId": ad.impression_id}}
    if ext:
        bid["ext"] = ext
    return bid


def _ext(
    request: Mapping[str, Any],
    seats: Mapping[str, object],
    unsold: Mapping[str, list[dict[str, Any]]],
    dialect: Dialect,
    took_ms: int,
    warnings: list[Problem],
) -> dict[str, Any]:
    ext: dict[str, Any] = {}
    if unsold:
        ext["seatnonbid"] = [{"seat": seat, "nonbid": nonbids} for seat, nonbids in unsold.items()]
    ext["responsetimemillis"] = dict.fromkeys(seats or unsold, took_ms)
    if dialect.prebid:
        ext["tmaxrequest"] = request.get("tmax", 0)
    if dialect.explains and warnings:
        ext["warnings"] = {
            "general": [
                {"code": 10_000, "message": f"{one.path}: {one.value}: {one.remedy} (§{one.section})"}
                for one in warnings
            ]
        }
    return ext


def _asked_seat(imp: Mapping[str, Any]) -> str:
    """The seat that a Prebid client asked by name, which is the only one it knows: ours where it is among them."""
    prebid = (imp.get("ext") or {}).get("prebid")
    bidders = prebid.get("bidder") if type(prebid) is dict else None
    if type(bidders) is not dict or not bidders:
        return ""
    return OUR_SEAT if OUR_SEAT in bidders else str(next(iter(bidders)))
