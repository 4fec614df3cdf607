"""What does a bidder's URL look like when it is called? OpenRTB 2.6 §4.4: macros replaced by what is known.

Pure. What is not known becomes empty; in a test, what money it would have been becomes AUDIT. A macro may ask for an
encoding, `${AUCTION_PRICE:B64}`; one whose encoding was not agreed on becomes empty, since a bidder must not take a
bare value for an encoded one.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from common.money import MICROS

URL_LIMIT: Final = 2_048
AUDIT: Final = "AUDIT"
_MACRO: Final = re.compile(r"\$\{(AUCTION_[A-Z_]+)(?::([A-Za-z0-9]{1,16}))?\}")
# Visible ASCII without quotes, angle brackets and backslashes.
_URL: Final = re.compile(r"https?://[!#-;=?-\[\]-~]+")
_IMPRESSION_TIME: Final = "AUCTION_IMP_TS"
_MONEY: Final = frozenset(
    {"AUCTION_PRICE", "AUCTION_MBR", "AUCTION_MIN_TO_WIN", "AUCTION_DISCOUNT_PCT", "AUCTION_DISCOUNT_CPM"}
)
_ENCODINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "": lambda value: value,
    "B64": lambda value: b64encode(value.encode()).decode(),
}


class BidFacts(msgspec.Struct, frozen=True):
    """What macros may be replaced by; prices are micros per thousand impressions in `currency`, None is not known.

    `loss` is a code of exchange.refusals; `multiplier` the impressions that one win stands for; `discount_share` the
    exchange's discount on the price (0.05 is five in a hundred) and `discount_micros` the same in money.
    """

    auction_id: str
    imp_id: str
    bid_id: str = ""
    seat: str = ""
    creative_id: str = ""
    currency: str = ""
    bid_micros: int = 0
    price_micros: int | None = None
    loss: int | None = None
    min_to_win_micros: int | None = None
    multiplier: int | None = 1
    seen_at_ms: int | None = None
    discount_share: float | None = None
    discount_micros: int | None = None
    test: bool = False


def macros(facts: BidFacts) -> dict[str, str]:
    """The 14 macros of §4.4 by name."""
    ratio = facts.price_micros / facts.bid_micros if facts.price_micros is not None and facts.bid_micros > 0 else None
    values = {
        "AUCTION_ID": facts.auction_id,
        "AUCTION_BID_ID": facts.bid_id,
        "AUCTION_IMP_ID": facts.imp_id,
        "AUCTION_SEAT_ID": facts.seat,
        "AUCTION_AD_ID": facts.creative_id,
        "AUCTION_PRICE": _units(facts.price_micros),
        "AUCTION_CURRENCY": facts.currency,
        "AUCTION_MBR": "" if ratio is None else f"{ratio:.4f}",
        "AUCTION_LOSS": "" if facts.loss is None else str(facts.loss),
        "AUCTION_MIN_TO_WIN": _units(facts.min_to_win_micros),
        "AUCTION_MULTIPLIER": "" if facts.multiplier is None else str(facts.multiplier),
        _IMPRESSION_TIME: "" if facts.seen_at_ms is None else str(facts.seen_at_ms),
        "AUCTION_DISCOUNT_PCT": "" if facts.discount_share is None else f"{facts.discount_share:.4f}",
        "AUCTION_DISCOUNT_CPM": _units(facts.discount_micros),
    }
    return values | dict.fromkeys(_MONEY, AUDIT) if facts.test else values


def in_url(url: str, facts: BidFacts, *, keep_impression_time: bool = False) -> str:
    """The URL with its macros replaced, their values percent-encoded; the impression's time may be left for later."""
    return _replaced(url, macros(facts), lambda value: quote(value, safe=""), keep_impression_time)


def in_markup(markup: str, facts: BidFacts) -> str:
    """Markup with its macros replaced; the values are ids, numbers and codes, and harmless in HTML, JSON and XML."""
    if "${AUCTION_" not in markup:
        return markup
    return _replaced(markup, macros(facts), lambda value: quote(value, safe="=+/ "), False)


def can_be_called(url: str) -> bool:
    """Is it empty, or a URL that may be tried later? Where it leads is checked when it is called."""
    return not url or (len(url) <= URL_LIMIT and _URL.fullmatch(url) is not None)


def with_impression_time(url: str, seen_at_ms: int) -> str:
    """The last macro of a URL whose others were replaced when the ad was sold."""
    return _replaced(url, {_IMPRESSION_TIME: str(seen_at_ms)}, str, False)


def _replaced(text: str, values: Mapping[str, str], safe: Callable[[str], str], keep_impression_time: bool) -> str:
    def value_of(match: re.Match[str]) -> str:
        name, encoding = match[1], match[2] or ""
        if keep_impression_time and name == _IMPRESSION_TIME:
            return match[0]
        encode = _ENCODINGS.get(encoding)
        return safe(encode(values.get(name, ""))) if encode else ""

    return _MACRO.sub(value_of, text)


def _units(micros: int | None) -> str:
    """`1.25`: at least two digits behind the point, every micro, no exponent."""
    if micros is None:
        return ""
    units, rest = divmod(micros, MICROS)
    return f"{units}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"
