"""What does a call's list of header fields say? RFC 9113 §8 and the gRPC protocol, checked; pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import grpc

from app.http2.methods import Metadata, Method, Methods

ENCODINGS: Final = ("identity", "gzip", "deflate")

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_NOT_IN_VALUES = re.compile(rb"[\x00\r\n]")
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_LONGEST_TIMEOUT_S = 366 * 86_400.0
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
# What the transport itself reads and handlers are not shown.
_TRANSPORT = frozenset({b"te", b"content-type", b"content-length", b"grpc-timeout", b"grpc-encoding", b"host"})
_TRANSPORT_TOO = frozenset({b"grpc-accept-encoding", b"accept-encoding", b"grpc-message-type"})


class Malformed(Exception):
    """The fields are no request at all: RFC 9113 §8.1.1 ends the stream with PROTOCOL_ERROR."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not begun: a plain HTTP status, or 0 and a gRPC status with its sentence."""

    http_status: int = 0
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    message: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A call as its header fields tell it. `method` is None exactly when there is a `refusal`."""

    method: Method | None
    metadata: Metadata
    timeout_s: float | None
    encoding: str
    content_length: int | None
    refusal: Refusal | None


def read_head(fields: Iterable[tuple[bytes, bytes]], methods: Methods) -> Head:
    """The call; Malformed when the fields break HTTP/2's rules."""
    pseudo, regular = _checked(fields)
    length = _content_length(regular)
    if not (pseudo.get(b":method") and pseudo.get(b":scheme") and pseudo.get(b":path")):
        raise Malformed("a request without method, scheme or path")
    refusal = _not_grpc(pseudo, regular)
    if refusal is not None:
        return Head(None, (), None, "identity", length, refusal)
    known = dict(regular)
    try:
        metadata = _metadata(regular)
        timeout_s = _timeout_s(known.get(b"grpc-timeout"))
    except ValueError as wrong:
        return Head(None, (), None, "", length, Refusal(0, grpc.StatusCode.INVALID_ARGUMENT, str(wrong)))
    encoding = known.get(b"grpc-encoding", b"identity").decode("latin-1")
    path = pseudo[b":path"].decode("latin-1")
    method = None
    if encoding not in ENCODINGS:
        said = f"messages compressed with {encoding[:40]!r} cannot be read: send {', '.join(ENCODINGS)}"
        refusal = Refusal(0, grpc.StatusCode.UNIMPLEMENTED, said)
    else:
        method = methods.find(path, metadata)
        if method is None:
            refusal = Refusal(0, grpc.StatusCode.UNIMPLEMENTED, f"there is no method {path[:200]!r} here")
    return Head(method, metadata, timeout_s, encoding, length, refusal)


def check_trailers(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Fields after the messages mean nothing to gRPC; Malformed when they break HTTP/2's rules."""
    pseudo, _ = _checked(fields)
    if pseudo:
        raise Malformed("pseudo-header fields in trailers")


def _checked(fields: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    pseudo: dict[bytes, bytes] = {}
    regular: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if _NOT_IN_VALUES.search(value):
            raise Malformed("a control character in a value")
        if name[:1] == b":":
            if name not in _PSEUDO or name in pseudo or regular:
                raise Malformed("a pseudo-header field that is unknown, twice there, or late")
            pseudo[name] = value
            continue
        if not _NAME.fullmatch(name):
            raise Malformed("a field name that is none")
        if name in _OF_CONNECTIONS or (name == b"te" and value != b"trailers"):
            raise Malformed("a field about the connection")
        regular.append((name, value))
    return pseudo, regular


def _content_length(regular: list[tuple[bytes, bytes]]) -> int | None:
    given = {value for name, value in regular if name == b"content-length"}
    if not given:
        return None
    (value, *others) = given
    if others or not value.isdigit() or len(value) > 15:
        raise Malformed("a content-length that is none")
    return int(value)


def _not_grpc(pseudo: dict[bytes, bytes], regular: list[tuple[bytes, bytes]]) -> Refusal | None:
    if pseudo[b":method"] != b"POST":
        return Refusal(405)
    media = next((value for name, value in regular if name == b"content-type"), b"")
    # "application/grpc+proto" and "application/grpc;charset=…" are gRPC, "application/grpc-web" is not.
    if not media.startswith(b"application/grpc") or media[16:17] not in (b"", b"+", b";"):
        return Refusal(415)
    return None


def _metadata(regular: list[tuple[bytes, bytes]]) -> Metadata:
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in regular:
        if name in _TRANSPORT or name in _TRANSPORT_TOO:
            continue
        key = name.decode("ascii")
        if name.endswith(b"-bin"):
            metadata.extend((key, _from_base64(key, part)) for part in value.split(b","))
        else:
            metadata.append((key, value.decode("latin-1")))
    return tuple(metadata)


def _from_base64(key: str, value: bytes) -> bytes:
    value = value.strip()
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        raise ValueError(f"metadata {key[:100]!r} is not base64") from None


def _timeout_s(value: bytes | None) -> float | None:
    if value is None:
        return None
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise ValueError("grpc-timeout is not up to 8 digits and a unit")
    return min(int(found[1]) * _UNIT_S[found[2]], _LONGEST_TIMEOUT_S)
