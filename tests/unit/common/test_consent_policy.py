"""Every row of the consent table, and that the strictest signal wins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import tcf
from common.consent import Permission
from common.consent_policy import ConsentPolicy
from common.consent_signals import ConsentSignals
from common.tcf import Basis
from common.vendor_list import read_vendor_list

SAMPLES = Path(__file__).parents[2] / "samples" / "consent"
STRINGS: list[dict[str, Any]] = json.loads((SAMPLES / "tcf.json").read_text())["strings"]
SECTIONS: list[dict[str, Any]] = json.loads((SAMPLES / "gpp.json").read_text())["strings"]
VENDORS = read_vendor_list(SAMPLES / "vendor-list.json")
# A vendor that declares what it takes to share ids.
OURS = next(number for number, vendor in VENDORS.items() if {1, 4} <= vendor.purposes)
EVERYTHING = Permission(0xFF)
LASTING = Permission.MEASURE | Permission.TRAIN | Permission.PRECISE_LOCATION
AMERICAN = EVERYTHING & ~Permission.PRECISE_LOCATION
OF_ADS = Permission.PERSONALISE_ADS | Permission.SHARE | Permission.BUILD_PROFILE | Permission.TRAIN

# A header that names section 5, and something for it.
TCF_CANADA = "DBABD~BAAAAAAAAAA"

US = ConsentSignals(country="US")
INDIA = ConsentSignals(country="IN")


def gpp_of(section: int, said: str | None) -> str:
    return next(str(s["gpp"]) for s in SECTIONS if (s["section"], s["said"]) == (section, said))


@pytest.mark.parametrize(
    ("signals", "permitted"),
    [
        (US, AMERICAN),
        (replace(US, gpc=True), AMERICAN & ~OF_ADS),
        (replace(US, dnt=True), AMERICAN & ~OF_ADS),
        (replace(US, coppa=True), Permission.NONE),
        (replace(US, us_privacy="1YNN"), AMERICAN),
        (replace(US, us_privacy="1YYN"), AMERICAN & ~OF_ADS),
        (replace(US, us_privacy="rubbish"), Permission.NONE),
        (replace(US, gpp=gpp_of(7, None), gpp_sid=(7,)), AMERICAN),
        (replace(US, gpp=gpp_of(7, "SaleOptOut"), gpp_sid=(7,)), AMERICAN & ~Permission.SHARE & ~Permission.TRAIN),
        (replace(US, gpp=gpp_of(7, "SharingOptOut"), gpp_sid=(7,)), AMERICAN & ~OF_ADS),
        (replace(US, gpp=gpp_of(9, "TargetedAdvertisingOptOut"), gpp_sid=(9,)), AMERICAN & ~OF_ADS),
        (replace(US, gpp=gpp_of(8, "gpc"), gpp_sid=(8,)), AMERICAN & ~OF_ADS),
        (replace(US, gpp=gpp_of(12, "child"), gpp_sid=(12,)), Permission.NONE),
        # A section that is said to apply and is not there.
        (replace(US, gpp=gpp_of(8, None), gpp_sid=(9,)), Permission.NONE),
        (replace(US, gpp="rubbish", gpp_sid=(7,)), Permission.NONE),
        (replace(US, gpp_sid=(7,)), Permission.NONE),
        # Two signals that contradict each other: the stricter one.
        (replace(US, us_privacy="1YNN", gpp=gpp_of(8, "SharingOptOut"), gpp_sid=(8,)), AMERICAN & ~OF_ADS),
        # Sections that nobody here can read, said to apply or there without a word on what applies.
        (replace(US, gpp=gpp_of(8, None), gpp_sid=(8, 28)), Permission.NONE),
        (replace(US, gpp=TCF_CANADA), Permission.NONE),
        # Pages that say that no section applies.
        (replace(US, gpp=gpp_of(8, None), gpp_sid=(-1,)), AMERICAN),
        (INDIA, Permission.NONE),
        (ConsentSignals(), Permission.NONE),
        (ConsentSignals(gdpr=True), Permission.NONE),
        (ConsentSignals(gdpr=True, tc_string="rubbish"), Permission.NONE),
        (ConsentSignals(country="DE"), Permission.NONE),
        (ConsentSignals(country="DE", us_privacy="1YNN"), Permission.NONE),
    ],
)
def test_what_is_permitted_follows_the_table(signals: ConsentSignals, permitted: Permission) -> None:
    assert ConsentPolicy(vendor_id=3).verdict(signals).permissions == permitted


def test_a_country_without_rules_follows_the_setting() -> None:
    assert ConsentPolicy(granted_elsewhere=True).verdict(INDIA).permissions == EVERYTHING
    assert ConsentPolicy(granted_elsewhere=True).verdict(replace(INDIA, gpc=True)).permissions == EVERYTHING & ~OF_ADS


def test_where_nothing_says_whether_gdpr_applies_the_setting_does() -> None:
    nothing = ConsentSignals()

    assert ConsentPolicy(gdpr_where_unknown=True).verdict(nothing).regimes == ("gdpr",)
    assert ConsentPolicy(gdpr_where_unknown=False).verdict(nothing).regimes == ("elsewhere",)


@pytest.mark.parametrize("sample", STRINGS, ids=range(len(STRINGS)))
@pytest.mark.parametrize("vendor_id", [OURS, 13])
def test_under_gdpr_each_permission_takes_its_purposes(sample: dict[str, Any], vendor_id: int) -> None:
    policy = ConsentPolicy(vendor_id=vendor_id, vendors=VENDORS)
    tc = tcf.decode(sample["tc_string"])

    verdict = policy.verdict(ConsentSignals(gdpr=True, tc_string=sample["tc_string"]))

    has = {p for p in range(1, 12) if tcf.basis(tc, vendor_id, p, VENDORS[vendor_id]) is not Basis.NOTHING}
    expected = {
        Permission.REMEMBER: {1},
        Permission.BUILD_PROFILE: {1, 3},
        Permission.PERSONALISE_ADS: {1, 4},
        Permission.PERSONALISE_CONTENT: {1, 5, 6},
        Permission.SHARE: {1, 4},
        Permission.MEASURE: {7},
        Permission.TRAIN: {10},
    }
    for permission, purposes in expected.items():
        assert bool(verdict.permissions & permission) == (purposes <= has), permission
    assert verdict.basic_ads == (2 in has)


def test_without_a_vendor_id_a_tc_string_grants_nothing() -> None:
    verdict = ConsentPolicy().verdict(ConsentSignals(gdpr=True, tc_string=STRINGS[0]["tc_string"]))

    assert verdict.permissions == Permission.NONE
    assert any("vendor id" in reason for reason in verdict.reasons)


def test_the_tc_string_may_come_in_the_gpp_string() -> None:
    in_gpp = ConsentSignals(gpp="DBABMA~" + STRINGS[0]["tc_string"], gpp_sid=(2,))
    alone = ConsentSignals(gdpr=True, tc_string=STRINGS[0]["tc_string"])
    policy = ConsentPolicy(vendor_id=13, vendors=VENDORS)

    assert policy.verdict(in_gpp) == policy.verdict(alone)


def test_of_two_tc_strings_the_stricter_counts() -> None:
    policy = ConsentPolicy(vendor_id=13, vendors=VENDORS)
    verdicts = {s["tc_string"]: policy.verdict(ConsentSignals(gdpr=True, tc_string=s["tc_string"])) for s in STRINGS}
    pairs = [(one, other) for one in verdicts for other in verdicts]

    for beside, within in pairs:
        both = ConsentSignals(gdpr=True, tc_string=beside, gpp="DBABMA~" + within, gpp_sid=(2,))
        verdict = policy.verdict(both)
        assert verdict.permissions == verdicts[beside].permissions & verdicts[within].permissions
        assert verdict.basic_ads == (verdicts[beside].basic_ads and verdicts[within].basic_ads)
        assert policy.may_share_with(both, 13) <= policy.may_share_with(replace(both, tc_string=""), 13)
    assert any(verdicts[one] != verdicts[other] for one, other in pairs)


def test_a_flag_does_not_take_away_what_the_sections_say_of_gdpr() -> None:
    denied = ConsentSignals(gdpr=False, gpp="DBABMA~" + STRINGS[0]["tc_string"], gpp_sid=(2,))

    assert ConsentPolicy(vendor_id=13, granted_elsewhere=True).verdict(denied).regimes == ("gdpr",)


def test_a_bidder_gets_ids_only_with_a_basis_of_its_own() -> None:
    policy = ConsentPolicy(vendor_id=OURS, vendors=VENDORS)
    shared = [
        s["tc_string"]
        for s in STRINGS
        if policy.verdict(ConsentSignals(gdpr=True, tc_string=s["tc_string"])).permissions & Permission.SHARE
    ]

    assert shared
    for text in shared:
        signals = ConsentSignals(gdpr=True, tc_string=text)
        tc = tcf.decode(text)
        assert not policy.may_share_with(signals, 0)
        for vendor_id in VENDORS:
            basis = [tcf.basis(tc, vendor_id, purpose, VENDORS[vendor_id]) for purpose in (1, 4)]
            assert policy.may_share_with(signals, vendor_id) == (Basis.NOTHING not in basis)
    assert policy.may_share_with(US, 0)
    assert not policy.may_share_with(replace(US, gpc=True), OURS)


_TEXT = (
    st.text(max_size=60)
    | st.sampled_from([s["tc_string"] for s in STRINGS])
    | st.sampled_from([s["gpp"] for s in SECTIONS])
)
_SIGNALS = st.builds(
    ConsentSignals, gdpr=st.none() | st.booleans(), tc_string=_TEXT, gpp=_TEXT,
    gpp_sid=st.lists(st.integers(-1, 40), max_size=4).map(tuple), us_privacy=st.sampled_from(["", "1YNN", "1YYN", "x"]),
    gpc=st.booleans(), dnt=st.booleans(), coppa=st.booleans(), country=st.sampled_from(["", "DE", "US", "IN", "??"]),
)  # fmt: skip


@given(_SIGNALS)
def test_nothing_is_raised_and_nothing_personal_is_permitted_without_being_remembered(signals: ConsentSignals) -> None:
    verdict = ConsentPolicy(vendor_id=13, vendors=VENDORS).verdict(signals)

    assert verdict.permissions & Permission.REMEMBER or not verdict.permissions & ~LASTING
    assert verdict.regimes


@given(_SIGNALS)
def test_a_further_refusal_never_permits_more(signals: ConsentSignals) -> None:
    policy = ConsentPolicy(vendor_id=13, vendors=VENDORS, granted_elsewhere=True)
    before = policy.verdict(signals).permissions

    for stricter in (replace(signals, gpc=True), replace(signals, dnt=True), replace(signals, coppa=True)):
        assert not policy.verdict(stricter).permissions & ~before
