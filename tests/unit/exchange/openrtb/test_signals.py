"""Which signals does a request carry, and does the stricter one count?"""

from __future__ import annotations

from typing import Any

import pytest

from common.consent import Permission
from common.consent_signals import ConsentSignals
from exchange.openrtb.signals import FromConnection, permissions_of, signals_of, without_decoders

ALL = int(Permission.REMEMBER | Permission.PERSONALISE_ADS | Permission.PERSONALISE_CONTENT | Permission.SHARE)
OBJECTED = int(Permission.REMEMBER | Permission.PERSONALISE_CONTENT)


def test_every_signal_is_read() -> None:
    request = {
        "regs": {"gdpr": 1, "gpp": "DBAA", "gpp_sid": [2, 7], "us_privacy": "1YNN", "coppa": 1, "ext": {"gpc": "1"}},
        "user": {"consent": "CO"},
        "device": {"lmt": 1, "geo": {"country": "DEU"}},
    }

    assert signals_of(request, FromConnection()) == (
        ConsentSignals(
            gdpr=True, tc_string="CO", gpp="DBAA", gpp_sid=(2, 7), us_privacy="1YNN", gpc=True, dnt=True, coppa=True,
            country="DE",
        ),
    )  # fmt: skip


def test_headers_of_the_connection_count() -> None:
    (said,) = signals_of({}, FromConnection(gpc=True, dnt=True))

    assert (said.gpc, said.dnt, said.gdpr) == (True, True, None)


def test_a_contradicting_request_has_two_sets_of_signals() -> None:
    request = {
        "regs": {"gdpr": 0, "ext": {"gdpr": 1, "us_privacy": 7, "gpp_sid": "x"}},
        "user": {"consent": "A", "ext": {"consent": "B"}},
    }

    first, second = signals_of(request, FromConnection())

    assert (first.gdpr, first.tc_string) == (False, "A")
    assert (second.gdpr, second.tc_string, second.us_privacy, second.gpp_sid) == (True, "B", "", ())


def test_what_only_one_set_allows_is_not_allowed() -> None:
    consents = {"A": ALL, "B": int(Permission.REMEMBER | Permission.SHARE)}
    sets = (ConsentSignals(tc_string="A"), ConsentSignals(tc_string="B"))

    assert permissions_of(sets, lambda signals: consents[signals.tc_string]) == consents["B"]


def test_one_set_that_leaves_the_house_ads_alone_speaks_for_all() -> None:
    consents = {"A": ALL, "B": int(Permission.HOUSE_ADS_ONLY)}
    sets = (ConsentSignals(tc_string="A"), ConsentSignals(tc_string="B"))

    for said in (sets, sets[::-1], sets[1:]):
        assert permissions_of(said, lambda signals: consents[signals.tc_string]) == int(Permission.HOUSE_ADS_ONLY)


@pytest.mark.parametrize(
    ("signals", "bits"),
    [
        ({}, ALL),
        ({"gdpr": False, "tc_string": "CO"}, ALL),
        ({"us_privacy": "1YNN"}, ALL),
        ({"gdpr": True}, 0),
        ({"tc_string": "CO"}, 0),
        ({"gpp": "DBAA"}, 0),
        ({"coppa": True}, 0),
        ({"gpc": True}, OBJECTED),
        ({"dnt": True}, OBJECTED),
        ({"us_privacy": "1YYN"}, OBJECTED),
    ],
)
def test_without_decoders_the_safe_thing_is_done(signals: dict[str, Any], bits: int) -> None:
    assert without_decoders(ConsentSignals(**signals)) == bits
