"""How long is "2m"? Numbers with a unit, as people type them on the command line and in settings."""

from __future__ import annotations

import re

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)")
_BARE = re.compile(r"\d{1,12}(?:\.\d{1,6})?")
_LONGEST_MS = 10 * 366 * 86_400_000

REMEDY = 'write a number with a unit, such as "500ms", "30s", "2m" or "1h30m"'


def duration_ms(text: str, bare_unit: str = "s") -> int:
    """Whole milliseconds of "500ms", "30s", "1h30m"; a bare number counts in `bare_unit`.

    ValueError, with the remedy as its message, for anything else and for more than ten years.
    """
    trimmed = text.strip().lower()
    if _BARE.fullmatch(trimmed):
        trimmed += bare_unit
    total_ms, at = 0.0, 0
    while part := _PART.match(trimmed, at):
        total_ms += float(part[1]) * _UNITS_MS[part[2]]
        at = part.end()
        at += len(trimmed[at:]) - len(trimmed[at:].lstrip())
    if at == 0 or at != len(trimmed):
        raise ValueError(REMEDY)
    if total_ms > _LONGEST_MS:
        raise ValueError("give ten years or less")
    return round(total_ms)
