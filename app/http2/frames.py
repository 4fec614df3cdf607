"""How do frames look on the wire? RFC 9113 §4 and §6: their heads, what they hold, and the ones that we send."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
DEFAULT_WINDOW = 65_535
LARGEST_WINDOW = 2**31 - 1
LARGEST_STREAM_ID = 2**31 - 1
# What we take, the least that everybody must; what we send may be up to LARGEST_SENT where the peer takes it.
FRAME_BYTES = 16_384
LARGEST_SENT = 65_536

# Length and type in one number, flags, stream.
HEAD = Struct(">IBI")
HEAD_BYTES = HEAD.size
_SETTING = Struct(">HI")
_NUMBER = Struct(">I")
_LENGTH_AND_TYPE = Struct(">IB")


class Code(IntEnum):
    """Error codes of RFC 9113 §7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionBroken(Exception):
    """The peer broke the rules in a way that ends the connection."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StreamBroken(Exception):
    """The peer broke the rules on one stream; the others go on."""

    def __init__(self, sid: int, code: Code) -> None:
        super().__init__(sid, code)
        self.sid = sid
        self.code = code


def content(flags: int, payload: bytes) -> bytes:
    """The payload of DATA without padding. ConnectionBroken when there is more padding than frame."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionBroken(Code.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def header_content(flags: int, sid: int, payload: bytes) -> bytes:
    """The header block's part in HEADERS, without padding and priority."""
    block = content(flags, payload)
    if flags & WITH_PRIORITY:
        if len(block) < 5:
            raise ConnectionBroken(Code.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
        check_dependency(sid, block)
        block = block[5:]
    return block


def check_dependency(sid: int, payload: bytes) -> None:
    """Priorities are otherwise not looked at. StreamBroken when a stream depends on itself (RFC 7540 §5.3.1)."""
    if _NUMBER.unpack_from(payload)[0] & LARGEST_STREAM_ID == sid:
        raise StreamBroken(sid, Code.PROTOCOL_ERROR)


def settings_in(payload: bytes) -> dict[int, int]:
    """The last value of each setting; ConnectionBroken when one is out of its range (RFC 9113 §6.5.2)."""
    if len(payload) % 6:
        raise ConnectionBroken(Code.FRAME_SIZE_ERROR, "SETTINGS of a length that is not a multiple of 6")
    found = {}
    for name, value in _SETTING.iter_unpack(payload):
        if name == ENABLE_PUSH and value > 1:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        if name == INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
            raise ConnectionBroken(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large")
        if name == MAX_FRAME_SIZE and not FRAME_BYTES <= value < 2**24:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range")
        found[name] = value
    return found


def number_in(payload: bytes, what: str) -> int:
    """The one number that WINDOW_UPDATE and RST_STREAM carry."""
    if len(payload) != 4:
        raise ConnectionBroken(Code.FRAME_SIZE_ERROR, f"{what} of {len(payload)} bytes")
    number: int = _NUMBER.unpack(payload)[0]
    return number


def frame(kind: int, flags: int, sid: int, payload: bytes) -> bytes:
    """One whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, sid) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def window_update(sid: int, increment: int) -> bytes:
    """So many more bytes may come."""
    return frame(WINDOW_UPDATE, 0, sid, _NUMBER.pack(increment))


def rst_stream(sid: int, code: Code) -> bytes:
    """This stream is over."""
    return frame(RST_STREAM, 0, sid, _NUMBER.pack(code))


def goaway(last_sid: int, code: Code, reason: str = "") -> bytes:
    """No streams after `last_sid` are taken."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last_sid) + _NUMBER.pack(code) + reason.encode()[:200])


def data_head(size: int, sid: int) -> bytes:
    """The head of a DATA frame that does not end its stream."""
    return HEAD.pack(size << 8, 0, sid)


def header_frames(sid: int, block: bytes, *, end_stream: bool, frame_bytes: int = FRAME_BYTES) -> bytes:
    """HEADERS, and as many CONTINUATIONs as the block needs."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= frame_bytes:
        return HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, sid) + block
    frames = [frame(HEADERS, flags, sid, block[:frame_bytes])]
    for at in range(frame_bytes, len(block), frame_bytes):
        last = END_HEADERS if at + frame_bytes >= len(block) else 0
        frames.append(frame(CONTINUATION, last, sid, block[at : at + frame_bytes]))
    return b"".join(frames)


def head5(kind: int, flags: int, size: int) -> bytes:
    """The part of a frame's head before the stream id, for frames that are made once and sent often."""
    return _LENGTH_AND_TYPE.pack(size << 8 | kind, flags)
