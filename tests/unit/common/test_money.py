"""Money is exact: sums of many small bills, splits, and what people read."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import (
    bill_impression,
    converted_down,
    converted_up,
    exactly,
    is_currency,
    reserve_for_impression,
    shown,
    split,
)


@given(st.lists(st.integers(0, 10**9), max_size=200))
def test_many_impressions_bill_exactly_their_sum_and_never_above_their_reservation(prices: list[int]) -> None:
    billed = carried = 0
    for price in prices:
        bill, carried = bill_impression(price, carried)
        assert 0 <= bill <= reserve_for_impression(price)
        billed += bill

    assert billed * 1000 + carried == sum(prices)


def test_a_carry_that_cannot_be_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="1000"):
        bill_impression(1, 1000)


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_the_parts_of_a_split_add_up_and_are_fair_to_a_micro(total: int, weights: list[int]) -> None:
    parts = split(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


@pytest.mark.parametrize(
    ("micros", "short", "full"),
    [
        (0, "0.00 EUR", "0.00 EUR"),
        (3_941, "0.00 EUR", "0.003941 EUR"),
        (1_234_567_890_000, "1,234,567.89 EUR", "1,234,567.89 EUR"),
        (-1_999_999, "-1.99 EUR", "-1.999999 EUR"),
        (500_000, "0.50 EUR", "0.50 EUR"),
    ],
)
def test_money_is_shown_short_or_in_full(micros: int, short: str, full: str) -> None:
    assert shown(micros, "EUR") == short
    assert exactly(micros, "EUR") == full


@pytest.mark.parametrize(
    ("code", "good"), [("EUR", True), ("eur", False), ("EURO", False), ("", False), ("E1R", False)]
)
def test_a_currency_is_three_capital_letters(code: str, good: bool) -> None:
    assert is_currency(code) is good


def test_conversion_is_exact_and_rounds_the_way_it_says() -> None:
    third = Fraction(1, 3)

    assert (converted_up(10, third), converted_down(10, third)) == (4, 3)
    assert converted_up(9, third) == converted_down(9, third) == 3
    assert converted_up(10**18, Decimal("1.1")) == 11 * 10**17
