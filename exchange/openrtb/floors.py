"""What is a price of a request in whole micros of the auction's currency? Floors round up, so none is undercut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any, Final, Protocol

from common.money import MICROS
from exchange.request import LengthFloors

# OpenRTB 2.6 §3.2.4 and §3.2.12: the currency of a floor that names none; a deal does not inherit its impression's.
DEFAULT_CURRENCY: Final = "USD"

# A range of lengths without an end.
LONGEST_S: Final = 86_400


class Rates(Protocol):
    """What one currency is worth in another."""

    def convert(self, micros: int, source: str, target: str, *, up: bool) -> int | None:
        """`micros` of `source` in whole micros of `target`, rounded up or down; None when there is no rate."""


class OneCurrency:
    """Rates of an exchange that knows none: a currency is worth itself."""

    def convert(self, micros: int, source: str, target: str, *, up: bool) -> int | None:
        """The same amount in the same currency."""
        return micros if source == target else None


class Table(Protocol):
    """Rates of one moment; KeyError where it has none."""

    def up(self, micros: int, of: str, into: str) -> int:
        """Micros of `into`, rounded up."""

    def down(self, micros: int, of: str, into: str) -> int:
        """Micros of `into`, rounded down."""


class RatesOfTable:
    """Rates of the table that holds now."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    def convert(self, micros: int, source: str, target: str, *, up: bool) -> int | None:
        """By the table, and the same amount in the same currency without it."""
        if source == target:
            return micros
        table = self._table()
        try:
            return (table.up if up else table.down)(micros, source, target)
        except KeyError:
            return None


@lru_cache(maxsize=8_192)
def micros_up(price: float) -> int:
    """A price as whole micros, rounded up; what is written in up to six decimals is exact."""
    return int((Decimal(repr(price)) * MICROS).to_integral_value(ROUND_CEILING))


def floor_micros(held: Mapping[str, Any], rates: Rates, currency: str) -> int | None:
    """The `bidfloor` of an impression, a deal or a duration in micros of `currency`; None when there is no rate."""
    price = held.get("bidfloor")
    if not price:
        return 0
    return rates.convert(micros_up(price), held.get("bidfloorcur", DEFAULT_CURRENCY), currency, up=True)


def floors_by_length(held: Mapping[str, Any], source: str, rates: Rates, currency: str) -> LengthFloors | None:
    """`durfloors` or `mincpmpersec` of a video or a deal, whose floors are in `source`, in micros of `currency`; None
    when there is no rate.
    """
    ranges: list[tuple[int, int, int]] = []
    for one in held.get("durfloors") or ():
        floor = floor_micros({**one, "bidfloorcur": source}, rates, currency)
        if floor is None:
            return None
        ranges.append((one.get("mindur", 1), one.get("maxdur", LONGEST_S), floor))
    per_second = floor_micros({"bidfloor": held.get("mincpmpersec"), "bidfloorcur": source}, rates, currency)
    return None if per_second is None else LengthFloors(tuple(ranges), per_second)
