"""What does an MP4 say of itself? Boxes of ISO/IEC 14496-12, walked without believing their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from feed.media.container import Blank, Probed
from feed.media.refused import MediaRefused
from feed.media.sniffing import MP4

# The index of a film of minutes is far below this; it is read into memory.
MAX_INDEX_BYTES: Final = 16 << 20
_MOST_BOXES: Final = 10_000
_TOP_LEVEL: Final = frozenset(
    {
        *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof", b"mfra", b"sidx", b"styp", b"emsg"),
        *(b"prft", b"pdin", b"meta", b"udta"),
    }
)
_CODECS: Final = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09", b"vp08", b"mp4v"})
# Where cameras write places and names, and where anything can be hidden.
_NEVER_PLAYED: Final = frozenset({b"free", b"skip", b"wide", b"uuid", b"meta", b"udta"})
_WITH_TIMES: Final = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_WITHIN: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex"})
_BROKEN: Final = "save the video again as MP4 (H.264), and upload that"


class _Box(NamedTuple):
    kind: bytes
    offset: int
    header: int
    size: int


def probe(stream: BinaryIO, size: int) -> Probed:
    """What the file says; MediaRefused when its boxes do not add up to it, or hold no film."""
    index: tuple[int, bytes] | None = None
    has_pictures = False
    blank: list[Blank] = []
    for box in _top_level(stream, size):
        if box.kind in (b"mdat", b"moof"):
            has_pictures = True
        elif box.kind in _NEVER_PLAYED:
            blank.append(_freed(box, 0))
        elif box.kind == b"moov" and index is None:
            if box.size > MAX_INDEX_BYTES:
                raise MediaRefused(f"an index of {box.size} bytes", _BROKEN)
            stream.seek(box.offset)
            index = box.offset, stream.read(box.size)
    if index is None or not has_pictures:
        raise MediaRefused("an MP4 without a film in it", _BROKEN)
    at, moov = index
    facts = _Facts()
    for box in _within(moov, 0, len(moov), 0):
        if box.kind in _NEVER_PLAYED:
            blank.append(_freed(box, at))
        elif box.kind in _WITH_TIMES:
            version = moov[box.offset + box.header : box.offset + box.header + 1]
            blank.append(Blank(at + box.offset + box.header + 4, 16 if version == b"\x01" else 8))
        facts.read(box, moov)
    if not facts.has_video:
        raise MediaRefused("an MP4 without a track of pictures that browsers play", _BROKEN)
    return Probed(MP4, facts.duration_ms, facts.width, facts.height, tuple(blank))


class _Facts:
    """What is gathered from the boxes of an index."""

    def __init__(self) -> None:
        self.duration_ms = self.width = self.height = 0
        self.has_video = False

    def read(self, box: _Box, moov: bytes) -> None:
        body = moov[box.offset + box.header : box.offset + box.size]
        match box.kind:
            case b"mvhd":
                self._read_duration(body)
            case b"tkhd" if len(body) >= 84:
                # 16.16 fixed point, at the end of either version.
                width, height = (int.from_bytes(body[at : at + 4]) >> 16 for at in (len(body) - 8, len(body) - 4))
                self.width, self.height = max(self.width, width), max(self.height, height)
            case b"stsd" if len(body) >= 16:
                self.has_video |= body[12:16] in _CODECS
            case _:
                pass

    def _read_duration(self, body: bytes) -> None:
        at, length = (20, 8) if body[:1] == b"\x01" else (12, 4)
        scale, duration = int.from_bytes(body[at : at + 4]), int.from_bytes(body[at + 4 : at + 4 + length])
        # All ones say that it is not known.
        if scale and duration != (1 << 8 * length) - 1:
            self.duration_ms = duration * 1000 // scale


def _top_level(stream: BinaryIO, size: int) -> Iterator[_Box]:
    offset = 0
    for _ in range(_MOST_BOXES):
        if offset == size:
            return
        stream.seek(offset)
        box = _box(stream.read(16), offset, size)
        if box is None or box.kind not in _TOP_LEVEL:
            raise MediaRefused("an MP4 that is cut off, or has something else in it", _BROKEN)
        yield box
        offset += box.size
    raise MediaRefused(f"an MP4 of more than {_MOST_BOXES} boxes", _BROKEN)


def _within(data: bytes, start: int, end: int, depth: int) -> Iterator[_Box]:
    offset = start
    while offset < end:
        box = _box(data[offset : offset + 16], offset, end)
        if box is None or depth > len(_WITHIN):
            raise MediaRefused("an MP4 whose index is broken", _BROKEN)
        yield box
        if box.kind in _WITHIN:
            yield from _within(data, offset + box.header, offset + box.size, depth + 1)
        offset += box.size


def _box(head: bytes, offset: int, end: int) -> _Box | None:
    if len(head) < 8:
        return None
    size, header = int.from_bytes(head[:4]), 8
    if size == 1 and len(head) >= 16:
        size, header = int.from_bytes(head[8:16]), 16
    elif size == 0:
        size = end - offset
    return _Box(head[4:8], offset, header, size) if header <= size <= end - offset else None


def _freed(box: _Box, base: int) -> Blank:
    """The same room as a `free` box of zeros, so that nothing moves."""
    prefix = box.size.to_bytes(4) + b"free" if box.header == 8 else b"\0\0\0\1free" + box.size.to_bytes(8)
    return Blank(base + box.offset, box.size, prefix)
