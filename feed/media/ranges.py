"""Which bytes of a file are asked for? A single range as RFC 9110 §14 has it."""

from __future__ import annotations

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)
# What lies beyond the file: 416.
BEYOND: Final = (-1, 0)


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """(start, length) of the range; None when all is to be sent: there is no range, several, or it is malformed;
    BEYOND when it lies outside of the file.
    """
    found = _RANGE.fullmatch(header)
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        # The last so many bytes.
        length = min(int(found[2]), size)
        return (size - length, length) if length else BEYOND
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None
    if start >= size:
        return BEYOND
    end = min(int(found[2]), size - 1) if found[2] else size - 1
    return start, end - start + 1
