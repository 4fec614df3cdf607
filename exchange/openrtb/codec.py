"""How do the bytes of an OpenRTB body become values, and values bytes? Plain dicts, so that nothing unknown is lost."""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec

from exchange.openrtb.problems import one_problem

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_GZIP_OR_ZLIB: Final = 47


def from_json(data: bytes) -> dict[str, Any]:
    """The object in `data`; InvalidRequest when it is no JSON object. Nothing in it is checked yet."""
    try:
        value = _DECODER.decode(data)
    except RecursionError:
        raise one_problem("", f"{len(data)} bytes", "nest objects and arrays less deeply", "2.3") from None
    except UnicodeDecodeError as error:
        raise one_problem("", f"byte {error.start} is no UTF-8", "send JSON in UTF-8", "2.3") from None
    except msgspec.MsgspecError as error:
        raise one_problem("", f"{len(data)} bytes", f"send JSON: {error}", "2.3") from None
    if type(value) is not dict:
        raise one_problem("", value, "send a JSON object", "3.2.1")
    return value


def to_json(value: object) -> bytes:
    """Compact JSON."""
    return _ENCODER.encode(value)


class TooLarge(Exception):  # a limit that was reached, told as HTTP 413
    """The body is larger than is taken, packed or unpacked."""


def inflate(data: bytes, limit: int) -> bytes:
    """What was packed by gzip (or zlib); TooLarge beyond `limit` bytes, InvalidRequest when it is broken.

    Never makes more than `limit` + 1 bytes, whatever the data promises.
    """
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise one_problem("", f"{len(data)} bytes", "send gzip as Content-Encoding says", "2.4") from None
    if len(unpacked) > limit:
        raise TooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise one_problem("", f"{len(data)} bytes", "send one whole gzip stream", "2.4")
    return unpacked


def deflate(data: bytes) -> bytes:
    """`data` packed by gzip, quickly."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()
