"""Which placement does an impression offer?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from exchange.openrtb.floors import OneCurrency, RatesOfTable, micros_up
from exchange.openrtb.placements import ID_LIMIT, Blocks, NotOffered, placement_ids, read_placement
from exchange.request import LengthFloors, Placement
from tests.openrtb_desk import Rates

NO_BLOCKS = Blocks((), (), ())
BANNER = {"w": 300, "h": 250}


def placement(**imp: Any) -> Placement:
    found = read_placement({"id": "1", **imp}, "top", NO_BLOCKS, Rates(), "EUR")
    assert isinstance(found, Placement)
    return found


@pytest.mark.parametrize(
    ("price", "micros"),
    [(0.1, 100_000), (1.234567, 1_234_567), (0.0000001, 1), (2, 2_000_000), (1.0000001, 1_000_001), (0.53, 530_000)],
)
def test_a_price_becomes_whole_micros_and_never_less_than_it_was(price: float, micros: int) -> None:
    assert micros_up(price) == micros


def test_a_floor_is_converted_and_rounded_up() -> None:
    assert placement(banner=BANNER, bidfloor=1.000001, bidfloorcur="USD").floor_micros == 900_001
    assert placement(banner=BANNER, bidfloor=1).floor_micros == 900_000
    assert placement(banner=BANNER, bidfloor=1, bidfloorcur="EUR").floor_micros == 1_000_000
    assert placement(banner=BANNER).floor_micros == 0


def test_a_floor_without_a_rate_is_not_offered() -> None:
    imp = {"id": "1", "banner": BANNER, "bidfloor": 1, "bidfloorcur": "USD"}

    assert read_placement(imp, "top", NO_BLOCKS, OneCurrency(), "EUR") is NotOffered.UNSUPPORTED_CURRENCY


class Table:
    """A dollar is three fifths of a euro; nothing else is known."""

    def up(self, micros: int, of: str, into: str) -> int:
        return -(-micros * 3 // {("USD", "EUR"): 5}[of, into])

    def down(self, micros: int, of: str, into: str) -> int:
        return micros * 3 // {("USD", "EUR"): 5}[of, into]


def test_rates_are_those_of_the_table_that_holds_now() -> None:
    tables = [Table()]
    rates = RatesOfTable(lambda: tables[-1])

    assert rates.convert(1, "USD", "EUR", up=True) == 1
    assert rates.convert(1, "USD", "EUR", up=False) == 0
    assert rates.convert(1, "GBP", "EUR", up=True) is None
    assert rates.convert(7, "GBP", "GBP", up=True) == 7


def test_floors_by_length_are_in_the_currency_of_their_impression_or_deal() -> None:
    ranges = [{"mindur": 1, "maxdur": 15, "bidfloor": 2}, {"mindur": 16, "bidfloor": 4}]
    deals = [{"id": "d1", "bidfloorcur": "GBP", "mincpmpersec": 0.2}, {"id": "d2", "durfloors": ranges}]
    video = {"mimes": ["video/mp4"], "durfloors": ranges}

    found = placement(video=video, bidfloor=3, bidfloorcur="EUR", pmp={"deals": deals})

    assert found.floor_micros == 3_000_000
    assert found.video is not None
    assert found.video.floor_ranges == ((1, 15, 2_000_000), (16, 86_400, 4_000_000))
    assert [deal.by_length for deal in found.deals] == [
        LengthFloors(per_second_micros=250_000), LengthFloors(((1, 15, 1_800_000), (16, 86_400, 3_600_000)))
    ]  # fmt: skip


def test_floors_by_length_without_a_rate_are_not_offered() -> None:
    imp = {"id": "1", "bidfloorcur": "JPY", "video": {"mimes": ["video/mp4"], "durfloors": [{"bidfloor": 1}]}}

    assert read_placement(imp, "top", NO_BLOCKS, Rates(), "EUR") is NotOffered.UNSUPPORTED_CURRENCY


def test_a_deal_keeps_its_own_currency_and_one_that_cannot_be_kept_is_left_out() -> None:
    deals = [{"id": "d1", "bidfloor": 1}, {"id": "d2", "bidfloor": 1, "bidfloorcur": "JPY"}, {"id": "d3"}]

    found = placement(banner=BANNER, bidfloorcur="GBP", bidfloor=1, pmp={"private_auction": 1, "deals": deals})

    assert [(deal.deal_id, deal.floor_micros) for deal in found.deals] == [("d1", 900_000), ("d3", 0)]
    assert (found.floor_micros, found.private_auction) == (1_250_000, True)


def test_audio_alone_is_not_offered() -> None:
    imp = {"id": "1", "audio": {"mimes": ["audio/mp4"]}}

    assert read_placement(imp, "top", NO_BLOCKS, Rates(), "EUR") is NotOffered.UNSUPPORTED_FORMAT


def test_a_product_listing_is_offered_where_a_price_is_required() -> None:
    request = {"ver": "1.2", "context": 3, "assets": [
        {"id": 1, "required": 1, "title": {"len": 90}}, {"id": 2, "required": 1, "data": {"type": 6}},
        {"id": 3, "required": 1, "data": {"type": 13}},
    ]}  # fmt: skip

    assert placement(native={"request": json.dumps(request)}).shapes == ((4, 0, 0), (2, 0, 0))


def test_types_of_banners_and_frameworks_are_read() -> None:
    found = placement(banner={**BANNER, "btype": [1, 3], "api": [3]}, video={"mimes": ["video/mp4"], "api": [2]})

    assert (found.blocked_types, found.apis) == ((1, 3), (3, 2))
    assert placement(banner=BANNER).apis == ()


def test_attributes_that_any_format_blocks_are_blocked() -> None:
    found = placement(banner={**BANNER, "battr": [1]}, video={"mimes": ["video/mp4"], "battr": [2]}, secure=1, exp=60)

    assert (found.blocked_attributes, found.secure, found.for_sale_s) == ((1, 2), True, 60)


def listing(context: int = 1, data_type: int = 13, **imp: Any) -> list[int]:
    request = {"context": context, "assets": [{"id": 1, "required": 1, "data": {"type": data_type}}]}
    return [shape[0] for shape in placement(native={"request": json.dumps(request)}, **imp).shapes]


def test_a_native_placement_among_products_takes_listings_that_can_fill_it() -> None:
    assert listing(context=1) == [4]
    assert listing(context=3) == [4, 2]
    assert listing(context=3, data_type=8) == [4]
    assert listing(ext={"prodfeed": {"domain": "shop.example"}}) == [4, 2]


def test_blocked_product_categories_of_the_listing_extension_are_blocked() -> None:
    native = {"request": json.dumps({"context": 3, "assets": [{"id": 1, "title": {"len": 9}}]})}
    found = placement(native=native, ext={"prodfeed": {"bprodcat": ["Knives", 5]}})

    assert found.blocked_categories == ("knives",)


@pytest.mark.parametrize(
    ("imp", "name"),
    [
        ({"tagid": "top"}, "top"),
        ({"ext": {"bidder": {"placement": "side"}}}, "side"),
        ({"ext": {"prebid": {"bidder": {"haat": {"placement": "below"}}}}}, "below"),
        ({"ext": {"prebid": {"storedrequest": {"id": "stored"}}}}, "stored"),
        ({"ext": {"prebid": {"bidder": [1], "storedrequest": "x"}, "bidder": 5}}, "1"),
        ({}, "1"),
    ],
)
def test_a_placement_is_named_where_its_publisher_named_it(imp: dict[str, Any], name: str) -> None:
    assert placement_ids([{"id": "1", **imp}]) == [name]


def test_every_placement_has_a_name_of_its_own_of_bounded_length() -> None:
    imps = [{"id": "a", "tagid": "t"}, {"id": "b", "tagid": "t"}, {"id": "t"}, {"id": "x" * 200}]

    names = placement_ids(imps)

    assert names[:2] == ["t", "b"]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= ID_LIMIT
