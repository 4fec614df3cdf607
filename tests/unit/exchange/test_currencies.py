"""Money of other currencies: the table and its file, what is compared, what is paid, what is recorded."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import SteppedClock
from common.errors import InvalidInput
from exchange.currencies import BUILT_IN, Currencies, bid_rate, read_rates
from exchange.eligibility import CODES
from exchange.recovery import _other_currencies
from exchange.refusals import Refusal
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Record
from tests.builders import Market, a_line_item, a_placement

GOOD: dict[str, Any] = {
    "source": "the bank's fixing", "at": "2026-07-31T14:15:00Z", "base": "EUR", "rates": {"USD": 1.25, "GBP": "0.8"},
}  # fmt: skip


def test_json_and_toml_are_the_same_table() -> None:
    toml = b"""
source = "the bank's fixing"
at = 2026-07-31T14:15:00Z
base = "EUR"
[rates]
USD = 1.25
GBP = "0.80"
"""
    one, two = read_rates(json.dumps(GOOD).encode(), "rates.json"), read_rates(toml, "rates.toml")

    assert one == two
    assert one.version.startswith("2026-07-31-")
    assert one.rate("USD", "EUR") == Fraction(4, 5)
    assert one.rate("USD", "GBP") == Fraction(16, 25)
    assert one.rate("EUR", "JPY") is None
    assert one.factor("JPY", "EUR") == 0.0


def test_another_rate_is_another_version() -> None:
    other = {**GOOD, "rates": {"USD": 1.26, "GBP": "0.8"}}

    assert (
        read_rates(json.dumps(GOOD).encode(), "a.json").version
        != read_rates(json.dumps(other).encode(), "a.json").version
    )


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = {
        "source": "", "at": "yesterday", "base": "euro",
        "rates": {"USD": 0, "GBP": "NaN", "CHF": -1, "JPY": "1e308", "SEK": True, "x": 1, "NOK": [1]},
    }  # fmt: skip

    with pytest.raises(InvalidInput) as refused:
        read_rates(json.dumps(wrong).encode(), "rates.json")

    fields = {error.field for error in refused.value.errors}
    assert {"rates.json: source", "rates.json: at", "rates.json: base", "rates.json: rates"} <= fields
    assert {f"rates.json: rates.{code}" for code in ("USD", "GBP", "CHF", "JPY", "SEK", "NOK")} <= fields


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.toml"]))
def test_no_file_of_rates_does_more_than_be_refused(data: bytes, name: str) -> None:
    with pytest.raises(InvalidInput):
        read_rates(data, name)


def test_a_file_that_goes_bad_leaves_the_last_rates_and_they_grow_stale() -> None:
    clock = SteppedClock()
    content = [json.dumps(GOOD).encode()]
    currencies = Currencies(own="EUR", clock=clock, read=lambda: (content[0], "rates.json"), stale_after_s=3600)
    assert currencies.table is BUILT_IN
    assert currencies.refresh()
    assert not currencies.refresh()
    version = currencies.table.version

    content[0] = b"{"
    with pytest.raises(InvalidInput):
        currencies.refresh()
    content[0] = json.dumps({**GOOD, "base": "USD", "rates": {"GBP": 1}}).encode()
    with pytest.raises(InvalidInput, match="EUR"):
        currencies.refresh()

    assert currencies.table.version == version
    assert currencies.is_stale() == (currencies.age_s() > 3600)


def test_the_built_in_table_says_its_day_and_that_it_is_for_trying_out() -> None:
    assert BUILT_IN.version.startswith("2025-01-02-")
    assert "trying" in BUILT_IN.source


@given(
    st.integers(0, 10**15),
    st.sampled_from(sorted(BUILT_IN.currencies())),
    st.sampled_from(sorted(BUILT_IN.currencies())),
)
def test_there_and_back_a_floor_is_never_lost(micros: int, of: str, into: str) -> None:
    assert BUILT_IN.down(BUILT_IN.up(micros, of, into), into, of) >= micros


def test_an_outside_bid_needs_a_rate_and_the_leave_of_the_request() -> None:
    assert bid_rate(BUILT_IN, "EUR", "EUR") == 1.0
    assert bid_rate(BUILT_IN, "USD", "EUR") == 0.0
    assert bid_rate(BUILT_IN, "USD", "EUR", ("USD", "EUR")) == pytest.approx(1 / 1.03)
    assert bid_rate(BUILT_IN, "EUR", "EUR", ("USD",)) == 0.0
    assert bid_rate(BUILT_IN, "XAU", "EUR", ("XAU",)) == 0.0


def outcomes(market: Market) -> set[Refusal]:
    assert market.tally.outcomes is not None
    return {Refusal(code) for code, count in zip(CODES, market.tally.outcomes, strict=True) if count}


async def test_a_line_item_in_dollars_wins_by_its_worth_and_pays_dollars() -> None:
    dollars = a_line_item(1, currency="USD", bid_micros=3_090_000)
    market = Market([dollars, a_line_item(2, bid_micros=2_000_000)])

    answer = await market.ask_one()

    ad = answer.placements[0].ad
    assert ad is not None
    (held,) = market.held
    # 3.09 USD are 3.00 EUR; the price is 2.01 EUR, which is 2.0703 USD, and in the answer it is told in EUR.
    assert ad.line_item_id == "item-1"
    assert held.price_micros.tolist() == [2_070_300]
    assert held.reserved_micros.tolist() == [2_071]
    assert (held.currency, held.currencies) == ("EUR", {0: "USD"})
    assert (ad.price_micros, ad.currency) == (2_010_000, "EUR")


async def test_what_was_converted_is_in_the_record_with_its_table() -> None:
    market = Market([a_line_item(1, currency="USD", bid_micros=3_090_000), a_line_item(2, bid_micros=2_000_000)])

    await market.ask_one()

    columns = schemas.decode("auctions", Record(0, 0, encode_auctions(market.published[0])))
    assert isinstance(columns, AuctionColumns)
    assert columns.rate_table == BUILT_IN.version
    assert columns.currencies == ["EUR", "USD"]
    assert columns.currency_rates.tolist() == [1.0, pytest.approx(1 / 1.03)]
    winner = columns.winner_row_plus_one.astype("int64") - 1
    assert [columns.currencies[code] for code in columns.bid_currency[winner]] == ["USD"]
    assert _other_currencies(columns, winner) == {0: "USD"}


async def test_a_record_without_other_currencies_deals_or_rules_has_none_of_their_columns() -> None:
    market = Market([a_line_item(1)])

    await market.ask_one()

    columns = market.published[0]
    assert (columns.rate_table, columns.currencies, columns.deals) == ("", [], [])
    assert not columns.bid_currency.size
    assert not columns.most_ads.size
    assert columns.floor_micros.tolist() == [500_000]


async def test_a_page_view_in_pounds_has_its_floor_and_its_price_in_pounds() -> None:
    market = Market([a_line_item(1, bid_micros=3_000_000)])

    answer = await market.ask_one(currency="GBP", placements=(a_placement("top", floor_micros=830_000),))

    ad = answer.placements[0].ad
    assert ad is not None
    assert (ad.price_micros, ad.currency) == (830_000, "GBP")
    assert market.held[0].price_micros.tolist() == [1_000_000]
    assert market.published[0].floor_micros.tolist() == [1_000_000]


async def test_a_line_item_without_a_rate_is_refused_with_its_number() -> None:
    market = Market([a_line_item(1, currency="XAU")])

    answer = await market.ask_one()

    assert answer.placements[0].no_ad_reason == Refusal.WRONG_CURRENCY
    assert outcomes(market) == {Refusal.WRONG_CURRENCY}


async def test_a_session_that_asks_in_another_currency_asks_something_else() -> None:
    market = Market([a_line_item(1)])

    euros = await market.ask_one(session_id="s")
    pounds = await market.ask_one(session_id="s", currency="GBP")
    again = await market.ask_one(session_id="s", currency="GBP")

    assert (euros.kept, pounds.kept, again.kept) == (False, False, True)
    assert [answer.placements[0].ad and answer.placements[0].ad.currency for answer in (euros, pounds, again)] == [
        "EUR", "GBP", "GBP",
    ]  # fmt: skip
