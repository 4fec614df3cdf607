"""Which calls does a connection carry? Frames about streams: begun, continued, taken back, ended, forgotten."""

from __future__ import annotations

import asyncio

import grpc

from app.http2 import frames as f
from app.http2.call import Call
from app.http2.deadlines import Deadlines
from app.http2.frames import Code, ConnectionBroken, StreamBroken
from app.http2.header_blocks import HeaderBlocks, TooLong
from app.http2.header_fields import Head, Malformed, Refusal
from app.http2.limits import Budget, Buffer, Limits
from app.http2.methods import Methods
from app.http2.writing import Writing

# Streams that we ended before their peer had: what is still on its way for them is no mistake.
_ENDED_EARLY_REMEMBERED = 2048
_TOO_LONG = Head(
    None,
    (),
    None,
    "identity",
    None,
    Refusal(0, grpc.StatusCode.RESOURCE_EXHAUSTED, "the metadata of the call is too large"),
)


class OpenCalls(Writing):
    """The open calls of one connection, and what it remembers of those that are over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, methods: Methods, buffer: Buffer) -> None:
        super().__init__(loop, limits)
        self.peer = ""
        self.peer_list_bytes = 8192
        # Running handlers, also those whose callers have gone.
        self.handlers = 0
        # Bytes of requests that calls hold.
        self.buffered = 0
        self.server_buffer = buffer
        self._blocks = HeaderBlocks(methods, limits.header_list_bytes)
        # A header block whose end has not come: stream, flags, parts, bytes.
        self._block: tuple[int, int, list[bytes], int] | None = None
        self._calls: dict[int, Call] = {}
        self._ended_early: dict[int, None] = {}
        self._last_sid = 0
        # Streams after this one are not taken: set by the last GOAWAY.
        self._take_upto = f.LARGEST_STREAM_ID
        # When we began to say good-bye; going is also who was told good-bye by the peer.
        self._leaving_s = 0.0
        self._going = False
        self._room = limits.connection_window
        self._peer_window = f.DEFAULT_WINDOW
        self._deadlines = Deadlines(loop, self._calls, self._deadline_passed)
        now_s = loop.time()
        self._resets = Budget(limits.resets, limits.resets_per_s, now_s)
        self._chores = Budget(limits.chores, limits.chores_per_s, now_s)
        self._heard_s = now_s

    def _data(self, flags: int, sid: int, payload: bytes) -> None:
        size = len(payload)
        end = flags & f.END_STREAM
        self._room -= size
        if self._room < 0:
            raise ConnectionBroken(Code.FLOW_CONTROL_ERROR, "more data than the connection's window")
        if self._room <= self.limits.connection_window >> 1:
            self.emit(f.window_update(0, self.limits.connection_window - self._room))
            self._room = self.limits.connection_window
        if flags & f.PADDED:
            payload = f.content(flags, payload)
        if not payload and not end:
            self._chore()
        call = self._calls.get(sid)
        if call is None:
            self._check_not_idle(sid, "DATA")
            if sid not in self._ended_early and sid <= self._take_upto:
                raise StreamBroken(sid, Code.STREAM_CLOSED)
            return
        if call.remote_closed:
            raise StreamBroken(sid, Code.STREAM_CLOSED)
        call.receive(payload, size, bool(end))

    def _headers(self, flags: int, sid: int, payload: bytes) -> None:
        if not sid & 1:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "HEADERS on a stream that is no client's")
        # The block must be unpacked even when its stream is refused: the table depends on it.
        dependent = False
        try:
            block = f.header_content(flags, sid, payload)
        except StreamBroken:
            dependent = True
            block = f.content(flags & ~f.WITH_PRIORITY, payload)[5:]
        if flags & f.END_HEADERS:
            self._header_block(sid, flags, block)
        else:
            self._block = (sid, flags, [block], len(block))
        if dependent:
            raise StreamBroken(sid, Code.PROTOCOL_ERROR)

    def _continuation(self, flags: int, sid: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != sid:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "CONTINUATION without its HEADERS")
        _, begun, parts, size = self._block
        parts.append(payload)
        size += len(payload)
        if size > self.limits.header_block_bytes or len(parts) > self.limits.continuations:
            raise ConnectionBroken(Code.ENHANCE_YOUR_CALM, "a header block in too many pieces")
        if flags & f.END_HEADERS:
            self._block = None
            self._header_block(sid, begun, b"".join(parts))
        else:
            self._block = (sid, begun, parts, size)

    def _header_block(self, sid: int, flags: int, block: bytes) -> None:
        if sid <= self._last_sid:
            self._late_headers(sid, flags, block)
            return
        try:
            head = self._blocks.head(block)
        except Malformed:
            self._last_sid = sid
            raise StreamBroken(sid, Code.PROTOCOL_ERROR) from None
        except TooLong:
            head = _TOO_LONG
        if sid > self._take_upto:
            # It was told so by GOAWAY, and tries again elsewhere.
            return
        self._last_sid = sid
        limits = self.limits
        if len(self._calls) >= limits.streams or self.handlers - len(self._calls) >= limits.abandoned_handlers:
            self._resets_spent()
            raise StreamBroken(sid, Code.REFUSED_STREAM)
        call = self._calls[sid] = Call(self, sid, self._peer_window, self._heard_s, head)
        if call.deadline_s:
            self._deadlines.add(call.deadline_s, sid, len(self._calls))
        call.begin()
        if flags & f.END_STREAM and sid in self._calls:
            call.receive_end()

    def _late_headers(self, sid: int, flags: int, block: bytes) -> None:
        """Fields after the messages, or for a stream that is over."""
        call = self._calls.get(sid)
        if call is not None and not call.remote_closed:
            try:
                self._blocks.trailers(block)
            except Malformed:
                raise StreamBroken(sid, Code.PROTOCOL_ERROR) from None
            if not flags & f.END_STREAM:
                raise StreamBroken(sid, Code.PROTOCOL_ERROR)
            call.receive_end()
            return
        self._blocks.skip(block)
        if sid not in self._ended_early:
            raise ConnectionBroken(Code.STREAM_CLOSED, "HEADERS on a stream that is over")

    def _rst_stream(self, flags: int, sid: int, payload: bytes) -> None:
        f.number_in(payload, "RST_STREAM")
        self._check_not_idle(sid, "RST_STREAM")
        call = self._calls.pop(sid, None)
        if call is None:
            self._chore()
            return
        call.abandon()
        self._resets_spent()
        self._rest_if_gone()

    def _check_not_idle(self, sid: int, what: str) -> None:
        if sid == 0 or self._last_sid < sid <= self._take_upto:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, f"{what} on a stream that nobody opened")

    def _chore(self) -> None:
        if not self._chores.spend(self.now_s()):
            raise ConnectionBroken(Code.ENHANCE_YOUR_CALM, "too many frames that carry nothing")

    def _resets_spent(self) -> None:
        if not self._resets.spend(self.now_s()):
            raise ConnectionBroken(Code.ENHANCE_YOUR_CALM, "too many calls are taken back")

    def _reset(self, sid: int, code: Code) -> None:
        """End a stream whose peer broke the rules or stands still."""
        call = self._calls.pop(sid, None)
        self.emit(f.rst_stream(sid, code))
        if sid > self._last_sid:
            return
        self._remember_ended(sid)
        if call is not None:
            call.abandon()
            self._rest_if_gone()

    def _remember_ended(self, sid: int) -> None:
        self._ended_early[sid] = None
        if len(self._ended_early) > _ENDED_EARLY_REMEMBERED:
            del self._ended_early[next(iter(self._ended_early))]

    def sent_data(self) -> None:
        """A piece of a long answer went out: whoever takes it may say so."""
        self._chores.earn()

    def answered(self, sid: int) -> None:
        """The last frame of a call went out."""
        call = self._calls.pop(sid)
        if not call.remote_closed:
            # All that the peer still wanted to say is not needed.
            self.emit(f.rst_stream(sid, Code.NO_ERROR))
            self._remember_ended(sid)
        self._resets.earn()
        self._chores.earn()
        call.over()
        if self._going:
            self._rest_if_gone()

    def _deadline_passed(self, sid: int) -> None:
        self._calls[sid].pass_deadline()

    def _rest_if_gone(self) -> None:
        peer_knows = self._take_upto != f.LARGEST_STREAM_ID or not self._leaving_s
        if self._going and not self._calls and peer_knows:
            self.hang_up()
