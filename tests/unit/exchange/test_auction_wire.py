"""A page view comes off the wire whole or not at all, and without consent it leaves no trace of the visitor."""

from __future__ import annotations

import math
from typing import Any

import pytest

from common.consent import Permission
from common.errors import InvalidInput
from exchange.auction_wire import PageViewReader
from exchange.page_rules import PageRules
from exchange.request import Deal, FlexSize, NativeTerms, VideoTerms
from protos import common_pb2 as common
from protos import exchange_pb2 as exchange

NOW_MS = 1_700_000_000_000
ALL = [
    common.PURPOSE_REMEMBER,
    common.PURPOSE_PERSONALISED_ADS,
    common.PURPOSE_PERSONALISED_CONTENT,
    common.PURPOSE_SHARE_WITH_BIDDERS,
]


def a_message(**changes: Any) -> exchange.PageView:
    fields: dict[str, Any] = {
        "request_id": "request-1",
        "session_id": "session-1",
        "visitor": common.Visitor(
            visitor_id="ann", segments=["age=30"], affinities=[common.Affinity(product_id="p", weight=2.0)]
        ),
        "consent": common.Consent(granted=ALL),
        "page": common.Page(url="https://shop.example/", categories=["Fashion"], keywords=["SHOES"]),
        "device": common.Device(type=common.DEVICE_TYPE_PHONE, country="DE", language="DE"),
        "placements": [a_place()],
    }
    return exchange.PageView(**{**fields, **changes})


def a_place(**changes: Any) -> exchange.Placement:
    fields: dict[str, Any] = {
        "placement_id": "top",
        "formats": [exchange.FORMAT_BANNER, exchange.FORMAT_PRODUCT_LISTING],
        "sizes": [exchange.Size(width=300, height=250), exchange.Size(width=728, height=90)],
        "floor_micros": 500_000,
        "blocked_categories": ["Gambling"],
        "blocked_advertisers": ["Rival.example"],
        "position": 2,
    }
    return exchange.Placement(**{**fields, **changes})


def a_reader() -> PageViewReader:
    return PageViewReader(currency="EUR", tmax_ms=50)


def refused(message: exchange.PageView) -> set[str]:
    with pytest.raises(InvalidInput) as error:
        a_reader().read(message, NOW_MS)
    return {one.field for one in error.value.errors}


def test_a_good_page_view_is_read_with_its_defaults() -> None:
    view = a_reader().read(a_message(), NOW_MS)

    assert (view.visitor_id, view.segments, view.affinities) == ("ann", ("age=30",), (("p", 2.0),))
    assert view.permissions == int(
        Permission.REMEMBER | Permission.PERSONALISE_ADS | Permission.PERSONALISE_CONTENT | Permission.SHARE
    )
    assert (view.tmax_ms, view.viewed_at_ms, view.price_rule) == (50, NOW_MS, 2)
    assert (view.categories, view.keywords, view.language) == (("fashion",), ("shoes",), "de")
    (place,) = view.placements
    assert place.shapes == ((1, 300, 250), (1, 728, 90), (2, 0, 0))
    assert (place.floor_micros, place.position) == (500_000, 2)
    assert (place.blocked_categories, place.blocked_advertisers) == (("gambling",), ("rival.example",))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"request_id": "x" * 65}, {"request_id"}),
        ({"session_id": "x" * 65}, {"session_id"}),
        ({"visitor": common.Visitor(visitor_id="x" * 65)}, {"visitor.visitor_id"}),
        ({"visitor": common.Visitor(segments=["x"] * 33)}, {"visitor.segments"}),
        ({"visitor": common.Visitor(segments=["x" * 65])}, {"visitor.segments[0]"}),
        (
            {"visitor": common.Visitor(affinities=[common.Affinity(product_id="p", weight=float("nan"))])},
            {"visitor.affinities[0].weight"},
        ),
        (
            {"visitor": common.Visitor(affinities=[common.Affinity(product_id="p" * 65, weight=-1)])},
            {"visitor.affinities[0].product_id", "visitor.affinities[0].weight"},
        ),
        ({"page": common.Page(url="x" * 2049)}, {"page.url"}),
        ({"page": common.Page(categories=["x"] * 33, keywords=["y"] * 65)}, {"page.categories", "page.keywords"}),
        ({"page": common.Page(keywords=["ok", "x" * 65])}, {"page.keywords[1]"}),
        ({"device": common.Device(country="Germany")}, {"device.country"}),
        ({"currency": "USD"}, {"currency"}),
        ({"currency": "euro"}, {"currency"}),
        ({"price_rule": 7}, {"price_rule"}),
        ({"tmax_ms": 10_001}, {"tmax_ms"}),
        ({"viewed_at_ms": -1}, {"viewed_at_ms"}),
        ({"viewed_at_ms": 1 << 60}, {"viewed_at_ms"}),
        ({"placements": []}, {"placements"}),
        ({"placements": [a_place(placement_id=str(n)) for n in range(33)]}, {"placements"}),
        ({"placements": [a_place(), a_place()]}, {"placements[1].placement_id"}),
        ({"placements": [a_place(placement_id="")]}, {"placements[0].placement_id"}),
        ({"placements": [a_place(formats=[])]}, {"placements[0].formats"}),
        ({"placements": [a_place(formats=[9])]}, {"placements[0].formats"}),
        ({"placements": [a_place(sizes=[])]}, {"placements[0].sizes"}),
        ({"placements": [a_place(sizes=[exchange.Size(width=0, height=10)])]}, {"placements[0].sizes[0]"}),
        ({"placements": [a_place(sizes=[exchange.Size(width=1, height=1)] * 17)]}, {"placements[0].sizes"}),
        ({"placements": [a_place(floor_micros=-1)]}, {"placements[0].floor_micros"}),
        ({"placements": [a_place(floor_micros=1 << 62)]}, {"placements[0].floor_micros"}),
        ({"placements": [a_place(blocked_categories=["x"] * 257)]}, {"placements[0].blocked_categories"}),
        (
            {"currency": "USD", "tmax_ms": 99_999, "placements": [a_place(formats=[], floor_micros=-1)]},
            {"currency", "tmax_ms", "placements[0].formats", "placements[0].floor_micros"},
        ),
    ],
    ids=lambda value: ",".join(sorted(value)) if isinstance(value, set) else "",
)
def test_what_cannot_be_taken_is_named_all_at_once(changes: dict[str, Any], fields: set[str]) -> None:
    assert refused(a_message(**changes)) == fields


def test_who_may_take_part_is_read() -> None:
    place = a_place(
        formats=[1, 3, 4],
        deals=[
            exchange.Deal(
                deal_id="d",
                floor_micros=7,
                price_rule=3,
                seats=["s"],
                advertiser_domains=["A.example"],
                guaranteed=True,
            )
        ],
        flex_sizes=[exchange.FlexSize(width_ratio=6, height_ratio=5, least_width=200)],
        secure=True,
        blocked_attributes=[1, 6],
        blocked_apps=["app.example"],
        video=exchange.VideoTerms(mimes=["Video/MP4"], least_duration_s=5, most_duration_s=30, protocols=[7]),
        native_assets=[exchange.NativeAsset(id=1, kind="title", required=True, limit=25)],
        private_auction=True,
        for_sale_s=60,
    )
    message = a_message(
        placements=[place], test=True, allowed_seats=["s"], blocked_seats=["t"], allowed_languages=["EN"],
        allowed_categories=["IAB1"],
    )  # fmt: skip

    view = a_reader().read(message, NOW_MS, publisher_id="shop")

    (read,) = view.placements
    assert read.deals == (Deal("d", 7, 3, ("s",), ("a.example",), True),)
    assert read.flex_sizes == (FlexSize(6, 5, 200),)
    assert read.video == VideoTerms(("video/mp4",), 5, 30, (), (7,), -1)
    assert read.native == NativeTerms(((1, "title", 0, True, 25, 0, 0),))
    assert (read.secure, read.blocked_attributes, read.blocked_apps) == (True, (1, 6), ("app.example",))
    assert (read.private_auction, read.for_sale_s, read.shapes[-1]) == (True, 60, (4, 0, 0))
    assert (view.publisher_id, view.test) == ("shop", True)
    assert (view.allowed_seats, view.blocked_seats) == (("s",), ("t",))
    assert (view.allowed_languages, view.allowed_categories) == (("en",), ("iab1",))


def test_all_that_is_wrong_with_who_may_take_part_is_named_at_once() -> None:
    place = a_place(
        formats=[2],
        sizes=[],
        deals=[
            exchange.Deal(deal_id="", floor_micros=-1, price_rule=9, seats=[""]),
            exchange.Deal(deal_id="d", price_rule=3),
            exchange.Deal(deal_id="d", advertiser_domains=["x" * 254]),
        ],
        flex_sizes=[exchange.FlexSize(width_ratio=0, height_ratio=5)],
        blocked_attributes=[1] * 65,
        blocked_apps=[""],
        video=exchange.VideoTerms(
            mimes=["mp4"], least_duration_s=9, most_duration_s=5, required_durations_s=[6], slot_in_pod=-2,
            least_cpm_per_second_micros=-1, pod_ads=99, pod_duration_s=99_999, pod_id="x" * 65,
        ),
        native_assets=[exchange.NativeAsset(id=1, kind="sound"), exchange.NativeAsset(id=1, kind="img", width=20_000)],
        for_sale_s=100_000,
    )  # fmt: skip
    message = a_message(
        placements=[place, a_place(placement_id="b", private_auction=True)], allowed_seats=[""],
        blocked_seats=["x" * 65], allowed_languages=["en"] * 65, allowed_categories=["x" * 65],
    )  # fmt: skip

    at = "placements[0]"
    assert refused(message) == {
        f"{at}.deals[0].deal_id", f"{at}.deals[0].floor_micros", f"{at}.deals[0].price_rule", f"{at}.deals[0].seats[0]",
        f"{at}.deals[1].floor_micros", f"{at}.deals[2].deal_id", f"{at}.deals[2].advertiser_domains[0]",
        f"{at}.flex_sizes[0]", f"{at}.flex_sizes", f"{at}.blocked_attributes", f"{at}.blocked_apps[0]",
        f"{at}.video.mimes[0]", f"{at}.video.required_durations_s", f"{at}.video.least_duration_s",
        f"{at}.video.slot_in_pod", f"{at}.video.least_cpm_per_second_micros", f"{at}.video.pod_ads",
        f"{at}.video.pod_duration_s", f"{at}.video.pod_id", f"{at}.native_assets", f"{at}.native_assets[0].kind",
        f"{at}.native_assets[1]", f"{at}.for_sale_s", "placements[1].deals",
        "allowed_seats[0]", "blocked_seats[0]", "allowed_languages", "allowed_categories[0]",
    }  # fmt: skip


def test_flexible_sizes_are_sizes_for_a_banner_and_not_for_a_video() -> None:
    flex = [exchange.FlexSize(width_ratio=6, height_ratio=5)]
    banner = a_place(formats=[1], sizes=[], flex_sizes=flex)

    assert a_reader().read(a_message(placements=[banner]), NOW_MS).placements[0].shapes == ()
    assert refused(a_message(placements=[a_place(formats=[1, 3], sizes=[], flex_sizes=flex)])) == {
        "placements[0].sizes"
    }


def test_a_product_listing_needs_no_size() -> None:
    place = a_place(formats=[exchange.FORMAT_PRODUCT_LISTING], sizes=[])

    view = a_reader().read(a_message(placements=[place]), NOW_MS)

    assert view.placements[0].shapes == ((2, 0, 0),)


def test_bytes_that_are_no_page_view_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no such message"):
        a_reader().from_bytes(b"\xff\xff\xff", NOW_MS)


def test_a_refused_placement_is_refused_again() -> None:
    reader = a_reader()
    bad = a_message(placements=[a_place(floor_micros=-1)])
    for _ in range(2):
        with pytest.raises(InvalidInput):
            reader.read(bad, NOW_MS)


def test_the_same_placement_in_another_place_is_the_same() -> None:
    reader = a_reader()

    first = reader.read(a_message(placements=[a_place()]), NOW_MS)
    second = reader.read(a_message(placements=[a_place(placement_id="other"), a_place()]), NOW_MS)

    assert second.placements[1] == first.placements[0]
    assert second.placements[0].placement_id == "other"


@pytest.mark.parametrize(
    "agreed",
    [
        common.Consent(),
        common.Consent(granted=[common.PURPOSE_PERSONALISED_ADS]),
        common.Consent(granted=ALL, child_directed=True),
    ],
    ids=["nothing", "no remembering", "child"],
)
def test_without_consent_the_log_sees_neither_visitor_nor_session(agreed: common.Consent) -> None:
    message = a_message(consent=agreed)

    view = a_reader().read(message, NOW_MS)

    kept = exchange.PageView.FromString(view.wire)
    assert view.permissions == 0
    assert not kept.HasField("visitor")
    assert kept.session_id == ""
    assert b"ann" not in view.wire
    assert kept.placements == message.placements


def test_without_consent_to_personalise_the_log_sees_the_id_alone() -> None:
    visitor = common.Visitor(visitor_id="ann", segments=["club=gold"])
    visitor.affinities.add(product_id="chair", weight=2.0)
    message = exchange.PageView(
        session_id="s1", visitor=visitor, consent=common.Consent(granted=[common.PURPOSE_REMEMBER]),
        placements=[exchange.Placement(placement_id="top", formats=[exchange.FORMAT_PRODUCT_LISTING])],
    )  # fmt: skip

    kept = exchange.PageView.FromString(a_reader().read(message, NOW_MS).wire)

    assert (kept.session_id, kept.visitor) == ("s1", common.Visitor(visitor_id="ann"))
    assert kept.placements == message.placements


def test_with_consent_the_log_sees_what_was_sent() -> None:
    message = a_message()

    assert a_reader().read(message, NOW_MS).wire == message.SerializeToString()


def test_another_currency_is_taken_where_there_is_a_rate() -> None:
    reader = PageViewReader(currency="EUR", tmax_ms=50, knows_currency=lambda code: code == "GBP")

    assert reader.read(a_message(currency="GBP"), NOW_MS).currency == "GBP"
    assert reader.read(a_message(currency="EUR"), NOW_MS).currency == ""
    with pytest.raises(InvalidInput):
        reader.read(a_message(currency="USD"), NOW_MS)


@pytest.mark.parametrize("rule", [501, 502])
def test_the_exchanges_own_price_rules_are_taken(rule: int) -> None:
    assert a_reader().read(a_message(price_rule=rule), NOW_MS).price_rule == rule


def test_page_rules_are_read_and_checked() -> None:
    reader = a_reader()
    assert reader.read(a_message(), NOW_MS).page_rules is None
    assert reader.read(a_message(page_rules=exchange.PageRules()), NOW_MS).page_rules == PageRules()
    several = reader.read(
        a_message(page_rules=exchange.PageRules(most_per_advertiser=0, separate_categories=True)), NOW_MS
    )
    assert several.page_rules == PageRules(most_per_advertiser=0, separate_categories=True)
    with pytest.raises(InvalidInput) as refused:
        reader.read(
            a_message(page_rules=exchange.PageRules(most_ads_share=math.nan, most_share_per_advertiser=1.5)), NOW_MS
        )
    assert {error.field for error in refused.value.errors} == {
        "page_rules.most_ads_share", "page_rules.most_share_per_advertiser",
    }  # fmt: skip


def test_currencies_of_bids_are_few_and_well_formed() -> None:
    reader = a_reader()
    assert reader.read(a_message(currencies=["USD", "EUR"]), NOW_MS).currencies == ("USD", "EUR")
    with pytest.raises(InvalidInput):
        reader.read(a_message(currencies=["usd"]), NOW_MS)
    with pytest.raises(InvalidInput):
        reader.read(a_message(currencies=["USD"] * 33), NOW_MS)


def test_a_dynamic_pod_is_read_as_its_slots_and_stands_so_in_the_log() -> None:
    video = exchange.VideoTerms(pod_id="pod", pod_duration_s=60, pod_ads=3, mimes=["video/mp4"], pod_sequence=1)
    message = exchange.PageView(
        placements=[
            exchange.Placement(
                placement_id="top", formats=[exchange.FORMAT_BANNER], sizes=[exchange.Size(width=300, height=250)]
            ),
            exchange.Placement(
                placement_id="break",
                formats=[exchange.FORMAT_VIDEO],
                sizes=[exchange.Size(width=640, height=360)],
                video=video,
                secure=True,
            ),
        ]
    )
    reader = PageViewReader(currency="EUR", tmax_ms=50)

    view = reader.from_bytes(message.SerializeToString(), 1_700_000_000_000)

    assert [placement.placement_id for placement in view.placements] == ["top", "break/1", "break/2", "break/3"]
    terms = [placement.video for placement in view.placements[1:]]
    assert [term and (term.slot_in_pod, term.pod_ads, term.pod_sequence) for term in terms] == [
        (1, 1, 1), (0, 1, 1), (-1, 1, 1)
    ]  # fmt: skip
    logged = exchange.PageView.FromString(view.wire)
    assert [placement.placement_id for placement in logged.placements] == ["top", "break/1", "break/2", "break/3"]
    # What is read off the log is what was sold.
    assert reader.from_bytes(view.wire, 1_700_000_000_000).placements == view.placements


def test_what_many_page_views_share_is_read_once_and_who_looks_each_time() -> None:
    reader = a_reader()
    first = reader.read(a_message(), NOW_MS)
    other = common.Visitor(visitor_id="bob", segments=["age=40"])

    second = reader.read(a_message(request_id="r2", session_id="s2", visitor=other, viewed_at_ms=NOW_MS + 5), NOW_MS)

    assert second.placements is first.placements
    assert (second.request_id, second.session_id, second.visitor_id) == ("r2", "s2", "bob")
    assert (second.segments, second.affinities, second.viewed_at_ms) == (("age=40",), (), NOW_MS + 5)
    alone = a_reader().read(a_message(request_id="r2", session_id="s2", visitor=other, viewed_at_ms=NOW_MS + 5), NOW_MS)
    assert second == alone


@pytest.mark.parametrize(
    "changes",
    [
        {"test": True}, {"tmax_ms": 60}, {"price_rule": 501}, {"allowed_seats": ["s"]}, {"currencies": ["USD"]},
        {"page": common.Page(url="https://shop.example/2")}, {"consent": common.Consent()},
        {"device": common.Device(country="FR")}, {"placements": [a_place(floor_micros=1)]},
        {"page_rules": exchange.PageRules(most_ads=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_what_differs_is_never_taken_for_what_was_read_before(changes: dict[str, Any]) -> None:
    reader = a_reader()
    before = reader.read(a_message(), NOW_MS)

    after = reader.read(a_message(**changes), NOW_MS)

    assert after == a_reader().read(a_message(**changes), NOW_MS) != before
    assert reader.read(a_message(), NOW_MS) == before


def test_a_currency_whose_rate_is_gone_is_refused_though_it_was_taken_before() -> None:
    known = {"GBP"}
    reader = PageViewReader(currency="EUR", tmax_ms=50, knows_currency=known.__contains__)
    assert reader.read(a_message(currency="GBP"), NOW_MS).currency == "GBP"

    known.clear()

    with pytest.raises(InvalidInput, match="currency"):
        reader.read(a_message(currency="GBP"), NOW_MS)


def test_what_is_remembered_is_bounded() -> None:
    reader = a_reader()
    for number in range(10_050):
        reader.read(a_message(tmax_ms=1, page=common.Page(url=f"https://shop.example/{number}")), NOW_MS)
    reader.read(a_message(page=common.Page(keywords=["x" * 64] * 64), allowed_categories=["y" * 64] * 100), NOW_MS)

    known = reader._parts._known
    assert 0 < len(known) <= 10_000
    assert max(map(len, known)) <= 4_096


def test_fields_twice_and_of_another_kind_leave_no_visitor_in_the_log() -> None:
    """Messages joined count as one; a session of another wire type is a field that nobody knows."""
    message = a_message(consent=common.Consent())
    data = (
        message.SerializeToString()
        + exchange.PageView(
            session_id="session-2", visitor=common.Visitor(visitor_id="bob", segments=["club=gold"])
        ).SerializeToString()
    )

    view = a_reader().from_bytes(data, NOW_MS)

    assert (view.session_id, view.visitor_id, view.segments) == ("session-2", "bob", ("age=30", "club=gold"))
    kept = exchange.PageView.FromString(view.wire)
    assert (kept.session_id, kept.HasField("visitor")) == ("", False)
    for said in (b"session-1", b"session-2", b"ann", b"bob", b"gold"):
        assert said not in view.wire
