"""How are header fields packed? HPACK (RFC 7541) in by the `hpack` library with a memory, out as constants.

A client sends nearly the same fields with every call, so its blocks are nearly the same bytes. What a block decodes to
depends on nothing but its bytes and the dynamic table; as long as no block changes the table, a block that was seen
before needs no decoding. What we send uses no dynamic table at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, cast

import grpc
from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from app.http2.frames import Code, ConnectionBroken
from app.http2.header_fields import ENCODINGS, Head, check_trailers, read_head
from app.http2.methods import Metadata, Methods

# A list this many times longer than allowed ends the connection; below that it is decoded, and only its call refused.
_HARD_FACTOR = 4
_BLOCKS_REMEMBERED = 64
_LONGEST_REMEMBERED = 1024
_FIELD_OVERHEAD = 32  # RFC 9113 §6.5.2 counts so much beside each name and value.


class TooLong(Exception):
    """The fields are well packed and more than we take."""


class _Table(HeaderTable):
    """The dynamic table, which counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """As its parent."""
        self.changes += 1
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        """As its parent."""
        return self._maxsize

    @maxsize.setter
    def maxsize(self, newmax: int) -> None:
        self.changes += 1
        resize: Any = HeaderTable.maxsize
        resize.fset(self, newmax)


class HeaderBlocks:
    """The blocks of one connection, in their order."""

    def __init__(self, methods: Methods, list_bytes: int) -> None:
        self._methods = methods
        self._list_bytes = list_bytes
        self._decoder = Decoder(max_header_list_size=_HARD_FACTOR * list_bytes)
        self._table = self._decoder.header_table = _Table()
        self._heads: dict[bytes, Head] = {}

    def head(self, block: bytes) -> Head:
        """The call that a block opens. ConnectionBroken when it cannot be unpacked, Malformed, TooLong."""
        known = self._heads.get(block)
        if known is not None:
            return known
        before = self._table.changes
        fields = self.skip(block)
        if sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields) > self._list_bytes:
            raise TooLong
        head = read_head(fields, self._methods)
        if self._table.changes == before and len(block) <= _LONGEST_REMEMBERED:
            if len(self._heads) >= _BLOCKS_REMEMBERED:
                self._heads.clear()
            self._heads[block] = head
        return head

    def trailers(self, block: bytes) -> None:
        """Fields after the messages: only looked at for their form. ConnectionBroken or Malformed."""
        check_trailers(self.skip(block))

    def skip(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """The fields of a block; also for one that nobody reads, to keep the table right. ConnectionBroken."""
        before = self._table.changes
        try:
            # With raw=True the library gives pairs of bytes, which its types do not tell.
            return cast("list[tuple[bytes, bytes]]", self._decoder.decode(block, raw=True))
        except OversizedHeaderListError:
            raise ConnectionBroken(Code.ENHANCE_YOUR_CALM, "a header list far longer than was allowed") from None
        except (HPACKError, IndexError, ValueError):
            raise ConnectionBroken(Code.COMPRESSION_ERROR, "a header block that is no HPACK") from None
        finally:
            if self._table.changes != before:
                self._heads.clear()


def literal(name: bytes, value: bytes) -> bytes:
    """One field, in full and never indexed by the peer (RFC 7541 §6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    size -= 127
    prefix = bytearray(b"\x7f")
    while size >= 128:
        prefix.append(size & 127 | 128)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + text


# Index 8 of the static table is ":status: 200".
ANSWER_HEAD = b"\x88" + literal(b"content-type", b"application/grpc")
OK_TRAILERS = literal(b"grpc-status", b"0")
_ACCEPT = literal(b"grpc-accept-encoding", ",".join(ENCODINGS).encode())
_KEY = re.compile(r"[0-9a-z_.-]+")
_SAFE = frozenset(range(0x20, 0x7F)) - {ord("%")}
_RESERVED = frozenset({"te", "content-type", "content-length", "connection"})


def plain_head(status: int, body_bytes: int) -> bytes:
    """The block of an answer that is no gRPC: a text of so many bytes."""
    fields = ((b":status", b"%d" % status), (b"content-type", b"text/plain"), (b"content-length", b"%d" % body_bytes))
    return b"".join(literal(name, value) for name, value in fields)


def metadata_block(metadata: Sequence[tuple[str, Any]]) -> bytes:
    """Metadata as fields; keys that the protocol has for itself are left out. ValueError for what cannot be sent."""
    block = b""
    for key, value in metadata:
        name = key.lower()
        if name in _RESERVED or (name.startswith((":", "grpc-")) and name != "grpc-status-details-bin"):
            continue
        if not _KEY.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no key of metadata")
        if name.endswith("-bin"):
            data = value if isinstance(value, bytes) else str(value).encode()
            text = base64.b64encode(data).rstrip(b"=")
        else:
            text = value if isinstance(value, bytes) else str(value).encode("ascii")
            if not all(0x20 <= byte < 0x7F for byte in text):
                raise ValueError(f"metadata {name!r} has a value that is not printable ASCII")
        block += literal(name.encode("ascii"), text)
    return block


def trailers(
    code: grpc.StatusCode, message: str, metadata: Sequence[tuple[str, Any]] | Metadata, most_bytes: int
) -> bytes:
    """The block that ends a call; what the peer would refuse as too long is left out, the message cut."""
    number: int = code.value[0]
    if number == 0 and not message and not metadata:
        return OK_TRAILERS
    block = literal(b"grpc-status", str(number).encode())
    if code is grpc.StatusCode.UNIMPLEMENTED:
        block += _ACCEPT
    room = most_bytes - len(block) - 8 * _FIELD_OVERHEAD
    if message:
        encoded = percent_encoded(message)
        if len(encoded) > room // 2:
            encoded = encoded[: max(0, room // 2)]
            # Never half an escape.
            encoded = encoded[: encoded.rfind(b"%")] if b"%" in encoded[-2:] else encoded
        block += literal(b"grpc-message", encoded)
        room -= len(encoded)
    if metadata:
        more = metadata_block(metadata)
        if len(more) + len(metadata) * _FIELD_OVERHEAD <= room:
            block += more
    return block


def percent_encoded(message: str) -> bytes:
    """A status message as the gRPC protocol writes it."""
    data = message.encode("utf-8", "replace")
    if all(byte in _SAFE for byte in data):
        return data
    return b"".join(bytes((byte,)) if byte in _SAFE else b"%%%02X" % byte for byte in data)
