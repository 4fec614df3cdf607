"""What does a native request ask for, and is it whole? IAB Native 1.2 §4, sent as text in JSON within OpenRTB.

Shops send the same few texts again and again, so what was read of one is remembered, problems and all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from exchange.openrtb.codec import from_json
from exchange.openrtb.problems import InvalidRequest, Problem, Problems
from exchange.openrtb.structure import check_structure
from exchange.request import NativeTerms

ASSETS_LIMIT: Final = 64
TEXT_LIMIT: Final = 32_768
# AdCOM's context type "product": the placement stands among products (Native 1.2 §7.1).
PRODUCT_CONTEXT: Final = 3
_KINDS: Final = ("title", "img", "video", "data")
_SIDE_LIMIT_PX: Final = 10_000
_LENGTH_LIMIT: Final = 10_000
# Longer texts than usual are read each time, so that what is remembered stays small.
_REMEMBERED_CHARS: Final = 4_096


class NativeRequest(msgspec.Struct, frozen=True):
    """A native request that was read: what it asks for, and all that is wrong with it, by paths within the text."""

    terms: NativeTerms
    context: int = 0
    prodfeed: bool = False
    problems: tuple[Problem, ...] = ()


def read_native(text: str) -> NativeRequest:
    """The native request in `text`; with `problems`, nothing else of it may be relied on."""
    return _remembered(text) if len(text) <= _REMEMBERED_CHARS else _read(text)


def _read(text: str) -> NativeRequest:
    nothing = NativeTerms()
    if len(text) > TEXT_LIMIT:
        remedy = f"give at most {TEXT_LIMIT}"
        return NativeRequest(nothing, problems=(Problem("", f"{len(text)} characters", remedy, "Native 4.1"),))
    try:
        request = from_json(text.encode("utf-8", "surrogatepass"))
    except InvalidRequest as error:
        return NativeRequest(nothing, problems=error.problems)
    # Version 1.0 had a node around it.
    if "assets" not in request and type(request.get("native")) is dict:
        request = request["native"]
    problems = Problems()
    check_structure(request, "NativeRequest", "", problems)
    problems.look_closer()
    assets = request.get("assets") or ()
    if not 0 < len(assets) <= ASSETS_LIMIT:
        problems.error("assets", f"{len(assets)} of them", f"ask for 1 to {ASSETS_LIMIT} assets", "Native 4.1")
    seen: set[int] = set()
    for index, asset in enumerate(assets[:ASSETS_LIMIT]):
        _check_asset(asset, f"assets[{index}]", seen, problems)
    for index, tracker in enumerate(request.get("eventtrackers") or ()):
        at = f"eventtrackers[{index}]"
        if "event" not in tracker:
            problems.error(f"{at}.event", None, "say which event: 1 is an impression", "Native 4.7")
        if not tracker.get("methods"):
            problems.error(f"{at}.methods", None, "say how: 1 is a pixel, 2 a script", "Native 4.7")
    if problems.errors:
        return NativeRequest(nothing, problems=tuple(problems.errors))
    return NativeRequest(
        NativeTerms(tuple(_asset(asset) for asset in assets), text.encode()),
        request.get("context", 0),
        "prodfeed" in (request.get("ext") or ()),
    )


_remembered = lru_cache(maxsize=1_024)(_read)


def _check_asset(asset: dict[str, Any], path: str, seen: set[int], problems: Problems) -> None:
    if "id" not in asset:
        problems.error(f"{path}.id", None, "number the asset: the answer names it so", "Native 4.2")
    elif asset["id"] in seen:
        problems.error(f"{path}.id", asset["id"], "give each asset a number of its own", "Native 4.2")
    else:
        seen.add(asset["id"])
    kinds = [kind for kind in _KINDS if kind in asset]
    if len(kinds) != 1:
        said = " and ".join(kinds) or None
        problems.error(path, said, "give exactly one of title, img, video and data", "Native 4.2")
    if "title" in asset and not 0 < asset["title"].get("len", 0) <= _LENGTH_LIMIT:
        problems.error(f"{path}.title.len", asset["title"].get("len"), f"give 1 to {_LENGTH_LIMIT}", "Native 4.3")
    for name in ("w", "h", "wmin", "hmin"):
        if not 0 <= asset.get("img", {}).get(name, 0) <= _SIDE_LIMIT_PX:
            problems.error(f"{path}.img.{name}", asset["img"][name], f"give 0 to {_SIDE_LIMIT_PX}", "Native 4.4")
    if "data" in asset:
        if asset["data"].get("type", 0) <= 0:
            problems.error(f"{path}.data.type", asset["data"].get("type"), "give a type: 1 is sponsored", "Native 4.6")
        if not 0 <= asset["data"].get("len", 0) <= _LENGTH_LIMIT:
            problems.error(f"{path}.data.len", asset["data"]["len"], f"give 0 to {_LENGTH_LIMIT}", "Native 4.6")
    if "video" in asset:
        for name in ("mimes", "minduration", "maxduration", "protocols"):
            if not asset["video"].get(name) and asset["video"].get(name) != 0:
                problems.error(f"{path}.video.{name}", asset["video"].get(name), "give it", "Native 4.5")


def _asset(asset: dict[str, Any]) -> tuple[int, str, int, bool, int, int, int]:
    kind = next(name for name in _KINDS if name in asset)
    held = asset[kind]
    width = held.get("wmin") or held.get("w") or 0
    height = held.get("hmin") or held.get("h") or 0
    type_ = held.get("type", 0) if kind in ("img", "data") else 0
    return (asset["id"], kind, type_, bool(asset.get("required")), held.get("len", 0), width, height)
