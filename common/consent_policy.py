"""What may be used of this visitor, by all that the request says about consent? One table, the strictest signal wins.

TCF purposes count under GDPR, opt-outs in the United States, Global Privacy Control and Do Not Track everywhere. What
cannot be decoded grants nothing and raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from common import gpp, tcf
from common.consent import Permission
from common.consent_signals import ConsentSignals
from common.tcf import Basis, Vendor

# European Economic Area, United Kingdom and Switzerland.
GDPR_COUNTRIES: Final = frozenset(
    (
        "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU", "IE", "IS",
        "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
    )
)  # fmt: skip
_EVERYTHING: Final = Permission(0xFF)
_OF_ADS: Final = Permission.PERSONALISE_ADS | Permission.SHARE | Permission.BUILD_PROFILE | Permission.TRAIN
# Permission -> TCF purposes that it takes, all of them by consent or, where the standard lets it, by interest.
_PURPOSES: Final[dict[Permission, tuple[int, ...]]] = {
    Permission.REMEMBER: (1,),
    Permission.BUILD_PROFILE: (1, 3),
    Permission.PERSONALISE_ADS: (1, 4),
    Permission.PERSONALISE_CONTENT: (1, 5, 6),
    Permission.MEASURE: (7,),
    Permission.TRAIN: (10,),
    Permission.SHARE: (1, 4),
}
BASIC_ADS: Final = 2
# What can be read, with -1 and 0, by which pages say that no section applies, and 3 and 4, which hold no choices: the
# header and the signatures (IAB Tech Lab, GPP section information).
_KNOWN_SECTIONS: Final = frozenset({-1, 0, 3, 4, gpp.TCF_EU, gpp.US_PRIVACY_V1, *gpp.US_SECTIONS})
_PRECISE_LOCATION: Final = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is allowed, under which rules, and why so little.

    Without `basic_ads` an ad may be chosen by the page alone and nothing is stored, the session neither. `regimes` are
    "coppa", "gdpr", "us" or "elsewhere"; `reasons` say what took something away, without personal data.
    """

    permissions: Permission
    basic_ads: bool
    regimes: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """How this exchange reads consent.

    `vendor_id` is its number in the vendor list; 0, without one, gets nothing out of a TC string. `vendors` is the
    vendor list, as far as it is known: without it only consent counts, no legitimate interest. `gdpr_where_unknown`
    tells whether GDPR applies when neither a flag nor a country says so; `granted_elsewhere` whether a visitor in a
    country that is under neither set of rules, and who said nothing, has agreed. With `house_without_basic_ads` a
    visitor without a basis for basic ads (TCF purpose 2) sees the house's own ads, chosen by the page alone, and
    nothing is kept; else ads of the open market that need no more than the page and the session.
    """

    vendor_id: int = 0
    vendors: Mapping[int, Vendor] = field(default_factory=dict)
    gdpr_where_unknown: bool = True
    granted_elsewhere: bool = False
    house_without_basic_ads: bool = False

    def verdict(self, signals: ConsentSignals) -> Verdict:
        """Decide. Never raises: what cannot be decoded grants nothing."""
        if signals.coppa:
            return Verdict(Permission.NONE, True, ("coppa",), ("directed at children",))
        permissions, basic = _EVERYTHING, True
        regimes: list[str] = []
        reasons: list[str] = []
        sections, broken = _sections(signals)
        if broken:
            reasons.append(broken)
        if self._gdpr_applies(signals):
            regimes.append("gdpr")
            allowed, basic = self._under_gdpr(_tc_strings(signals, sections), self.vendor_id, reasons)
            permissions &= allowed
        if unknown := sorted(set(_applying(signals, sections)) - _KNOWN_SECTIONS):
            permissions = Permission.NONE
            reasons.append(f"no decoder for the GPP sections {', '.join(map(str, unknown))}")
        us = _us_sections(signals, sections)
        if us or signals.us_privacy or signals.country == "US":
            regimes.append("us")
            permissions &= _under_us(signals, us, reasons)
        if broken:
            permissions = Permission.NONE
        if not regimes:
            regimes.append("elsewhere")
            if not self.granted_elsewhere:
                permissions = Permission.NONE
                reasons.append("nothing was agreed to")
        if signals.gpc or signals.dnt:
            permissions &= ~_OF_ADS
            reasons.append("Global Privacy Control" if signals.gpc else "Do Not Track")
        if not permissions & Permission.REMEMBER:
            # Profiles hang on a remembered id; measuring in sums, training without ids and contents do not.
            permissions &= Permission.MEASURE | Permission.TRAIN | Permission.PRECISE_LOCATION
        if not basic and self.house_without_basic_ads:
            permissions = Permission.HOUSE_ADS_ONLY
        return Verdict(permissions, basic, tuple(regimes), tuple(reasons))

    def may_share_with(self, signals: ConsentSignals, vendor_id: int) -> bool:
        """May the visitor's ids go to this outside vendor? `vendor_id` 0 has no number: never under GDPR."""
        if not self.verdict(signals).permissions & Permission.SHARE:
            return False
        if not self._gdpr_applies(signals):
            return True
        sections, _ = _sections(signals)
        allowed, _ = self._under_gdpr(_tc_strings(signals, sections), vendor_id, [])
        return bool(allowed & Permission.SHARE)

    def _gdpr_applies(self, signals: ConsentSignals) -> bool:
        if signals.gdpr or gpp.TCF_EU in signals.gpp_sid:
            return True
        if signals.gdpr is not None:
            return False
        if signals.country:
            return signals.country in GDPR_COUNTRIES
        if signals.gpp_sid or signals.us_privacy:
            return False
        return self.gdpr_where_unknown

    def _under_gdpr(self, tc_strings: Sequence[str], vendor_id: int, reasons: list[str]) -> tuple[Permission, bool]:
        """What all of the TC strings allow, and whether they all give a basis for basic ads."""
        if not tc_strings:
            reasons.append("GDPR applies and there is no TC string")
            return Permission.NONE, False
        allowed, basic = _EVERYTHING, True
        for tc_string in tc_strings:
            permissions, basic_too = self._under_tc_string(tc_string, vendor_id, reasons)
            allowed &= permissions
            basic = basic and basic_too
        return allowed, basic

    def _under_tc_string(self, tc_string: str, vendor_id: int, reasons: list[str]) -> tuple[Permission, bool]:
        try:
            tc = tcf.decode(tc_string)
        except ValueError as error:
            reasons.append(f"the TC string cannot be read: {error}")
            return Permission.NONE, False
        if not vendor_id:
            reasons.append("no vendor id, so the TC string grants nothing")
            return Permission.NONE, False
        declared = self.vendors.get(vendor_id) if self.vendors else None
        if self.vendors and declared is None:
            reasons.append(f"vendor {vendor_id} is not in the vendor list")
            return Permission.NONE, False

        def given(purpose: int) -> bool:
            return tcf.basis(tc, vendor_id, purpose, declared) is not Basis.NOTHING

        permissions = Permission.NONE
        for permission, purposes in _PURPOSES.items():
            if all(given(purpose) for purpose in purposes):
                permissions |= permission
        if _PRECISE_LOCATION in tc.special_features:
            permissions |= Permission.PRECISE_LOCATION
        refused = [str(purpose) for purpose in range(1, 12) if not given(purpose)]
        if refused:
            reasons.append(f"no basis for the purposes {', '.join(refused)}")
        return permissions, given(BASIC_ADS)


def _sections(signals: ConsentSignals) -> tuple[dict[int, str], str]:
    """The sections of the GPP string, and what is wrong with it."""
    if not signals.gpp:
        return {}, "gpp_sid names sections and there is no GPP string" if signals.gpp_sid else ""
    try:
        return gpp.sections_of(signals.gpp), ""
    except ValueError as error:
        return {}, f"the GPP string cannot be read: {error}"


def _tc_strings(signals: ConsentSignals, sections: Mapping[int, str]) -> list[str]:
    """The TC strings that came, beside the GPP string and in it: where they differ, both count."""
    return [text for text in dict.fromkeys((signals.tc_string, sections.get(gpp.TCF_EU, ""))) if text]


def _applying(signals: ConsentSignals, sections: Mapping[int, str]) -> tuple[int, ...]:
    """The sections that apply; where `gpp_sid` is not said, all that are there."""
    return signals.gpp_sid or tuple(sections)


def _us_sections(signals: ConsentSignals, sections: Mapping[int, str]) -> dict[int, str]:
    return {
        number: sections.get(number, "")
        for number in _applying(signals, sections)
        if number == gpp.US_PRIVACY_V1 or number in gpp.US_SECTIONS
    }


def _under_us(signals: ConsentSignals, sections: Mapping[int, str], reasons: list[str]) -> Permission:
    permissions = _EVERYTHING
    strings = list(sections.items())
    if signals.us_privacy:
        strings.append((gpp.US_PRIVACY_V1, signals.us_privacy))
    for number, text in strings:
        try:
            choices = gpp.us_choices(number, text)
        except ValueError as error:
            reasons.append(f"GPP section {number} cannot be read: {error}")
            return Permission.NONE
        if choices.child:
            reasons.append(f"GPP section {number}: a known child")
            return Permission.NONE
        if choices.sale or choices.sharing or choices.gpc:
            permissions &= ~(Permission.SHARE | Permission.TRAIN)
            reasons.append(f"GPP section {number}: opted out of sale or sharing")
        if choices.targeted or choices.sharing or choices.gpc:
            permissions &= ~_OF_ADS
            reasons.append(f"GPP section {number}: opted out of targeted ads")
    # Precise location is sensitive data there: it takes a consent of its own, which none of these sections gives us.
    return permissions & ~Permission.PRECISE_LOCATION
