"""What does the header of a video's container say?"""

from __future__ import annotations

import msgspec


class Blank(msgspec.Struct, frozen=True):
    """`length` bytes from `offset` on that must not be kept: `prefix` is written over them, then zeros."""

    offset: int
    length: int
    prefix: bytes = b""


class Probed(msgspec.Struct, frozen=True):
    """What a container says: `duration_ms`, `width` and `height` are 0 where it does not.

    `blank` takes out places, devices and other metadata, and whatever else was hidden where no player looks; the
    length of the file, and where its pictures stand in it, stay as they are.
    """

    content_type: str
    duration_ms: int
    width: int
    height: int
    blank: tuple[Blank, ...] = ()
