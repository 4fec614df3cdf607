"""What is this thing called? One id space, ordered by time: UUIDv7 (RFC 9562 §5.7)."""

from __future__ import annotations

import os

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_NODE_AT = 64
_NODE = 0xFFF << _NODE_AT
_KEEP = ((1 << 128) - 1) & ~(0xF << 76) & ~(0x3 << 62)


def new_ids(count: int, now_ms: int, node: int = 0) -> list[int]:
    """`count` fresh 128-bit ids of the millisecond `now_ms`; random within it.

    `node`, 1 to 4095, stands in the twelve bits behind the version (RFC 9562 §6.4), where ids of nobody are random.
    """
    chance = os.urandom(10 * count)
    high = (now_ms & ((1 << 48) - 1)) << 80
    keep, fixed = (_KEEP & ~_NODE, _VERSION_7 | _VARIANT | node << _NODE_AT) if node else (_KEEP, _VERSION_7 | _VARIANT)
    return [(high | int.from_bytes(chance[at : at + 10], "little")) & keep | fixed for at in range(0, 10 * count, 10)]


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


def node_of(number: int) -> int:
    """The number of the node that made the id, if a node did."""
    return (number & _NODE) >> _NODE_AT
