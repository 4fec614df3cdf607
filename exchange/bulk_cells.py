"""How is one cell of the campaign file read and written? Amounts, times, lists and words, each exactly one way.

Readers raise ValueError with what to write instead; an empty cell is nothing: 0, no values, or what is usual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from common.money import MICROS
from exchange.campaign_values import Cap, CapScope

DEVICES: Final = {"phone": 1, "tablet": 2, "desktop": 3, "tv": 4}
_EXTERNAL_ID = re.compile(r"[^\s|]{1,64}")
_CAP = re.compile(r"([a-z_]+) (\d{1,9})/(\d{1,9})( by session)?", re.ASCII)
_SCOPES: Final = {scope.name.lower(): int(scope) for scope in CapScope}
_YES_OR_NO: Final = {"yes": True, "no": False}


def external_id(text: str) -> str:
    """A name of the tenant's own."""
    if not _EXTERNAL_ID.fullmatch(text) or not text.isprintable():
        raise ValueError("give 1 to 64 characters without spaces and bars")
    return text


def micros(text: str) -> int:
    """Units of the currency with a point, exactly; empty is 0."""
    if not text:
        return 0
    remedy = "write an amount as 1.25, with a point and at most six digits behind it"
    try:
        # Only digits and a point: no exponents, no NaN, no underscores, no digits of other scripts.
        if not re.fullmatch(r"\d{1,10}(\.\d{1,6})?", text, re.ASCII):
            raise InvalidOperation
        return int(Decimal(text) * MICROS)
    except InvalidOperation:
        raise ValueError(remedy) from None


def units(micros: int) -> str:
    """An amount in units of the currency; 0 is empty."""
    if not micros:
        return ""
    units, rest = divmod(micros, MICROS)
    return f"{units}.{rest:06d}".rstrip("0").rstrip(".")


def whole(text: str) -> int:
    """A whole number; empty is 0."""
    if not text:
        return 0
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise ValueError("write a whole number")
    return int(text)


def words(text: str) -> tuple[str, ...]:
    """The values of a list, parted by bars."""
    parts, part, escaped = [], "", False
    for letter in text:
        if escaped or letter not in "\\|":
            part, escaped = part + letter, False
        elif letter == "\\":
            escaped = True
        else:
            parts.append(part)
            part = ""
    parts.append(part)
    return tuple(part.strip() for part in parts if part.strip())


def joined(values: Sequence[str]) -> str:
    """What `words` reads back."""
    return "|".join(value.replace("\\", "\\\\").replace("|", "\\|") for value in values)


def devices(text: str) -> tuple[int, ...]:
    """Device types by their words."""
    return tuple(one_of(DEVICES)(word) for word in words(text))


def hours(text: str) -> tuple[int, ...]:
    """Hours of the week."""
    return tuple(whole(hour) for hour in words(text))


def one_of(words: Mapping[str, int], empty: int | None = None) -> Callable[[str], int]:
    """A reader of one of these words; `empty` stands for an empty cell where it is given."""

    def read_word(text: str) -> int:
        if not text and empty is not None:
            return empty
        try:
            return words[text.lower()]
        except KeyError:
            raise ValueError(f"choose one of {', '.join(words)}") from None

    return read_word


def time(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time, UTC when it names no zone; empty is 0."""
    if not text:
        return 0
    try:
        read_time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a time as 2026-09-01T00:00:00Z") from None
    if read_time.tzinfo is None:
        read_time = read_time.replace(tzinfo=UTC)
    since = read_time - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def time_text(at_ms: int) -> str:
    """What `time` reads back."""
    if not at_ms:
        return ""
    seconds, ms = divmod(at_ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"


def caps(text: str) -> tuple[Cap, ...]:
    """`campaign 5/86400|creative 2/3600 by session`: scope, impressions within seconds, of a visitor or a session."""
    found = []
    for word in words(text):
        match = _CAP.fullmatch(word.lower())
        if match is None or match[1] not in _SCOPES:
            raise ValueError(f"write caps as campaign 5/86400|creative 2/3600 by session; of {', '.join(_SCOPES)}")
        found.append(Cap(_SCOPES[match[1]], int(match[2]), int(match[3]), match[4] is not None))
    return tuple(found)


def caps_text(values: Sequence[Cap]) -> str:
    """What `caps` reads back."""
    return "|".join(
        f"{CapScope(cap.scope).name.lower()} {cap.impressions}/{cap.window_s}{' by session' * cap.by_session}"
        for cap in values
    )


def yes_or_no(text: str) -> bool:
    """Empty is no."""
    if text and text.lower() not in _YES_OR_NO:
        raise ValueError("write yes or no")
    return _YES_OR_NO[text.lower() or "no"]
