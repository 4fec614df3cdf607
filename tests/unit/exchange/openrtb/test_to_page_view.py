"""Does a page view hold what its bid request says, and no more of the visitor than was agreed to?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.consent import Permission
from exchange.openrtb.passing_on import cut_address
from exchange.openrtb.placements import digest_of
from exchange.openrtb.signals import FromConnection
from exchange.openrtb.to_page_view import Terms, to_page_view
from exchange.request import PageView
from exchange.supply_chain import OurNode
from protos import exchange_pb2 as pb
from tests.openrtb_desk import Rates

ALL = 15
CONNECTION = FromConnection(ip="203.0.113.77", user_agent="Browser/1")
PERSON: Any = {
    "user": {
        "id": "visitor-7", "buyeruid": "ours-7", "yob": 1980, "keywords": "chairs", "customdata": "c",
        "data": [{"name": "age", "segment": [{"value": "25-34"}]}], "consent": "CO",
        "eids": [{"source": "id.example", "uids": [{"id": "eid-7"}]}],
    },
    "device": {
        "ip": "198.51.100.9", "ifa": "IFA-7", "dpidmd5": "D7", "ua": "UA", "geo": {"lat": 52.52437, "lon": 13.4},
    },
}  # fmt: skip


def view_of(permissions: int = ALL, connection: FromConnection = CONNECTION, **changes: Any) -> PageView:
    request = {"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "site": {}, **changes}
    asked = to_page_view(
        request,
        tenant_id="tenant",
        connection=connection,
        terms=Terms("EUR", 50, 10, OurNode("exchange.example"), True),
        rates=Rates(),
        consent=lambda _: permissions,
        now_ms=1_700_000_000_000,
    )
    assert asked.view is not None
    return asked.view


def test_the_visitor_is_known_only_where_remembering_is_allowed() -> None:
    assert view_of(**PERSON).visitor_id == "ours-7"
    assert view_of(**PERSON).segments == ("age=25-34",)
    remembered = view_of(int(Permission.REMEMBER), **PERSON)
    assert (remembered.visitor_id, remembered.segments) == ("ours-7", ())
    assert (view_of(0, **PERSON).visitor_id, view_of(0, **PERSON).segments) == ("", ())


def test_what_is_logged_holds_nothing_of_a_visitor_who_did_not_agree() -> None:
    refused = view_of(0, **PERSON).wire

    for secret in (b"visitor-7", b"ours-7", b"eid-7", b"IFA-7", b"25-34", b"198.51.100"):
        assert secret not in refused
    agreed = pb.PageView.FromString(view_of(**PERSON).wire)
    assert agreed.visitor.visitor_id == "ours-7"
    assert list(agreed.visitor.segments) == ["age=25-34"]
    assert list(agreed.consent.granted) == [1, 2, 3, 4]


def test_the_log_has_the_placements_as_they_were_asked() -> None:
    imp = {
        "id": "1",
        "tagid": "top",
        "bidfloor": 2,
        "bidfloorcur": "EUR",
        "video": {"mimes": ["v"], "w": 640, "h": 360},
        "banner": {"format": [{"w": 300, "h": 250}, {"wratio": 16, "hratio": 9, "wmin": 320}]},
    }

    logged = pb.PageView.FromString(view_of(imp=[imp], bcat=["IAB7"], at=1).wire)

    (placement,) = logged.placements
    assert placement.placement_id == "top"
    assert list(placement.formats) == [1, 3]
    assert [(size.width, size.height) for size in placement.sizes] == [(300, 250), (640, 360), (320, 180)]
    assert (placement.floor_micros, list(placement.blocked_categories)) == (2_000_000, ["iab7"])
    assert (logged.currency, logged.price_rule) == ("EUR", 1)


def test_outside_bidders_get_no_person_without_the_permission_to_share() -> None:
    passed = view_of(ALL & ~int(Permission.SHARE), **PERSON).openrtb

    for secret in (
        b"visitor-7",
        b"ours-7",
        b"eid-7",
        b"IFA-7",
        b"D7",
        b"1980",
        b"chairs",
        b"25-34",
        b"100.9",
        b"52.52437",
    ):
        assert secret not in passed
    request = json.loads(passed)
    assert request["user"] == {"consent": "CO"}
    assert request["device"] == {"ip": "198.51.100.0", "ua": "UA", "geo": {"lat": 52.52, "lon": 13.4}}


def test_ids_may_go_out_where_the_exact_place_may_not() -> None:
    geo = {"lat": 52.52437, "lon": 13.40123, "accuracy": 5, "zip": "10178", "country": "DEU"}
    user, device = {**PERSON["user"], "geo": geo}, {**PERSON["device"], "geo": geo}
    shared = int(Permission.REMEMBER | Permission.SHARE)

    request = json.loads(view_of(shared, user=user, device=device).openrtb)
    assert request["user"]["geo"] == request["device"]["geo"] == {"lat": 52.52, "lon": 13.4, "country": "DEU"}
    assert (request["user"]["eids"], request["device"]["ifa"]) == (PERSON["user"]["eids"], "IFA-7")
    exact = json.loads(view_of(shared | int(Permission.PRECISE_LOCATION), user=user, device=device).openrtb)
    assert exact["user"]["geo"] == exact["device"]["geo"] == geo


def test_outside_bidders_get_all_of_it_with_the_permission() -> None:
    request = json.loads(view_of(ALL | int(Permission.PRECISE_LOCATION), **PERSON).openrtb)

    # `buyeruid` is what the asker calls the visitor to us; bidders have ids of their own.
    assert request["user"] == {key: held for key, held in PERSON["user"].items() if key != "buyeruid"}
    assert request["device"] == PERSON["device"]


def test_the_connection_fills_in_where_the_request_is_silent() -> None:
    assert json.loads(view_of().openrtb)["device"] == {"ip": "203.0.113.77", "ua": "Browser/1"}
    assert json.loads(view_of(0).openrtb)["device"] == {"ip": "203.0.113.0", "ua": "Browser/1"}
    six = json.loads(view_of(0, FromConnection(ip="2001:db8:1:2::3")).openrtb)
    assert six["device"] == {"ipv6": "2001:db8:1::"}


def test_what_was_addressed_to_us_alone_is_not_passed_on() -> None:
    imp: Any = {
        "id": "1",
        "banner": {"w": 1, "h": 1},
        "ext": {"prebid": {"bidder": {"other": {"secret": 1}}}, "gpid": "/a"},
    }

    passed = view_of(imp=[imp], ext={"prebid": {"auctiontimestamp": 1}, "keep": 1}).openrtb

    assert json.loads(passed)["imp"][0]["ext"] == {"gpid": "/a"}
    assert json.loads(passed)["ext"] == {"keep": 1}
    assert imp["ext"]["prebid"]


def test_impressions_that_are_no_placement_are_not_passed_on() -> None:
    imps = [{"id": "1", "audio": {"mimes": ["a"]}}, {"id": "2", "banner": {"w": 1, "h": 1}}]

    view = view_of(imp=imps)

    assert [placement.placement_id for placement in view.placements] == ["2"]
    assert [imp["id"] for imp in json.loads(view.openrtb)["imp"]] == ["2"]


def test_our_link_is_added_behind_those_that_came() -> None:
    node = {"asi": "ssp.example", "sid": "9", "hp": 1}

    alone = json.loads(view_of().openrtb)["source"]["schain"]
    behind = json.loads(view_of(source={"schain": {"complete": 0, "ver": "1.0", "nodes": [node]}}).openrtb)

    ours = {"asi": "exchange.example", "sid": "tenant", "hp": 1, "rid": "r"}
    assert alone == {"complete": 1, "nodes": [ours], "ver": "1.0"}
    assert behind["source"]["schain"] == {"complete": 0, "ver": "1.0", "nodes": [node, ours]}


@pytest.mark.parametrize(
    ("device", "user", "visitor"),
    [
        ({"ifa": "I"}, {"id": "u", "buyeruid": "b"}, "b"),
        ({"ifa": "I"}, {"id": "u"}, "u"),
        ({"ifa": "I"}, {"eids": [{"source": "s", "uids": [{"id": "e"}]}]}, "e"),
        ({"ifa": "I"}, {}, "I"),
        ({"ifa": "I", "lmt": 1}, {}, ""),
        ({}, {}, ""),
        ({}, {"id": "u" * 65}, digest_of("u" * 65)),
    ],
)
def test_the_visitors_id_is_the_first_that_there_is(device: Any, user: Any, visitor: str) -> None:
    assert view_of(device=device, user=user).visitor_id == visitor


@pytest.mark.parametrize(("tmax", "left"), [(0, 50), (100, 90), (12, 5), (3, 5), (60_000, 10_000)])
def test_the_network_takes_its_part_of_tmax(tmax: int, left: int) -> None:
    assert view_of(tmax=tmax).tmax_ms == left


@pytest.mark.parametrize(("said", "kind"), [(1, 1), (2, 3), (3, 4), (4, 1), (5, 2), (6, 4), (7, 4), (8, 0), (99, 0)])
def test_kinds_of_devices_are_ours(said: int, kind: int) -> None:
    assert view_of(device={"devicetype": said}).device_type == kind


def test_words_are_lower_case_single_and_bounded() -> None:
    site = {
        "cat": ["IAB1", "iab1", "X" * 65],
        "pagecat": [f"c{number}" for number in range(99)],
        "keywords": "Chair, chair ,, table",
        "kwarray": ["Sofa", ""],
        "content": {"keywords": "lamp", "cat": ["IAB9"]},
    }
    view = view_of(site=site)

    assert view.keywords == ("chair", "table", "sofa", "lamp")
    assert view.categories[:3] == ("iab1", "c0", "c1")
    assert len(view.categories) == 32


def test_languages_are_those_of_two_letters() -> None:
    assert view_of(wlangb=["de-AT", "de", "en-GB"]).allowed_languages == ("de", "en")
    assert view_of(device={"language": "de-DE"}).language == "de"
    assert view_of(device={"langb": "pt-BR"}).language == "pt"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "::"),
        ("nonsense", ""),
        ("203.0.113.0/24", ""),
    ],
)
def test_an_address_is_cut_to_its_network(address: str, network: str) -> None:
    assert cut_address(address) == network
