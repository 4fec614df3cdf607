from __future__ import annotations

from base64 import b64decode
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.notice_urls import BidFacts, can_be_called, in_markup, in_url, macros, with_impression_time

WON = BidFacts(
    auction_id="a" * 32, imp_id="top", bid_id="b-1", seat="seat & sons", creative_id="c-9", currency="EUR",
    bid_micros=2_000_000, price_micros=1_250_000, loss=0, min_to_win_micros=1_240_001, seen_at_ms=1_700_000_000_123,
    discount_share=0.05, discount_micros=62_500,
)  # fmt: skip
VALUES = {
    "AUCTION_ID": "a" * 32,
    "AUCTION_BID_ID": "b-1",
    "AUCTION_IMP_ID": "top",
    "AUCTION_SEAT_ID": "seat & sons",
    "AUCTION_AD_ID": "c-9",
    "AUCTION_PRICE": "1.25",
    "AUCTION_CURRENCY": "EUR",
    "AUCTION_MBR": "0.6250",
    "AUCTION_LOSS": "0",
    "AUCTION_MIN_TO_WIN": "1.240001",
    "AUCTION_MULTIPLIER": "1",
    "AUCTION_IMP_TS": "1700000000123",
    "AUCTION_DISCOUNT_PCT": "0.0500",
    "AUCTION_DISCOUNT_CPM": "0.0625",
}
MONEY = {"AUCTION_PRICE", "AUCTION_MBR", "AUCTION_MIN_TO_WIN", "AUCTION_DISCOUNT_PCT", "AUCTION_DISCOUNT_CPM"}


def test_there_are_fourteen_macros() -> None:
    assert macros(WON) == VALUES
    assert len(VALUES) == 14


@pytest.mark.parametrize("name", VALUES)
def test_each_macro_is_replaced_in_a_url(name: str) -> None:
    url = in_url(f"https://b.example/n?x=${{{name}}}&y=${{{name}:B64}}&z=${{{name}:ROT13}}&k=1", WON)

    query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert query["x"] == [VALUES[name]]
    assert b64decode(query["y"][0]).decode() == VALUES[name]
    assert query["z"] == [""]
    assert query["k"] == ["1"]


def test_what_is_not_known_becomes_empty() -> None:
    facts = BidFacts(auction_id="a", imp_id="i", multiplier=None)

    assert {name for name, value in macros(facts).items() if value} == {"AUCTION_ID", "AUCTION_IMP_ID"}
    assert in_url("https://b.example/${AUCTION_PRICE}/${AUCTION_NONSENSE}/${OTHER}", facts) == (
        "https://b.example///${OTHER}"
    )


def test_a_loser_is_told_why_and_no_price() -> None:
    facts = BidFacts(auction_id="a", imp_id="i", bid_micros=5, loss=102, min_to_win_micros=990_000)

    assert in_url("${AUCTION_LOSS}|${AUCTION_PRICE}|${AUCTION_MIN_TO_WIN}", facts) == "102||0.99"


def test_a_test_brings_no_money_along() -> None:
    import msgspec

    tested = macros(msgspec.structs.replace(WON, test=True))

    assert {name for name, value in tested.items() if value == "AUDIT"} == MONEY
    assert tested["AUCTION_ID"] == "a" * 32


def test_the_impressions_time_may_come_later() -> None:
    half = in_url("https://b.example/?p=${AUCTION_PRICE}&t=${AUCTION_IMP_TS}", WON, keep_impression_time=True)

    assert half == "https://b.example/?p=1.25&t=${AUCTION_IMP_TS}"
    assert with_impression_time(half, 42) == "https://b.example/?p=1.25&t=42"


@given(st.text(max_size=50))
def test_a_seats_name_cannot_break_out_of_an_address_or_of_markup(seat: str) -> None:
    try:
        seat.encode()
    except UnicodeEncodeError:
        return
    facts = BidFacts(auction_id="a", imp_id="i", seat=seat)
    url, markup = in_url("${AUCTION_SEAT_ID}", facts), in_markup("${AUCTION_SEAT_ID}", facts)

    assert unquote(url) == unquote(markup) == seat
    assert not set(url) & set("&?#/ <>\"'")
    assert not set(markup) & set("&<>\"'\\")


@pytest.mark.parametrize("url", ["", "https://b.example/n?p=${AUCTION_PRICE}", "http://1.2.3.4:8080/x"])
def test_addresses_that_may_be_tried(url: str) -> None:
    assert can_be_called(url)


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example/", "https://", "https://a b", 'https://a"b', "https://a\\b", "x", "https://é.example/",
     "https://a/" + "x" * 2048],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    assert not can_be_called(url)
