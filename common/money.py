"""What does it cost? Integer micros of a currency: 1 EUR = 1,000,000 micros. Never a float."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

MICROS = 1_000_000

# Above this a price is a mistake: a million units of any currency.
ABSURD_PRICE_MICROS = 1_000_000 * MICROS
# Above this a budget is a mistake, and sums of budgets could leave 64 bits.
ABSURD_BUDGET_MICROS = 1_000_000_000 * MICROS

_CURRENCY = re.compile(r"[A-Z]{3}")


def is_currency(code: str) -> bool:
    """Does `code` have the form of an ISO 4217 code?"""
    return _CURRENCY.fullmatch(code) is not None


def reserve_for_impression(price_micros: int) -> int:
    """Whole micros that one impression may cost at most, at `price_micros` per thousand."""
    return -(-price_micros // 1000)


def bill_impression(price_micros: int, carried_thousandths: int) -> tuple[int, int]:
    """Bill one impression at `price_micros` per thousand.

    Returns the whole micros to bill and the thousandths of a micro carried to the next impression, so the sum over
    many impressions is exact. Never more than `reserve_for_impression(price_micros)` while the carry is under 1,000.
    """
    if not 0 <= carried_thousandths < 1000:
        raise ValueError(f"carried_thousandths is {carried_thousandths}, not within 0..999")
    return divmod(price_micros + carried_thousandths, 1000)


def converted_up(micros: int, rate: Decimal | Fraction) -> int:
    """Micros in another currency, `rate` of its units for one of these, rounded up: exact, whatever the digits."""
    over, under = rate.as_integer_ratio()
    return -(-micros * over // under)


def converted_down(micros: int, rate: Decimal | Fraction) -> int:
    """Micros in another currency, `rate` of its units for one of these, rounded down: exact, whatever the digits."""
    over, under = rate.as_integer_ratio()
    return micros * over // under


def split(total_micros: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weights so that the parts add up exactly (largest remainder; ties go to the first)."""
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative and one must be above zero")
    parts = [total_micros * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total_micros * weights[i] % whole), i))
    for i in by_remainder[: total_micros - sum(parts)]:
        parts[i] += 1
    return parts


def shown(micros: int, currency: str) -> str:
    """For people: `1,234.56 EUR`; the fourth digit and beyond are cut, never rounded up."""
    sign = "-" if micros < 0 else ""
    units, rest = divmod(abs(micros), MICROS)
    return f"{sign}{units:,}.{rest // 10_000:02d} {currency}"


def exactly(micros: int, currency: str) -> str:
    """For people who look closely: `0.003941 EUR`; every micro, and at least two digits behind the point."""
    sign = "-" if micros < 0 else ""
    units, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{units:,}.{digits} {currency}"
