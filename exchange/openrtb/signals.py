"""What does a bid request say about consent? Its signals, in every version that it brings.

A request may say a thing in two places and not the same: then there are two sets of signals, and what may be done is
what both allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from common.consent import Permission, Purpose, decide
from common.consent_signals import ConsentSignals
from common.countries import alpha_2

# A decision over one set of signals: bits of common.consent.Permission.
Consent = Callable[[ConsentSignals], int]

_ALL: Final = 255
_HOUSE_ONLY: Final = int(Permission.HOUSE_ADS_ONLY)


class FromConnection(NamedTuple):
    """What the connection says where the request is silent, and the headers that count beside it; `uids` is the value
    of the cookie in which bidders know this browser.
    """

    ip: str = ""
    user_agent: str = ""
    gpc: bool = False
    dnt: bool = False
    uids: str = ""


def signals_of(request: Mapping[str, Any], connection: FromConnection) -> tuple[ConsentSignals, ...]:
    """One set of signals, or two where the request contradicts itself. The request has passed validation."""
    regs, user, device = request.get("regs") or {}, request.get("user") or {}, request.get("device") or {}
    in_regs, in_user = regs.get("ext") or {}, user.get("ext") or {}
    geo = device.get("geo") or user.get("geo") or {}
    gpc = connection.gpc or in_regs.get("gpc") in ("1", 1)
    dnt = connection.dnt or bool(device.get("dnt")) or bool(device.get("lmt"))
    gdpr = regs.get("gdpr")
    first = ConsentSignals(
        gdpr=None if gdpr is None else bool(gdpr),
        tc_string=user.get("consent", ""),
        gpp=regs.get("gpp", ""),
        gpp_sid=tuple(regs.get("gpp_sid") or ()),
        us_privacy=regs.get("us_privacy", ""),
        gpc=gpc,
        dnt=dnt,
        coppa=bool(regs.get("coppa")),
        country=alpha_2(geo.get("country")),
    )
    if not (in_regs.keys() & {"gdpr", "us_privacy", "gpp", "gpp_sid"} or "consent" in in_user):
        return (first,)
    other = in_regs.get("gdpr", gdpr)
    second = ConsentSignals(
        gdpr=None if other is None else other not in (0, False),
        tc_string=_text(in_user.get("consent", first.tc_string)),
        gpp=_text(in_regs.get("gpp", first.gpp)),
        gpp_sid=_numbers(in_regs.get("gpp_sid", first.gpp_sid)),
        us_privacy=_text(in_regs.get("us_privacy", first.us_privacy)),
        gpc=gpc,
        dnt=dnt,
        coppa=first.coppa,
        country=first.country,
    )
    return (first, second)


def permissions_of(signals: Iterable[ConsentSignals], consent: Consent) -> int:
    """What all of the sets allow; the house's own ads alone where one of them leaves no more."""
    bits = _ALL
    for one in signals:
        allowed = consent(one)
        if allowed & _HOUSE_ONLY:
            return _HOUSE_ONLY
        bits &= allowed
    return bits


def without_decoders(signals: ConsentSignals) -> int:
    """The decision where no consent string can be read: under GDPR nothing, elsewhere all that nobody opted out of.

    Do-not-track and the third letter of US Privacy (opted out of sale) count as Global Privacy Control does.
    """
    if signals.gdpr or (signals.gdpr is None and signals.tc_string) or signals.gpp:
        return 0
    opted_out = len(signals.us_privacy) == 4 and signals.us_privacy[2] in "Yy"
    bits = decide(
        Purpose,
        global_privacy_control=signals.gpc or signals.dnt or opted_out,
        child_directed=signals.coppa,
    )
    return int(bits)


def _text(value: object) -> str:
    return value if type(value) is str else ""


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(one for one in value if type(one) is int) if isinstance(value, (list, tuple)) else ()
