"""Which page view does a bid request ask for? A valid request of OpenRTB 2.6 becomes exchange.request.PageView."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from common.consent import Permission
from common.countries import alpha_2
from exchange.creatives.pods import slots_of_all
from exchange.openrtb.allowed_currencies import bid_currencies
from exchange.openrtb.buyer_ids import Sharing, buyer_ids, withheld_from
from exchange.openrtb.floors import Rates
from exchange.openrtb.log_record import log_record
from exchange.openrtb.passing_on import for_bidders
from exchange.openrtb.placements import ID_LIMIT, Blocks, NotOffered, digest_of, placement_ids, read_placement
from exchange.openrtb.pods import imp_of_slot
from exchange.openrtb.sessions import session_of
from exchange.openrtb.signals import Consent, FromConnection, permissions_of, signals_of
from exchange.request import PageView, Placement, PriceRule
from exchange.supply_chain import OurNode, with_our_node

URL_LIMIT: Final = 2_048
WORD_LIMIT: Final = 64
_CATEGORIES_LIMIT: Final = 32
_KEYWORDS_LIMIT: Final = 64
_SEGMENTS_LIMIT: Final = 32
_TMAX_LIMIT_MS: Final = 10_000
# An auction of ours is held within a few milliseconds; less time than this is none.
_LEAST_TMAX_MS: Final = 5
_REMEMBER, _PERSONALISE = int(Permission.REMEMBER), int(Permission.PERSONALISE_ADS)
# AdCOM 1.0, List: Device Types, by the numbers of haat.common.v1.DeviceType.
_DEVICES: Final = {1: 1, 2: 3, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4}


class Terms(msgspec.Struct, frozen=True):
    """What the exchange has settled: its currency, the time it takes by default, what the network takes of `tmax`, its
    link in supply chains (None: it adds none), whether outside bidders want the request itself, and with whom of them
    ids of the visitor may be shared.
    """

    currency: str
    tmax_ms: int
    network_ms: int = 0
    node: OurNode | None = None
    passes_on: bool = False
    sharing: Sharing = Sharing()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A page view and how it came from the request: `placements_of[imp]` are its placements, of which a dynamic pod has
    one for each slot and all else has one, or NotOffered.
    """

    view: PageView | None
    placements_of: tuple[range | NotOffered, ...]


def to_page_view(
    request: Mapping[str, Any],
    *,
    tenant_id: str,
    connection: FromConnection,
    terms: Terms,
    rates: Rates,
    consent: Consent,
    now_ms: int,
) -> Asked:
    """The page view of a valid request; without one when none of its impressions can be offered."""
    imps: list[dict[str, Any]] = request["imp"]
    blocks = Blocks(
        _lower(request.get("bcat") or ()), _lower(request.get("badv") or ()), tuple(request.get("bapp") or ())
    )
    read = [
        read_placement(imp, name, blocks, rates, terms.currency)
        for imp, name in zip(imps, placement_ids(imps), strict=True)
    ]
    slots_by_offer = iter(slots_of_all([found for found in read if not isinstance(found, NotOffered)]))
    placements: list[Placement] = []
    offered: list[dict[str, Any]] = []
    placements_of: list[range | NotOffered] = []
    for imp, found in zip(imps, read, strict=True):
        if isinstance(found, NotOffered):
            placements_of.append(found)
            continue
        slots = next(slots_by_offer)
        placements_of.append(range(len(placements), len(placements) + len(slots)))
        placements += slots
        offered += [imp] if len(slots) == 1 else [imp_of_slot(imp, slot) for slot in slots]
    if not placements:
        return Asked(None, tuple(placements_of))

    signals = signals_of(request, connection)
    permissions = permissions_of(signals, consent)
    withheld = withheld_from(signals, permissions, terms.sharing)
    user, device = request.get("user") or {}, request.get("device") or {}
    site, app = request.get("site"), request.get("app")
    # A screen has keywords and content, and neither an address nor categories of its own.
    channel: Mapping[str, Any] = site or app or {}
    shown_on: Mapping[str, Any] = channel or request.get("dooh") or {}
    url = (site.get("page") if site else app.get("storeurl") if app else "") or ""
    content = shown_on.get("content") or {}
    geo = device.get("geo") or user.get("geo") or {}
    remembers = permissions & _REMEMBER
    request_id = request["id"]
    view = PageView(
        request_id=request_id if len(request_id) <= ID_LIMIT else digest_of(request_id),
        session_id=session_of(user, permissions),
        visitor_id=_visitor_id(user, device) if remembers else "",
        segments=_segments(user) if remembers and permissions & _PERSONALISE else (),
        affinities=(),
        permissions=permissions,
        url=url[:URL_LIMIT],
        categories=_categories(channel, content),
        keywords=_keywords(shown_on.get("keywords") or "", channel.get("kwarray") or (), content),
        product_id="",
        device_type=_DEVICES.get(device.get("devicetype", 0), 0),
        country=alpha_2(geo.get("country")),
        language=(device.get("language") or device.get("langb") or "").partition("-")[0].lower()[:WORD_LIMIT],
        placements=tuple(placements),
        price_rule=request.get("at", int(PriceRule.SECOND_PRICE)),
        tmax_ms=_time_left_ms(request.get("tmax", 0), terms),
        viewed_at_ms=now_ms,
        publisher_id=tenant_id,
        test=bool(request.get("test")),
        allowed_seats=tuple(request.get("wseat") or ()),
        blocked_seats=tuple(request.get("bseat") or ()),
        allowed_languages=_languages(request),
        allowed_categories=_lower(request.get("acat") or ()),
        buyer_ids=buyer_ids(user, connection.uids, permissions, terms.sharing, withheld, now_ms),
        withheld_from=withheld,
        currencies=bid_currencies(request, terms.currency, rates),
        openrtb=_passed_on(request, offered, permissions, terms, tenant_id, connection) if terms.passes_on else b"",
    )
    return Asked(msgspec.structs.replace(view, wire=log_record(view, terms.currency)), tuple(placements_of))


def _passed_on(
    request: Mapping[str, Any],
    imps: list[dict[str, Any]],
    permissions: int,
    terms: Terms,
    tenant_id: str,
    connection: FromConnection,
) -> bytes:
    upstream = (request.get("source") or {}).get("schain")
    if terms.node is not None:
        upstream = with_our_node(upstream, terms.node.link(tenant_id, request["id"]))
    device = dict(request.get("device") or {})
    if connection.ip and "ip" not in device and "ipv6" not in device:
        device["ipv6" if ":" in connection.ip else "ip"] = connection.ip
    if connection.user_agent and "ua" not in device:
        device["ua"] = connection.user_agent
    return for_bidders({**request, "device": device} if device else request, imps, permissions, upstream)


def _time_left_ms(tmax_ms: int, terms: Terms) -> int:
    """OpenRTB's `tmax` is the whole time, with the way there and back (§3.2.1)."""
    if not tmax_ms:
        return terms.tmax_ms
    return min(max(tmax_ms - terms.network_ms, _LEAST_TMAX_MS), _TMAX_LIMIT_MS)


def _visitor_id(user: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    """The id that the storefront gave the visitor; without one the first extended id, or the device's for ads."""
    said = user.get("buyeruid") or user.get("id")
    if not said:
        eids = user.get("eids")
        said = eids[0]["uids"][0]["id"] if eids else ""
    if not said and not device.get("lmt"):
        said = device.get("ifa")
    if not said:
        return ""
    return said if len(said) <= ID_LIMIT else digest_of(said)


def _segments(user: Mapping[str, Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for data in user.get("data") or ():
        name = data.get("name") or data.get("id")
        if name:
            for segment in data.get("segment") or ():
                value = segment.get("value") or segment.get("id")
                if value and len(name) + len(value) < WORD_LIMIT:
                    found[f"{name}={value}"] = None
    return tuple(list(found)[:_SEGMENTS_LIMIT])


def _categories(channel: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[str, ...]:
    said = chain(
        channel.get("cat") or (),
        channel.get("sectioncat") or (),
        channel.get("pagecat") or (),
        content.get("cat") or (),
    )
    return _words(said, _CATEGORIES_LIMIT)


def _keywords(text: str, words: Iterable[str], content: Mapping[str, Any]) -> tuple[str, ...]:
    said = chain(
        text.split(","),
        words,
        (content.get("keywords") or "").split(","),
        content.get("kwarray") or (),
    )
    return _words(said, _KEYWORDS_LIMIT)


def _words(said: Iterable[str], limit: int) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for word in said:
        if word and len(word) <= WORD_LIMIT:
            found[word.strip().lower()] = None
            if len(found) > limit:
                break
    found.pop("", None)
    return tuple(list(found)[:limit])


def _languages(request: Mapping[str, Any]) -> tuple[str, ...]:
    said = request.get("wlang") or request.get("wlangb") or ()
    return tuple(dict.fromkeys(word.partition("-")[0].lower() for word in said if word))


def _lower(words: Iterable[str]) -> tuple[str, ...]:
    return tuple([word.lower() for word in words if word])
