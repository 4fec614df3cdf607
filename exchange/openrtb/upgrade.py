"""How does a request of OpenRTB 2.5, or one that puts things where Prebid does, become one of 2.6? Once, right here.

What 2.6 gave a place of its own moves there from `ext`. Where both places say something and not the same, both stay as
they came and a warning says so: what follows for consent is decided over both (exchange.openrtb.signals).
"""

from __future__ import annotations

from typing import Any, Final

from exchange.openrtb.problems import Problems

# (path of the object, field of its ext, field of the object, section of the object)
_MOVED: Final = (
    (("regs",), "gdpr", "gdpr", "3.2.3"),
    (("regs",), "us_privacy", "us_privacy", "3.2.3"),
    (("regs",), "gpp", "gpp", "3.2.3"),
    (("regs",), "gpp_sid", "gpp_sid", "3.2.3"),
    (("user",), "consent", "consent", "3.2.20"),
    (("user",), "eids", "eids", "3.2.20"),
    (("source",), "schain", "schain", "3.2.2"),
    (("device",), "sua", "sua", "3.2.18"),
    (("site",), "inventorypartnerdomain", "inventorypartnerdomain", "3.2.13"),
    (("app",), "inventorypartnerdomain", "inventorypartnerdomain", "3.2.14"),
    (("site", "content"), "network", "network", "3.2.16"),
    (("site", "content"), "channel", "channel", "3.2.16"),
    (("app", "content"), "network", "network", "3.2.16"),
    (("app", "content"), "channel", "channel", "3.2.16"),
)
_MOVED_IN_IMP: Final = (
    ((), "rwdd", "rwdd", "3.2.4"),
    ((), "rewarded", "rwdd", "3.2.4"),
    (("video",), "skip", "skip", "3.2.7"),
    (("video",), "skipmin", "skipmin", "3.2.7"),
    (("video",), "skipafter", "skipafter", "3.2.7"),
    (("video",), "plcmt", "plcmt", "3.2.7"),
)
# AdCOM's placement subtypes of before 2023 by those of now; "in-stream" said too little to be told by it.
_PLCMT_OF_PLACEMENT: Final = {2: 4, 3: 4, 4: 4, 5: 3}


def upgrade(request: dict[str, Any], problems: Problems) -> None:
    """Make `request` one of 2.6, in place. It may be of any shape: what is not as expected is left to validation."""
    for path, old, new, section in _MOVED:
        held = request.get(path[0])
        if type(held) is dict and len(path) == 2:
            held = held.get(path[1])
        if type(held) is dict and "ext" in held:
            _move(held, old, new, ".".join(path), section, problems)
    imps = request.get("imp")
    if type(imps) is list:
        for index, imp in enumerate(imps):
            if type(imp) is dict:
                _upgrade_imp(imp, f"imp[{index}]", problems)


def _upgrade_imp(imp: dict[str, Any], path: str, problems: Problems) -> None:
    ext, video = imp.get("ext"), imp.get("video")
    if type(ext) is dict:
        prebid = ext.get("prebid")
        if type(prebid) is dict and "is_rewarded_inventory" in prebid and "rwdd" not in imp:
            imp["rwdd"] = prebid["is_rewarded_inventory"]
    if type(ext) is dict or (type(video) is dict and "ext" in video):
        for inner, old, new, section in _MOVED_IN_IMP:
            held = imp.get(inner[0]) if inner else imp
            if type(held) is dict and "ext" in held:
                _move(held, old, new, ".".join((path, *inner)), section, problems)
    if type(video) is dict:
        if "plcmt" not in video and (plcmt := _PLCMT_OF_PLACEMENT.get(_whole(video.get("placement")))) is not None:
            video["plcmt"] = plcmt
        if "protocols" not in video and type(video.get("protocol")) is int:
            video["protocols"] = [video["protocol"]]


def _move(held: dict[str, Any], old: str, new: str, path: str, section: str, problems: Problems) -> None:
    ext = held["ext"]
    if type(ext) is not dict or old not in ext:
        return
    said = ext[old]
    if held.get(new) is None:
        held[new] = said
    elif held[new] != said:
        problems.warn(f"{path}.ext.{old}", said, f"{path}.{new} says otherwise: both stay, the stricter one counts",
                      section)  # fmt: skip
        return
    del ext[old]
    if not ext:
        del held["ext"]


def _whole(value: object) -> int:
    return value if type(value) is int else -1
