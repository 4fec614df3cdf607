"""What does a WebM say of itself? Elements of EBML (RFC 8794) as Matroska names them (RFC 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from feed.media.container import Blank, Probed
from feed.media.refused import MediaRefused
from feed.media.sniffing import WEBM

_MOST_ELEMENTS: Final = 200_000
# Elements that are read whole; those of a film of minutes are far below this.
_MAX_READ_BYTES: Final = 1 << 20
_BROKEN: Final = "save the video again as WebM, and upload that"

_EBML, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TAGS, _ATTACHMENTS, _VOID = 0x1254C367, 0x1941A469, 0xEC
# SeekHead, Cues, Chapters, CRC-32
_IN_SEGMENT: Final = frozenset(
    {_INFO, _TRACKS, _CLUSTER, _TAGS, _ATTACHMENTS, _VOID, 0x114D9B74, 0x1C53BB6B, 0x1043A770, 0xBF}
)
# Timestamp, SimpleBlock, BlockGroup, PrevSize, Position, SilentTracks, EncryptedBlock
_IN_CLUSTER: Final = frozenset({0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF})
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_TRACK, _VIDEO, _WIDTH, _HEIGHT, _TRACK_TYPE = 0xAE, 0xE0, 0xB0, 0xBA, 0x83
# Title, SegmentFilename, PrevFilename, NextFilename, Name: words of whoever made it.
_WORDS: Final = frozenset({0x7BA9, 0x7384, 0x3C83AB, 0x3E83BB, 0x536E})
_VIDEO_TRACK: Final = 1


class _Element(NamedTuple):
    """`size` is -1 where the element goes on until something follows that cannot stand in it."""

    name: int
    offset: int
    header: int
    size: int

    @property
    def body(self) -> int:
        return self.offset + self.header


def probe(stream: BinaryIO, size: int) -> Probed:
    """What the file says; MediaRefused when its elements do not add up to it, or hold no film."""
    first = _element(stream, 0, size)
    if first is None or first.name != _EBML or first.size < 0:
        raise MediaRefused("a WebM that is broken", _BROKEN)
    segment = _element(stream, first.body + first.size, size)
    if segment is None or segment.name != _SEGMENT:
        raise MediaRefused("a WebM without a film in it", _BROKEN)
    if segment.size >= 0 and segment.body + segment.size != size:
        raise MediaRefused("a WebM that has something else behind it", _BROKEN)
    facts = _Facts()
    blank: list[Blank] = []
    has_pictures = False
    for element in _elements(stream, segment.body, size):
        if element.name == _CLUSTER:
            has_pictures = True
        elif element.name in (_TAGS, _ATTACHMENTS, _VOID):
            blank.append(_voided(element))
        elif element.name in (_INFO, _TRACKS):
            if element.size > _MAX_READ_BYTES:
                raise MediaRefused(f"a header of {element.size} bytes", _BROKEN)
            stream.seek(element.body)
            blank += facts.read(stream.read(element.size), element.body)
    if not has_pictures or not facts.has_video:
        raise MediaRefused("a WebM without pictures in it", _BROKEN)
    return Probed(WEBM, facts.duration_ms, facts.width, facts.height, tuple(blank))


class _Facts:
    """What is gathered from Info and Tracks."""

    def __init__(self) -> None:
        self._scale_ns = 1_000_000
        self._duration = 0.0
        self.width = self.height = 0
        self.has_video = False

    @property
    def duration_ms(self) -> int:
        ms = self._duration * self._scale_ns / 1e6
        return int(ms) if 0 < ms < 1e12 else 0

    def read(self, data: bytes, base: int) -> list[Blank]:
        """Read the elements of a header; the words among them are not to be kept."""
        blank: list[Blank] = []
        offset = 0
        while offset < len(data):
            element = _parse(data[offset : offset + 12], offset, len(data))
            if element is None or element.size < 0:
                raise MediaRefused("a WebM whose header is broken", _BROKEN)
            body = data[element.body : element.body + element.size]
            if element.name in (_TRACK, _VIDEO):
                blank += self.read(body, base + element.body)
            elif element.name in _WORDS:
                blank.append(Blank(base + element.body, element.size))
            else:
                self._take(element.name, body)
            offset = element.body + element.size
        return blank

    def _take(self, name: int, body: bytes) -> None:
        if name == _DURATION:
            self._duration = struct.unpack(">f" if len(body) == 4 else ">d", body)[0] if len(body) in (4, 8) else 0.0
        elif name == _SCALE:
            self._scale_ns = int.from_bytes(body[:8])
        elif name == _WIDTH:
            self.width = max(self.width, int.from_bytes(body[:8]))
        elif name == _HEIGHT:
            self.height = max(self.height, int.from_bytes(body[:8]))
        elif name == _TRACK_TYPE:
            self.has_video |= int.from_bytes(body[:8]) == _VIDEO_TRACK


def _elements(stream: BinaryIO, start: int, end: int) -> Iterator[_Element]:
    """The elements of a segment, and those of clusters that do not say where they end."""
    offset, in_cluster = start, False
    for _ in range(_MOST_ELEMENTS):
        if offset == end:
            return
        element = _element(stream, offset, end)
        known = element is not None and (element.name in _IN_SEGMENT or (in_cluster and element.name in _IN_CLUSTER))
        if element is None or not known or (element.size < 0 and element.name != _CLUSTER):
            raise MediaRefused("a WebM that is cut off, or has something else in it", _BROKEN)
        if element.name in _IN_SEGMENT:
            in_cluster = element.size < 0
        yield element
        offset = element.body + max(element.size, 0)
    raise MediaRefused(f"a WebM of more than {_MOST_ELEMENTS} elements", _BROKEN)


def _element(stream: BinaryIO, offset: int, end: int) -> _Element | None:
    stream.seek(offset)
    return _parse(stream.read(12), offset, end)


def _parse(head: bytes, offset: int, end: int) -> _Element | None:
    name_bytes = _length(head[:1], 4)
    if not name_bytes:
        return None
    size_bytes = _length(head[name_bytes : name_bytes + 1], 8)
    header = name_bytes + size_bytes
    if not size_bytes or len(head) < header:
        return None
    unknown = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(head[name_bytes:header]) & unknown
    element = _Element(int.from_bytes(head[:name_bytes]), offset, header, -1 if size == unknown else size)
    return element if element.body + max(element.size, 0) <= end else None


def _length(first: bytes, most: int) -> int:
    """How many bytes a number has by its first byte; 0 when that is none."""
    length = 9 - first[0].bit_length() if first and first[0] else 0
    return length if length <= most else 0


def _voided(element: _Element) -> Blank:
    """The same room as a Void element of zeros, so that nothing moves."""
    total = element.header + element.size
    room = b"\x01" + (total - 9).to_bytes(7) if total >= 9 else bytes([0x80 | (total - 2)])
    prefix = bytes([_VOID]) + room
    return Blank(element.offset, total, prefix)
