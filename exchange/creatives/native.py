"""What does a native ad hold? The assets that the placement asked for, as OpenRTB Native 1.2 §5 wants them.

Texts are cut to the asked length at the border of a letter as people see it. What is asked for and not there is left
out, unless it is required: then the creative cannot run there. A script is never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec
import regex

from exchange.creatives import video
from exchange.creatives.prices import price_text
from exchange.creatives.shown import Shown
from exchange.creatives.templates import (
    CLICK_URL_MACRO,
    IMPRESSION_URL_MACRO,
    Template,
    event_macro,
    json_template,
    json_text,
)
from exchange.request import NativeTerms
from streams.product import Product

# Native 1.2 §7.3 image types, §7.4 data types; 13 is of the community extension for product listing ads.
ICON, MAIN_IMAGE = 1, 3
SPONSORED, DESCRIPTION, RATING, LIKES, DOWNLOADS, PRICE, SALE_PRICE = 1, 2, 3, 4, 5, 6, 7
MORE_DESCRIPTION, SHOWN_URL, CALL_TO_ACTION, PRODUCT_ID = 10, 11, 12, 13
# §7.6 events, §7.7 methods.
_EVENTS = {1: IMPRESSION_URL_MACRO, 2: event_macro("viewable")}
_PIXEL = 1

_GRAPHEME = regex.compile(r"\X")
_ELLIPSIS = "…"
# Attributes of a product that native ads show; the last is the price before a discount, in units.
_FROM_ATTRIBUTES: Mapping[int, str] = {RATING: "rating", LIKES: "likes", DOWNLOADS: "downloads"}
LIST_PRICE = "list_price"


class _Tracker(msgspec.Struct):
    event: int = 0
    methods: tuple[int, ...] = ()


class _Request(msgspec.Struct):
    ver: str = ""
    eventtrackers: tuple[_Tracker, ...] = ()


class _Wrapped(msgspec.Struct):
    native: _Request | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_WRAPPED = msgspec.json.Decoder(_Wrapped)
# A placement that does not say which assets it shows gets all that there are.
_EVERYTHING = NativeTerms(
    (
        (1, "title", 0, False, 0, 0, 0),
        (2, "img", MAIN_IMAGE, False, 0, 0, 0),
        (3, "img", ICON, False, 0, 0, 0),
        *(
            (number, "data", type_, False, 0, 0, 0)
            for number, type_ in enumerate(
                (SPONSORED, DESCRIPTION, CALL_TO_ACTION, PRICE, SALE_PRICE, RATING, PRODUCT_ID), start=4
            )
        ),
    )
)


def markup(shown: Shown) -> Template:
    """The native ad's markup; to be called when `missing` is empty."""
    request, wrapped = _asked(shown.native.wire if shown.native is not None else b"")
    assets = [
        {"id": asset[0]} | content
        for asset in (shown.native or _EVERYTHING).assets
        if (content := _asset(asset, shown)) is not None
    ]
    answer: dict[str, object] = {
        "ver": "1.2",
        "assets": assets,
        # The click address leads to the landing page and counts, so nothing else has to be called.
        "link": {"url": CLICK_URL_MACRO, "clicktrackers": []},
    }
    wanted = [
        {"event": tracker.event, "method": _PIXEL, "url": _EVENTS[tracker.event]}
        for tracker in request.eventtrackers
        if _PIXEL in tracker.methods and tracker.event in _EVENTS
    ]
    if wanted:
        answer["eventtrackers"] = wanted
    if not any(tracker["event"] == 1 for tracker in wanted):
        answer["imptrackers"] = [IMPRESSION_URL_MACRO]
    return json_template({"native": answer} if wrapped else answer)


def missing(shown: Shown) -> tuple[int, ...]:
    """The ids of required assets that this creative cannot fill; without terms it fits."""
    if shown.native is None:
        return ()
    return tuple(asset[0] for asset in shown.native.assets if asset[3] and _asset(asset, shown) is None)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters (0: all), never a part of a letter with its marks; what is cut ends with an ellipsis
    where one fits in.
    """
    if limit <= 0 or len(text) <= limit:
        return text
    room = limit - len(_ELLIPSIS) if limit > len(_ELLIPSIS) else limit
    kept, length = [], 0
    for found in _GRAPHEME.finditer(text):
        letter = found.group()
        if length + len(letter) > room:
            break
        kept.append(letter)
        length += len(letter)
    return "".join(kept).rstrip() + (_ELLIPSIS if limit > len(_ELLIPSIS) and length else "")


def _asset(asset: tuple[int, str, int, bool, int, int, int], shown: Shown) -> dict[str, object] | None:
    _, kind, type_, _, limit, width, height = asset
    creative, product = shown.creative, shown.product
    if kind == "title":
        text = cut(creative.title or (product.name if product else ""), limit)
        return {"title": {"text": json_text(text), "len": len(text)}} if text else None
    if kind == "img":
        if type_ == ICON:
            # Of an icon no size is known: it is a square that is scaled.
            return _image(creative.icon_url, ICON, 0, 0)
        if creative.image_url and (creative.width < width or creative.height < height):
            return None
        url = creative.image_url or (product.image_url if product and not (width or height) else "")
        return _image(url, MAIN_IMAGE, creative.width, creative.height) if type_ in (0, MAIN_IMAGE) else None
    if kind == "video":
        if not creative.video_url:
            return None
        return {"video": {"vasttag": video.markup(shown).text}}
    text = cut(_data(type_, shown), limit)
    return {"data": {"type": type_, "len": len(text), "value": json_text(text)}} if text else None


def _image(url: str, type_: int, width: int, height: int) -> dict[str, object] | None:
    if not url:
        return None
    image: dict[str, object] = {"type": type_, "url": json_text(url)}
    return {"img": image | ({"w": width, "h": height} if width and height else {})}


def _data(type_: int, shown: Shown) -> str:
    creative, product = shown.creative, shown.product
    if type_ == SPONSORED:
        return product.brand if product else shown.advertiser_domain
    if type_ in (DESCRIPTION, MORE_DESCRIPTION):
        return creative.body if type_ == DESCRIPTION else ""
    if type_ == CALL_TO_ACTION:
        return creative.call_to_action
    if type_ == SHOWN_URL:
        return shown.advertiser_domain
    if type_ == PRODUCT_ID:
        return creative.product_id
    return _live(type_, product) if product is not None else ""


def _live(type_: int, product: Product) -> str:
    """Facts of the product: with a list price, that is the price, and what it costs now is the sale price."""
    if type_ in _FROM_ATTRIBUTES:
        return product.attributes.get(_FROM_ATTRIBUTES[type_], "")
    now = price_text(product.price_micros, product.currency)
    before = product.attributes.get(LIST_PRICE, "")
    if type_ == PRICE:
        return f"{product.currency}\u00a0{before}" if before else now
    return now if type_ == SALE_PRICE and before else ""


@lru_cache(maxsize=1024)
def _asked(wire: bytes) -> tuple[_Request, bool]:
    """The request's trackers, and whether it stood in an outer node, as before Native 1.1; the answer does the same.

    What cannot be read asks for nothing beyond its assets, which were read by whoever made the terms.
    """
    try:
        wrapped = _WRAPPED.decode(wire).native if wire else None
        return (wrapped, True) if wrapped is not None else (_REQUEST.decode(wire) if wire else _Request(), False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Request(), False
