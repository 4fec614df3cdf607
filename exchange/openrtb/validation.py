"""Does a bid request keep the rules of OpenRTB 2.6? Every breach is named at once, with its path and section.

The request has passed `check_structure`: fields have their kinds and arrays their bounds. Enumerations are open, as the
standard asks (§2.3): an unknown value is no error unless the auction could not be held by it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from common.money import is_currency
from exchange.openrtb import imp_validation
from exchange.openrtb.problems import Problems
from exchange.openrtb.sessions import check_session
from exchange.openrtb.structure import check_structure
from exchange.request import PriceRule
from exchange.supply_chain import check_chain

IMPS_LIMIT: Final = 32
ID_LIMIT: Final = 255
TMAX_LIMIT_MS: Final = 60_000
_AUCTIONS: Final = (
    PriceRule.FIRST_PRICE,
    PriceRule.SECOND_PRICE,
    PriceRule.QUALITY_WEIGHTED_GSP,
    PriceRule.VCG,
)
_US_PRIVACY: Final = re.compile(r"1[YNyn-]{3}")
_EXCLUSIVE: Final = (("wseat", "bseat"), ("wlang", "wlangb"), ("acat", "bcat"))
# GPP's section of the European TCF.
_TCF_EU: Final = 2


def validate(request: dict[str, Any], problems: Problems) -> None:
    """All that is wrong with a request of 2.6 goes into `problems`."""
    check_structure(request, "BidRequest", "", problems)
    problems.look_closer()
    _top(request, problems)
    imps = request.get("imp") or ()
    seen: set[str] = set()
    for index, imp in enumerate(imps[:IMPS_LIMIT]):
        imp_validation.check_imp(imp, f"imp[{index}]", problems)
        imp_id = imp.get("id", "")
        if imp_id and imp_id in seen:
            problems.error(f"imp[{index}].id", imp_id, "give each impression of a request an id of its own", "3.2.4")
        seen.add(imp_id)
    _consent(request, problems)
    _people(request, problems)
    _source(request, problems)


def _top(request: dict[str, Any], problems: Problems) -> None:
    request_id = request.get("id")
    if not request_id or len(request_id) > ID_LIMIT:
        problems.error("id", request_id, f"name the request in 1 to {ID_LIMIT} characters", "3.2.1")
    imps = request.get("imp") or ()
    if not 0 < len(imps) <= IMPS_LIMIT:
        problems.error("imp", f"{len(imps)} of them", f"offer 1 to {IMPS_LIMIT} impressions", "3.2.1")
    channels = [name for name in ("site", "app", "dooh") if name in request]
    if len(channels) != 1:
        said = " and ".join(channels) or None
        problems.error("site", said, "give exactly one of site, app and dooh", "3.2.1")
    if "at" in request and request["at"] not in _AUCTIONS:
        remedy = "give 1 (first price), 2 (second price plus), 501 (GSP by worth) or 502 (VCG)"
        problems.error("at", request["at"], remedy, "3.2.1")
    if not 0 <= request.get("tmax", 0) <= TMAX_LIMIT_MS:
        problems.error("tmax", request["tmax"], f"give 0 to {TMAX_LIMIT_MS} ms", "3.2.1")
    for one, other in _EXCLUSIVE:
        if request.get(one) and request.get(other):
            problems.error(one, f"together with {other}", f"give {one} or {other}, not both", "3.2.1")
    for index, code in enumerate(request.get("cur") or ()):
        if not is_currency(code):
            problems.error(f"cur[{index}]", code, "give an ISO 4217 code in capitals, such as EUR", "3.2.1")
    site, dooh = request.get("site"), request.get("dooh")
    if site is not None and not site.get("page") and not site.get("id") and not site.get("domain"):
        problems.warn("site", "neither id nor page nor domain", "bidders know little of this page", "3.2.13")
    if dooh is not None and not dooh.get("id") and not dooh.get("venuetype"):
        problems.warn("dooh", "neither id nor venuetype", "bidders know little of this screen", "3.2.32")


def _consent(request: dict[str, Any], problems: Problems) -> None:
    regs, user = request.get("regs") or {}, request.get("user") or {}
    gdpr, gpp_sid = regs.get("gdpr"), regs.get("gpp_sid") or ()
    if gdpr == 1 and not user.get("consent") and not regs.get("gpp"):
        problems.warn("user.consent", None, "without a consent string nothing personal is done", "3.2.20")
    if gdpr == 0 and _TCF_EU in gpp_sid:
        problems.warn(
            "regs.gpp_sid", "says that the TCF applies", "regs.gdpr says otherwise: the stricter counts", "3.2.3"
        )
    if gpp_sid and not regs.get("gpp"):
        problems.warn("regs.gpp", None, "gpp_sid names sections of a string that is not there", "3.2.3")
    if (us_privacy := regs.get("us_privacy")) and not _US_PRIVACY.fullmatch(us_privacy):
        problems.warn("regs.us_privacy", us_privacy, "give four characters, such as 1YNN", "3.2.3")


def _people(request: dict[str, Any], problems: Problems) -> None:
    device, user = request.get("device"), request.get("user")
    if device is not None:
        for name in ("w", "h", "ppi", "pxratio"):
            if device.get(name, 0) < 0:
                problems.error(f"device.{name}", device[name], "give 0 or more", "3.2.18")
        if "geo" in device:
            _geo(device["geo"], "device.geo", problems)
    if user is None:
        return
    if "geo" in user:
        _geo(user["geo"], "user.geo", problems)
    check_session(user, problems)
    for index, eid in enumerate(user.get("eids") or ()):
        at = f"user.eids[{index}]"
        if not eid.get("source"):
            problems.error(f"{at}.source", eid.get("source"), "name the source of the ids, a domain", "3.2.27")
        if not eid.get("uids"):
            problems.error(f"{at}.uids", eid.get("uids"), "give at least one id", "3.2.27")
        for number, uid in enumerate(eid.get("uids") or ()):
            if not uid.get("id"):
                problems.error(f"{at}.uids[{number}].id", uid.get("id"), "give the id", "3.2.28")


def _geo(geo: dict[str, Any], path: str, problems: Problems) -> None:
    for name, limit in (("lat", 90), ("lon", 180)):
        if not -limit <= geo.get(name, 0) <= limit:
            problems.error(f"{path}.{name}", geo[name], f"give degrees within -{limit}..{limit}", "3.2.19")


def _source(request: dict[str, Any], problems: Problems) -> None:
    chain = (request.get("source") or {}).get("schain")
    if chain is None:
        return

    def tell(path: str, value: object, remedy: str, section: str, refuse: bool) -> None:
        (problems.error if refuse else problems.warn)(path, value, remedy, section)

    check_chain(chain, "source.schain", tell)
