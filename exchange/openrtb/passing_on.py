"""What of the request do outside bidders see? OpenRTB 2.6 without what the visitor did not agree to share.

Without the permission to share: no user but its consent signals, no ids of the device, an address cut to /24 or /48.
Without that for precise location, and never without sharing: coordinates of two decimals, no postcode. What was
addressed to this exchange alone is not passed on either: `ext.prebid`, parameters, the session in `user.ext.haat`, and
`user.buyeruid`, which is our id of the visitor; what bidders call the visitor is told to each of them by itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.consent import Permission
from exchange.openrtb.codec import to_json

_SHARE: Final = int(Permission.SHARE)
_PRECISELY: Final = int(Permission.SHARE | Permission.PRECISE_LOCATION)
_OURS_ALONE: Final = ("prebid", "bidder", "haat")
_OURS_OF_USER: Final = ("prebid", "haat")
_DEVICE_IDS: Final = ("ifa", "didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5")
_PRECISE: Final = ("accuracy", "lastfix", "zip")
_USER_SIGNALS: Final = ("consent",)
_DEVICE_EXT_KEPT: Final = ("atts",)


def for_bidders(
    request: Mapping[str, Any], imps: Sequence[Mapping[str, Any]], permissions: int, chain: Mapping[str, Any] | None
) -> bytes:
    """The request with `imps` alone (one for each placement, in order) and the supply `chain`, as JSON."""
    passed = {**request, "imp": [_imp(imp) for imp in imps]}
    if "ext" in passed:
        _replace(passed, "ext", {key: held for key, held in passed["ext"].items() if key not in _OURS_ALONE})
    if chain is not None:
        passed["source"] = {**request.get("source", {}), "schain": chain}
    if "user" in passed:
        _replace(passed, "user", _shared_user(passed["user"]))
    if not permissions & _SHARE:
        if "user" in passed:
            _replace(passed, "user", _user(passed["user"]))
        if "device" in passed:
            passed["device"] = _device(passed["device"])
    elif permissions & _PRECISELY != _PRECISELY:
        for name in ("user", "device"):
            if "geo" in passed.get(name, ()):
                passed[name] = {**passed[name], "geo": _geo(passed[name]["geo"])}
    return to_json(passed)


def _imp(imp: Mapping[str, Any]) -> Mapping[str, Any]:
    ext = imp.get("ext")
    if ext is None or not ext.keys() & set(_OURS_ALONE):
        return imp
    passed = dict(imp)
    _replace(passed, "ext", {key: held for key, held in ext.items() if key not in _OURS_ALONE})
    return passed


def _shared_user(user: Mapping[str, Any]) -> Mapping[str, Any]:
    ext = user.get("ext") or {}
    if "buyeruid" not in user and ext.keys().isdisjoint(_OURS_OF_USER):
        return user
    passed = {key: held for key, held in user.items() if key != "buyeruid"}
    if ext:
        _replace(passed, "ext", {key: held for key, held in ext.items() if key not in _OURS_OF_USER})
    return passed


def _user(user: Mapping[str, Any]) -> dict[str, Any]:
    passed = {key: user[key] for key in _USER_SIGNALS if key in user}
    said = {key: user["ext"][key] for key in _USER_SIGNALS if key in user.get("ext", ())}
    if said:
        passed["ext"] = said
    if "geo" in user:
        passed["geo"] = _geo(user["geo"])
    return passed


def _device(device: Mapping[str, Any]) -> dict[str, Any]:
    passed = {key: held for key, held in device.items() if key not in _DEVICE_IDS}
    if "geo" in passed:
        passed["geo"] = _geo(passed["geo"])
    for name in ("ip", "ipv6"):
        if name in passed:
            _replace(passed, name, cut_address(passed[name]))
    if "ext" in passed:
        _replace(passed, "ext", {key: held for key, held in passed["ext"].items() if key in _DEVICE_EXT_KEPT})
    return passed


def _geo(geo: Mapping[str, Any]) -> dict[str, Any]:
    passed = {key: held for key, held in geo.items() if key not in _PRECISE and key != "ext"}
    for name in ("lat", "lon"):
        if name in passed:
            passed[name] = round(passed[name], 2)
    return passed


def cut_address(address: str) -> str:
    """The network of an address: /24 of IPv4, /48 of IPv6; empty when it is no address."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if number.version == 4:
        return str(ipaddress.ip_address(int(number) >> 8 << 8))
    return str(ipaddress.IPv6Address(int(number) >> 80 << 80))


def _replace(held: dict[str, Any], key: str, value: Any) -> None:
    """Set, or take out when nothing is left."""
    if value:
        held[key] = value
    else:
        del held[key]
