"""What did a request say about consent? The signals as they came, before anything is concluded from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsentSignals:
    """Every signal that a page view can carry; empty or None is "not said".

    `gdpr` is OpenRTB's `regs.gdpr`, `tc_string` its `user.consent`; `gpp` and `gpp_sid` the Global Privacy Platform's
    string and applicable sections, `us_privacy` the four letters of before; `gpc` is the header `Sec-GPC`, `dnt`
    `device.dnt` or `device.lmt`; `coppa` or a known child; `country` ISO 3166-1 alpha-2.
    """

    gdpr: bool | None = None
    tc_string: str = ""
    gpp: str = ""
    gpp_sid: tuple[int, ...] = ()
    us_privacy: str = ""
    gpc: bool = False
    dnt: bool = False
    coppa: bool = False
    country: str = ""
