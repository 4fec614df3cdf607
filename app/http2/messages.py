"""Where does a message begin and end? gRPC's length prefixes, bounded, and messages that come compressed."""

from __future__ import annotations

import zlib
from struct import Struct

import grpc

PREFIX = Struct(">BI")
_PREFIX_BYTES = PREFIX.size
# zlib's word for the format: 16 more than the window's bits is gzip, without them it is zlib ("deflate").
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class MessageRefused(Exception):
    """A message that is not taken: too large, or not what its prefix says."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class MessageReader:
    """Cuts the bytes of one stream into messages."""

    __slots__ = ("_buffer", "_encoding", "_most_bytes", "_next")

    def __init__(self, most_bytes: int, encoding: str) -> None:
        self._most_bytes = most_bytes
        self._encoding = encoding
        self._buffer = bytearray()
        self._next: tuple[int, int] | None = None

    @property
    def unfinished(self) -> int:
        """Bytes of a message whose rest has not come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now; MessageRefused."""
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        while True:
            if self._next is None:
                if len(buffer) < _PREFIX_BYTES:
                    return found
                flag, size = PREFIX.unpack_from(buffer)
                self._check(flag, size)
                self._next = (flag, size)
            flag, size = self._next
            end = _PREFIX_BYTES + size
            if len(buffer) < end:
                return found
            with memoryview(buffer) as view:
                message = bytes(view[_PREFIX_BYTES:end])
            del buffer[:end]
            self._next = None
            found.append(self._unpacked(message) if flag else message)

    def _check(self, flag: int, size: int) -> None:
        if size > self._most_bytes:
            raise _too_large(str(size), self._most_bytes)
        if flag > 1:
            raise MessageRefused(grpc.StatusCode.INTERNAL, "a message whose first byte is neither 0 nor 1")
        if flag and self._encoding == "identity":
            raise MessageRefused(grpc.StatusCode.INTERNAL, "a compressed message in a call that names no grpc-encoding")

    def _unpacked(self, message: bytes) -> bytes:
        unpacker = zlib.decompressobj(_WINDOW_BITS[self._encoding])
        try:
            data = unpacker.decompress(message, self._most_bytes + 1)
        except zlib.error:
            raise MessageRefused(grpc.StatusCode.INTERNAL, f"a message that is no {self._encoding}") from None
        if len(data) > self._most_bytes:
            raise _too_large(f"more than {self._most_bytes}", self._most_bytes)
        if not unpacker.eof or unpacker.unused_data:
            raise MessageRefused(grpc.StatusCode.INTERNAL, f"a message that is not one whole {self._encoding}")
        return data


def _too_large(size: str, most_bytes: int) -> MessageRefused:
    said = f"the message has {size} bytes: at most {most_bytes} are taken"
    return MessageRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, said)
