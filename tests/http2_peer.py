"""The other end of a connection of our HTTP/2 transport, frame by frame, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from hpack import Decoder, Encoder

from app.http2 import frames as f
from app.http2.connection import Connection
from app.http2.limits import Limits
from app.http2.messages import PREFIX
from app.http2.server import Door

SERVICE = "haat.test.v1.Echo"


@dataclass
class Handlers:
    """An echo in all four shapes, and what became of its calls."""

    started: int = 0
    cancelled: int = 0
    streams_ended: int = 0
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def once(self, data: bytes, context: Any) -> bytes:
        self.started += 1
        return data

    async def wait(self, data: bytes, context: Any) -> bytes:
        self.started += 1
        try:
            await self.open_gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return data

    async def abort(self, data: bytes, context: Any) -> bytes:
        trailers = (("grpc-status-details-bin", b"\x00\xff"), ("x-why", "because"))
        await context.abort(grpc.StatusCode.NOT_FOUND, "100 % gone: ü", trailers)
        raise AssertionError("abort returned")

    async def bug(self, data: bytes, context: Any) -> bytes:
        raise ZeroDivisionError("secret")

    async def sized(self, data: bytes, context: Any) -> bytes:
        return bytes(int(data))

    async def metadata(self, data: bytes, context: Any) -> bytes:
        return repr(context.invocation_metadata()).encode()

    async def split(self, data: bytes, context: Any) -> AsyncIterator[bytes]:
        for at in range(0, len(data), 2):
            yield data[at : at + 2]

    async def join(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([data async for data in requests])

    async def each(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self.started += 1
        try:
            async for data in requests:
                if data == b"abort":
                    await context.abort(grpc.StatusCode.ABORTED, "as asked")
                yield data
        finally:
            self.streams_ended += 1

    async def unread(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await self.open_gate.wait()
        async for data in requests:
            yield data

    def generic(self) -> grpc.GenericRpcHandler:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        behaviours: dict[str, Any] = {
            "Split": grpc.unary_stream_rpc_method_handler(cast(Any, self.split)),
            "Join": grpc.stream_unary_rpc_method_handler(cast(Any, self.join)),
            "Each": stream(cast(Any, self.each)),
            "Unread": stream(cast(Any, self.unread)),
        }
        singles: tuple[Callable[..., Any], ...] = (
            self.once, self.wait, self.abort, self.bug, self.sized, self.metadata,
        )  # fmt: skip
        behaviours |= {one.__name__.title(): unary(cast(Any, one)) for one in singles}
        return grpc.method_handlers_generic_handler(SERVICE, behaviours)


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    sid: int
    payload: bytes


def frames_in(data: bytes) -> list[Frame]:
    """Whole frames of what the server wrote."""
    found, at = [], 0
    while at < len(data):
        size_and_kind, flags, sid = f.HEAD.unpack_from(data, at)
        size = size_and_kind >> 8
        payload = data[at + 9 : at + 9 + size]
        assert len(payload) == size, "half a frame was written"
        found.append(Frame(size_and_kind & 0xFF, flags, sid, payload))
        at += 9 + size
    return found


class FakeTransport(asyncio.Transport):
    """Takes what is written; `unread` pretends that the peer does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.writes = 0
        self.unread = 0
        self.eof = self.aborted = self.closed = False

    def write(self, data: Any) -> None:
        self.writes += 1
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def is_closing(self) -> bool:
        return self.aborted or self.closed

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else default


class Peer:
    """A client that says exactly what a test wants. Make it inside a running loop."""

    def __init__(self, handlers: Handlers | None = None, limits: Limits | None = None, *, greet: bool = True) -> None:
        self.handlers = handlers or Handlers()
        self.door = Door([self.handlers.generic()], limits or Limits())
        self.transport = FakeTransport()
        self.connection = Connection(self.door)
        self.connection.connection_made(self.transport)
        self.encoder = Encoder()
        self.decoder = Decoder()
        if greet:
            self.send(f.PREFACE + f.settings({}))

    def send(self, *frames: bytes) -> None:
        """Bytes in one read; nothing of what they cause has run when this returns."""
        self.connection.data_received(b"".join(frames))

    async def say(self, *frames: bytes) -> list[Frame]:
        """Bytes in one read, and what the server said until it had nothing more to do."""
        self.send(*frames)
        return await self.heard()

    async def heard(self, turns: int = 12) -> list[Frame]:
        """What the server has said since the last look."""
        for _ in range(turns):
            await asyncio.sleep(0)
        data = bytes(self.transport.written)
        self.transport.written.clear()
        return frames_in(data)

    def block(self, method: str, *more: tuple[str, str], **instead: str) -> bytes:
        """The header block of a call; `instead` replaces pseudo-headers and content_type."""
        fields = [
            (":method", instead.get("verb", "POST")),
            (":scheme", "http"),
            (":path", f"/{SERVICE}/{method}"),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", instead.get("content_type", "application/grpc")),
            *more,
        ]
        return self.encoder.encode(fields)

    def call(self, sid: int, method: str, data: bytes = b"", *more: tuple[str, str]) -> bytes:
        """A whole unary call."""
        return self.begin(sid, method, *more) + end(sid, message(data))

    def begin(self, sid: int, method: str, *more: tuple[str, str]) -> bytes:
        """The head of a call."""
        return f.header_frames(sid, self.block(method, *more), end_stream=False)

    def fields(self, frame: Frame) -> dict[str, str]:
        """The header fields of a frame."""
        assert frame.kind == f.HEADERS
        return {
            (name if isinstance(name, str) else name.decode()): (value if isinstance(value, str) else value.decode())
            for name, value in self.decoder.decode(frame.payload)
        }

    def status(self, frames: Sequence[Frame], sid: int) -> str:
        """The grpc-status that a stream ended with; "" when it has none yet."""
        ends = [one for one in frames if one.sid == sid and one.kind == f.HEADERS and one.flags & f.END_STREAM]
        return self.fields(ends[-1]).get("grpc-status", "") if ends else ""


def message(data: bytes, flag: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return PREFIX.pack(flag, len(data)) + data


def part(sid: int, data: bytes) -> bytes:
    """A DATA frame that is not the last."""
    return f.frame(f.DATA, 0, sid, data)


def end(sid: int, data: bytes = b"") -> bytes:
    """A DATA frame that is the last."""
    return f.frame(f.DATA, f.END_STREAM, sid, data)


def data_of(frames: Sequence[Frame], sid: int) -> bytes:
    """What came in DATA frames of a stream."""
    return b"".join(one.payload for one in frames if one.kind == f.DATA and one.sid == sid)


def errors_in(frames: Sequence[Frame]) -> list[tuple[str, int]]:
    """RST_STREAM and GOAWAY frames: ("stream" or "connection", code)."""
    return [
        ("stream", int.from_bytes(one.payload, "big"))
        if one.kind == f.RST_STREAM
        else ("connection", int.from_bytes(one.payload[4:8], "big"))
        for one in frames
        if one.kind in (f.RST_STREAM, f.GOAWAY)
    ]
