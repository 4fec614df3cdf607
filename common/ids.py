"""What is this thing called? One id space, ordered by time: UUIDv7 (RFC 9562 §5.7)."""

from __future__ import annotations

import os

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_KEEP = ((1 << 128) - 1) & ~(0xF << 76) & ~(0x3 << 62)


def new_ids(count: int, now_ms: int) -> list[int]:
    """`count` fresh 128-bit ids of the millisecond `now_ms`; random within it."""
    chance = os.urandom(10 * count)
    high = (now_ms & ((1 << 48) - 1)) << 80
    return [
        (high | int.from_bytes(chance[at : at + 10], "little")) & _KEEP | _VERSION_7 | _VARIANT
        for at in range(0, 10 * count, 10)
    ]


def new_id(now_ms: int) -> str:
    """One fresh id as text."""
    return text_of(new_ids(1, now_ms)[0])


def text_of(number: int) -> str:
    """32 lower-case hexadecimal digits; their order as text is their order in time."""
    return f"{number:032x}"


def number_of(text: str) -> int:
    """The id that `text_of` wrote; ValueError when it is not 32 hexadecimal digits."""
    if len(text) != 32:
        raise ValueError(f"an id has 32 hexadecimal digits, this has {len(text)}: {text[:40]!r}")
    return int(text, 16)


def made_at_ms(number: int) -> int:
    """The millisecond in which the id was made."""
    return number >> 80
