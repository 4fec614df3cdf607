"""Does an impression keep the rules? OpenRTB 2.6 §3.2.4 to §3.2.12, and the parts of it that carry money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.money import ABSURD_PRICE_MICROS, MICROS, is_currency
from exchange.openrtb.native_validation import read_native
from exchange.openrtb.problems import Problems
from exchange.request import PriceRule

ID_LIMIT: Final = 255
SIDE_LIMIT_PX: Final = 10_000
SIZES_LIMIT: Final = 64
DEALS_LIMIT: Final = 64
DURATION_LIMIT_S: Final = 86_400
_EXP_LIMIT_S: Final = 30 * 86_400
_MONEY_LIMIT: Final = ABSURD_PRICE_MICROS // MICROS
_FORMATS: Final = ("banner", "video", "audio", "native")
_DEAL_AUCTIONS: Final = (*PriceRule,)
_MULTIPLIER_LIMIT: Final = 1_000_000


def check_imp(imp: Mapping[str, Any], path: str, problems: Problems) -> None:
    """All that is wrong with one impression goes into `problems`."""
    imp_id = imp.get("id")
    if not imp_id or len(imp_id) > ID_LIMIT:
        problems.error(f"{path}.id", imp_id, f"name the impression in 1 to {ID_LIMIT} characters", "3.2.4")
    if not any(name in imp for name in _FORMATS):
        problems.error(path, "without a format", "give at least one of banner, video, audio and native", "3.2.4")
    _floor(imp, path, "3.2.4", problems)
    if not 0 <= imp.get("exp", 0) <= _EXP_LIMIT_S:
        problems.error(f"{path}.exp", imp["exp"], f"give 0 to {_EXP_LIMIT_S} s", "3.2.4")
    if imp.get("dt", 0) < 0:
        problems.error(f"{path}.dt", imp["dt"], "give milliseconds since 1970", "3.2.4")
    if "qty" in imp and not 0 < imp["qty"].get("multiplier", 0) <= _MULTIPLIER_LIMIT:
        multiplier = imp["qty"].get("multiplier")
        problems.error(f"{path}.qty.multiplier", multiplier, f"give above 0 to {_MULTIPLIER_LIMIT}", "3.2.31")
    for index, metric in enumerate(imp.get("metric") or ()):
        if not metric.get("type"):
            problems.error(f"{path}.metric[{index}].type", None, "name the metric", "3.2.5")
    if "banner" in imp:
        _banner(imp["banner"], f"{path}.banner", problems)
    if "video" in imp:
        _video(imp["video"], f"{path}.video", problems)
    if "audio" in imp:
        _timed(imp["audio"], f"{path}.audio", "3.2.8", problems)
    if "native" in imp:
        _native(imp["native"], f"{path}.native", problems)
    if "pmp" in imp:
        _pmp(imp["pmp"], f"{path}.pmp", problems)


def _floor(held: Mapping[str, Any], path: str, section: str, problems: Problems) -> None:
    if not 0 <= held.get("bidfloor", 0) <= _MONEY_LIMIT:
        problems.error(f"{path}.bidfloor", held["bidfloor"], f"give 0 to {_MONEY_LIMIT} for a thousand", section)
    if "bidfloorcur" in held and not is_currency(held["bidfloorcur"]):
        remedy = "give an ISO 4217 code in capitals, such as EUR"
        problems.error(f"{path}.bidfloorcur", held["bidfloorcur"], remedy, section)


def _banner(banner: Mapping[str, Any], path: str, problems: Problems) -> None:
    formats = banner.get("format") or ()
    if len(formats) > SIZES_LIMIT:
        problems.error(f"{path}.format", f"{len(formats)} of them", f"give at most {SIZES_LIMIT}", "3.2.6")
    for index, size in enumerate(formats[:SIZES_LIMIT]):
        _format(size, f"{path}.format[{index}]", problems)
    if "w" in banner or "h" in banner:
        _sides(banner, path, "3.2.6", problems)
    elif not formats:
        problems.error(path, "without a size", "give format, or w and h", "3.2.6")


def _format(size: Mapping[str, Any], path: str, problems: Problems) -> None:
    fixed = "w" in size or "h" in size
    flexible = any(name in size for name in ("wratio", "hratio", "wmin"))
    if fixed and flexible:
        problems.error(path, "a fixed size and a ratio", "give w and h, or wratio, hratio and wmin", "3.2.10")
    elif fixed:
        _sides(size, path, "3.2.10", problems)
    elif not flexible:
        problems.error(path, "without a size", "give w and h, or wratio, hratio and wmin", "3.2.10")
    else:
        for name in ("wratio", "hratio"):
            if not 0 < size.get(name, 0) <= SIDE_LIMIT_PX:
                problems.error(f"{path}.{name}", size.get(name), f"give 1 to {SIDE_LIMIT_PX}", "3.2.10")
        if not 0 <= size.get("wmin", 0) <= SIDE_LIMIT_PX:
            problems.error(f"{path}.wmin", size["wmin"], f"give 0 to {SIDE_LIMIT_PX} pixels", "3.2.10")


def _sides(held: Mapping[str, Any], path: str, section: str, problems: Problems) -> None:
    for name in ("w", "h"):
        if not 0 < held.get(name, 0) <= SIDE_LIMIT_PX:
            problems.error(f"{path}.{name}", held.get(name), f"give 1 to {SIDE_LIMIT_PX} pixels", section)


def _video(video: Mapping[str, Any], path: str, problems: Problems) -> None:
    if "w" in video or "h" in video:
        _sides(video, path, "3.2.7", problems)
    for name in ("skipmin", "skipafter"):
        if not 0 <= video.get(name, 0) <= DURATION_LIMIT_S:
            problems.error(f"{path}.{name}", video[name], f"give 0 to {DURATION_LIMIT_S}", "3.2.7")
    _timed(video, path, "3.2.7", problems)


def _timed(held: Mapping[str, Any], path: str, section: str, problems: Problems) -> None:
    """Video and audio: what lasts some seconds."""
    if not held.get("mimes") or not all(held["mimes"]):
        problems.error(f"{path}.mimes", held.get("mimes"), "name the MIME types that can be played", section)
    for name in ("minduration", "maxduration", "poddur", "minbitrate", "maxbitrate"):
        limit = DURATION_LIMIT_S if "bitrate" not in name else 1_000_000
        if not 0 <= held.get(name, 0) <= limit:
            problems.error(f"{path}.{name}", held[name], f"give 0 to {limit}", section)
    least, most = held.get("minduration", 0), held.get("maxduration", 0)
    if 0 < most < least:
        problems.error(f"{path}.minduration", least, f"give at most maxduration, which is {most}", section)
    if required := held.get("rqddurs"):
        if "minduration" in held or "maxduration" in held:
            remedy = "give rqddurs, or minduration and maxduration, not both"
            problems.error(f"{path}.rqddurs", "together with minduration or maxduration", remedy, section)
        for index, seconds in enumerate(required):
            if not 0 < seconds <= DURATION_LIMIT_S:
                problems.error(f"{path}.rqddurs[{index}]", seconds, f"give 1 to {DURATION_LIMIT_S} s", section)
    if not 0 <= held.get("maxseq", 0) <= 256:
        problems.error(f"{path}.maxseq", held["maxseq"], "give 0 to 256 ads", section)
    if "maxseq" in held and "poddur" not in held:
        remedy = "give the pod's poddur too: maxseq is of pods whose slots are not fixed"
        problems.warn(f"{path}.maxseq", held["maxseq"], remedy, section)
    _per_second(held, path, section, problems)


def _per_second(held: Mapping[str, Any], path: str, section: str, problems: Problems) -> None:
    """Floors that go by length; one kind of them at most."""
    if not 0 <= held.get("mincpmpersec", 0) <= _MONEY_LIMIT:
        problems.error(f"{path}.mincpmpersec", held["mincpmpersec"], f"give 0 to {_MONEY_LIMIT}", section)
    floors = held.get("durfloors") or ()
    if floors and "mincpmpersec" in held:
        problems.error(f"{path}.durfloors", "together with mincpmpersec", "give one of the two", "3.2.35")
    for index, floor in enumerate(floors):
        at = f"{path}.durfloors[{index}]"
        _floor(floor, at, "3.2.35", problems)
        least, most = floor.get("mindur", 0), floor.get("maxdur", DURATION_LIMIT_S)
        if not 0 <= least <= most <= DURATION_LIMIT_S:
            remedy = f"give mindur and maxdur in order, within 0..{DURATION_LIMIT_S} s"
            problems.error(at, f"{least} to {most}", remedy, "3.2.35")


def _native(native: Mapping[str, Any], path: str, problems: Problems) -> None:
    text = native.get("request")
    if not text:
        problems.error(f"{path}.request", text, "give the native request as text in JSON", "3.2.9")
        return
    for problem in read_native(text).problems:
        at = f"{path}.request.{problem.path}" if problem.path else f"{path}.request"
        problems.error(at, problem.value, problem.remedy, problem.section)


def _pmp(pmp: Mapping[str, Any], path: str, problems: Problems) -> None:
    deals = pmp.get("deals") or ()
    if len(deals) > DEALS_LIMIT:
        problems.error(f"{path}.deals", f"{len(deals)} of them", f"give at most {DEALS_LIMIT}", "3.2.11")
    if pmp.get("private_auction") and not deals:
        problems.warn(f"{path}.deals", None, "a private auction without deals is sold to nobody", "3.2.11")
    seen: set[str] = set()
    for index, deal in enumerate(deals[:DEALS_LIMIT]):
        at = f"{path}.deals[{index}]"
        deal_id = deal.get("id")
        if not deal_id or len(deal_id) > ID_LIMIT:
            problems.error(f"{at}.id", deal_id, f"name the deal in 1 to {ID_LIMIT} characters", "3.2.12")
        elif deal_id in seen:
            problems.error(f"{at}.id", deal_id, "give each deal of an impression once", "3.2.12")
        seen.add(deal_id or "")
        _floor(deal, at, "3.2.12", problems)
        _per_second(deal, at, "3.2.12", problems)
        if "at" in deal and deal["at"] not in _DEAL_AUCTIONS:
            remedy = "give 1 (first price), 2 (second price plus), 3 (the floor is the price), 501 or 502"
            problems.error(f"{at}.at", deal["at"], remedy, "3.2.12")
        if "guar" in deal and deal["guar"] not in (0, 1):
            problems.error(f"{at}.guar", deal["guar"], "give 0 or 1", "3.2.12")
