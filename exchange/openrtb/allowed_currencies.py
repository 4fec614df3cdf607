"""Which currencies may a request's bids be in, and which one is it answered in? `cur` of OpenRTB 2.6 §3.2.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.money import MICROS
from exchange.openrtb.floors import Rates

# More of them than the world's exchanges trade in are not looked at.
CURRENCIES_LIMIT: Final = 32


def answer_currency(request: Mapping[str, Any], ours: str, rates: Rates) -> str:
    """The currency to answer in: ours where it is taken, else the first that there is a rate for; empty without one."""
    wanted = request.get("cur")
    if not wanted or ours in wanted:
        return ours
    return next((code for code in wanted[:CURRENCIES_LIMIT] if _has_rate(code, ours, rates)), "")


def bid_currencies(request: Mapping[str, Any], ours: str, rates: Rates) -> tuple[str, ...]:
    """What outside bids may be in; empty is ours alone.

    Ours is always among them: what is answered is converted, so the asker never sees a currency that it did not allow.
    Codes without a rate are tolerated (§2.3) and left out, as nothing can be compared in them.
    """
    wanted = request.get("cur")
    if not wanted:
        return ()
    known = [code for code in wanted[:CURRENCIES_LIMIT] if code != ours and _has_rate(code, ours, rates)]
    return tuple(dict.fromkeys((ours, *known))) if known else ()


def _has_rate(code: str, ours: str, rates: Rates) -> bool:
    return rates.convert(MICROS, ours, code, up=False) is not None and (
        rates.convert(MICROS, code, ours, up=True) is not None
    )
