"""What is money of one currency in another? A dated table of rates, and where it stands in the auction.

Everything is compared in the auction's currency. Floors are rounded up on their way into it, what people are shown is
rounded down on its way out; what a winner pays is found in the currency of its own bid and billed in that.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from common.money import converted_down, converted_up, is_currency

# A file of rates is small, and no two currencies of the world are further apart.
LARGEST_FILE_BYTES: Final = 1 << 18
MOST_CURRENCIES: Final = 512
LEAST_RATE: Final = Decimal("0.000001")
MOST_RATE: Final = Decimal(1_000_000)
# Central banks do not publish on weekends and holidays.
STALE_AFTER_S: Final = 5 * 86_400


class RateTable(msgspec.Struct, frozen=True):
    """Rates of one moment: `rates[code]` units of that currency are worth one unit of `base`.

    `version` names the table in records of auctions: its day and the beginning of a hash over its rates.
    """

    version: str
    source: str
    at_ms: int
    base: str
    rates: Mapping[str, Decimal]

    def rate(self, of: str, into: str) -> Fraction | None:
        """Units of `into` that one unit of `of` is worth, exactly; None when the table does not know both."""
        if of == into:
            return Fraction(1)
        have, want = self.rates.get(of), self.rates.get(into)
        return None if have is None or want is None else Fraction(want) / Fraction(have)

    def factor(self, of: str, into: str) -> float:
        """The same for kernels; 0.0 when there is no rate."""
        rate = self.rate(of, into)
        return 0.0 if rate is None else float(rate)

    def up(self, micros: int, of: str, into: str) -> int:
        """Micros of `into`, rounded up: for floors. KeyError when there is no rate."""
        return converted_up(micros, self._known(of, into))

    def down(self, micros: int, of: str, into: str) -> int:
        """Micros of `into`, rounded down: for what is shown. KeyError when there is no rate."""
        return converted_down(micros, self._known(of, into))

    def currencies(self) -> Collection[str]:
        """All currencies that it knows."""
        return self.rates.keys()

    def _known(self, of: str, into: str) -> Fraction:
        rate = self.rate(of, into)
        if rate is None:
            raise KeyError(f"{of} to {into}")
        return rate


def table_of(source: str, at: datetime, base: str, rates: Mapping[str, Decimal]) -> RateTable:
    """A table with its version; the base stands in it as 1."""
    complete = {**rates, base: Decimal(1)}
    text = "\n".join(f"{code} {complete[code].normalize()}" for code in sorted(complete))
    digest = hashlib.sha256(f"{base}\n{text}".encode()).hexdigest()[:8]
    day = at.astimezone(UTC)
    return RateTable(f"{day:%Y-%m-%d}-{digest}", source, int(day.timestamp() * 1000), base, complete)


# Rounded, for trying things out without a network: whoever trades names a file with rates of the day.
BUILT_IN: Final = table_of(
    "built in, rounded, for trying things out",
    datetime(2025, 1, 2, tzinfo=UTC),
    "EUR",
    {
        code: Decimal(rate)
        for code, rate in (
            ("AUD", "1.66"), ("BDT", "124"), ("CAD", "1.49"), ("CHF", "0.94"), ("CZK", "25.2"), ("DKK", "7.46"),
            ("GBP", "0.83"), ("INR", "88.5"), ("JPY", "162"), ("NOK", "11.7"), ("PLN", "4.27"), ("SEK", "11.4"),
            ("USD", "1.03"),
        )
    },
)  # fmt: skip


def read_rates(data: bytes, name: str) -> RateTable:
    """The table in a JSON or TOML file (`source`, `at`, `base`, `rates`); InvalidInput with all that is wrong in it."""
    if len(data) > LARGEST_FILE_BYTES:
        raise InvalidInput([FieldError(name, f"{len(data)} bytes", f"give at most {LARGEST_FILE_BYTES}")])
    try:
        # Rates are decimal: 1.1 must not become 1.100000000000000088.
        parsed: Any = (
            json.loads(data, parse_float=Decimal)
            if name.endswith(".json")
            else tomllib.loads(data.decode(), parse_float=Decimal)
        )
    except (ValueError, RecursionError) as error:
        kind = "JSON" if name.endswith(".json") else "TOML"
        raise InvalidInput(
            [FieldError(name, f"is not {kind}: {str(error)[:100]}", f"give {kind}, or another name")]
        ) from None
    errors: list[FieldError] = []
    if not isinstance(parsed, Mapping):
        raise InvalidInput([FieldError(name, "is no table", "give source, at, base and rates")])
    source, base, rates = parsed.get("source"), parsed.get("base"), parsed.get("rates")
    if not isinstance(source, str) or not 0 < len(source) <= 200 or not source.isprintable():
        errors.append(FieldError(f"{name}: source", _shown(source), "say in a few words where the rates come from"))
    if not isinstance(base, str) or not is_currency(base):
        errors.append(FieldError(f"{name}: base", _shown(base), "give the currency that one unit of is priced, as EUR"))
    at = _moment(parsed.get("at"))
    if at is None:
        errors.append(FieldError(f"{name}: at", _shown(parsed.get("at")), "give a time such as 2026-07-31T14:15:00Z"))
    if not isinstance(rates, Mapping) or not 0 < len(rates) <= MOST_CURRENCIES:
        errors.append(
            FieldError(f"{name}: rates", _shown(rates), f"give 1 to {MOST_CURRENCIES} currencies with a rate")
        )
        rates = {}
    found: dict[str, Decimal] = {}
    for code, raw in rates.items():
        rate = _rate(raw)
        if not isinstance(code, str) or not is_currency(code):
            errors.append(FieldError(f"{name}: rates", _shown(code), "name currencies by ISO 4217, as in USD"))
        elif rate is None:
            remedy = f"give units of {code} for one unit of the base, {LEAST_RATE} to {MOST_RATE}"
            errors.append(FieldError(f"{name}: rates.{code}", _shown(raw), remedy))
        elif code == base and rate != 1:
            errors.append(FieldError(f"{name}: rates.{code}", _shown(raw), "the base is 1 by itself: leave it out"))
        else:
            found[code] = rate
    if errors:
        raise InvalidInput(errors)
    assert isinstance(source, str)
    assert isinstance(base, str)
    assert at is not None
    return table_of(source, at, base, found)


class Currencies:
    """The table that auctions ask, exchanged for a newer one while they run; a batch keeps the one it began with.

    `read` gives the bytes of the file of rates and its name; without it the built-in table stays.
    """

    def __init__(
        self,
        *,
        own: str,
        clock: Clock,
        read: Callable[[], tuple[bytes, str]] | None = None,
        stale_after_s: int = STALE_AFTER_S,
    ) -> None:
        self.own = own
        self._clock = clock
        self._read = read
        self._stale_after_s = stale_after_s
        self._data = b""
        self.table = BUILT_IN
        self._factors: tuple[str, tuple[str, ...], NDArray[np.float64] | None] = ("", (), None)

    def refresh(self) -> bool:
        """Read the file again; True when its rates are new. InvalidInput or BackendUnavailable: the old ones stay."""
        if self._read is None:
            return False
        data, name = self._read()
        if data == self._data:
            return False
        table = read_rates(data, name)
        if table.rate(self.own, self.own) is None or self.own not in table.rates:
            remedy = "give a rate for the currency that this exchange sells in"
            raise InvalidInput([FieldError(f"{name}: rates", f"has no {self.own}", remedy)])
        self._data, self.table = data, table
        return True

    def age_s(self) -> float:
        """How old the rates are."""
        return max(self._clock.now_ms() - self.table.at_ms, 0) / 1000

    def is_stale(self) -> bool:
        """Are they too old to be trusted? They still serve: an exchange that stops helps nobody."""
        return self.age_s() > self._stale_after_s

    def knows(self, code: str) -> bool:
        """Can money of this currency be compared?"""
        return code == self.own or self.table.rate(code, self.own) is not None

    def factor(self, code: str) -> float:
        """Auction micros for one micro of this currency as of now; 0.0 without a rate."""
        return self.table.factor(code, self.own)

    def factors(self, currencies: tuple[str, ...], table: RateTable) -> NDArray[np.float64] | None:
        """Auction micros for one micro of each currency, 0.0 without a rate; None when all are the auction's own."""
        version, known, factors = self._factors
        if version != table.version or known != currencies:
            factors = None
            if any(code != self.own for code in currencies):
                factors = np.array([table.factor(code, self.own) for code in currencies], np.float64)
            self._factors = (table.version, currencies, factors)
        return factors


def bid_rate(table: RateTable, currency: str, own: str, allowed: Sequence[str] = ()) -> float:
    """Auction micros for one micro of an outside bid; 0.0 (WRONG_CURRENCY): not allowed by the request, or no rate.

    `allowed` is `cur` of OpenRTB 2.6 §3.2.1; an empty one allows the auction's own currency alone.
    """
    if currency not in (allowed or (own,)):
        return 0.0
    return table.factor(currency, own)


def _rate(raw: object) -> Decimal | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, str, Decimal)) or len(str(raw)) > 40:
        return None
    try:
        rate = Decimal(raw)
    except InvalidOperation:
        return None
    return rate if rate.is_finite() and LEAST_RATE <= rate <= MOST_RATE else None


def _moment(raw: object) -> datetime | None:
    if isinstance(raw, str) and len(raw) <= 40:
        try:
            raw = datetime.fromisoformat(raw)
        except ValueError:
            return None
    if not isinstance(raw, datetime) or raw.tzinfo is None or not 1970 < raw.year < 2100:
        return None
    return raw


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:40]
