"""What does one peer say, frame by frame? An asyncio protocol: bytes in, calls begun, answers collected and written.

Every frame is checked as RFC 9113 says. A peer that breaks the rules loses its stream or its connection, never more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import grpc

from app.http2 import frames as f
from app.http2.call import Call
from app.http2.deadlines import Deadlines
from app.http2.frames import Code, ConnectionBroken, StreamBroken
from app.http2.header_blocks import HeaderBlocks, TooLong
from app.http2.header_fields import Head, Malformed, Refusal
from app.http2.limits import Budget
from app.http2.writing import Writing

if TYPE_CHECKING:
    from app.http2.server import Door

# Streams that we ended before their peer had: what is still on its way for them is no mistake.
_ENDED_EARLY_REMEMBERED = 2048
_SHUTDOWN_PING = b"haat bye"
_SHUTDOWN_PING_S = 1.0
# A WINDOW_UPDATE of less makes us send frames that are nearly all head.
_TINY = 256
_TOO_LONG = Head(
    None,
    (),
    None,
    "identity",
    None,
    Refusal(0, grpc.StatusCode.RESOURCE_EXHAUSTED, "the metadata of the call is too large"),
)

_log = logging.getLogger(__name__)


class Connection(Writing, asyncio.Protocol):
    """One connection, from its first byte to its last."""

    def __init__(self, door: Door) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop, door.limits)
        self._door = door
        self.peer = ""
        self.peer_list_bytes = 8192
        # Running handlers, also those whose callers have gone.
        self.handlers = 0
        # Bytes of requests that calls hold.
        self.buffered = 0
        self._rest = b""
        self._greeted = False
        self._settled = False
        self._blocks = HeaderBlocks(door.methods, door.limits.header_list_bytes)
        # A header block whose end has not come: stream, flags, parts, bytes.
        self._block: tuple[int, int, list[bytes], int] | None = None
        self._calls: dict[int, Call] = {}
        self._ended_early: dict[int, None] = {}
        self._last_sid = 0
        self._take_upto = f.LARGEST_STREAM_ID
        self._room = door.limits.connection_window
        self._peer_window = f.DEFAULT_WINDOW
        self._deadlines = Deadlines(loop, self._calls, self._deadline_passed)
        now_s = loop.time()
        self._resets = Budget(door.limits.resets, door.limits.resets_per_s, now_s)
        self._chores = Budget(door.limits.chores, door.limits.chores_per_s, now_s)
        self._heard_s = self._begun_s = now_s
        # When we asked a silent peer whether it lives, and when we began to say good-bye.
        self._asked_s = self._leaving_s = 0.0
        self._going = False
        self._frames: tuple[Callable[[int, int, bytes], None], ...] = (
            self._data,
            self._headers,
            self._priority,
            self._rst_stream,
            self._settings,
            self._push_promise,
            self._ping,
            self._goaway,
            self._window_update,
            self._continuation,
        )

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say our settings, and what we have room for."""
        self.transport = cast(asyncio.Transport, transport)
        self.peer = _peer(transport)
        if not self._door.enter(self):
            self.broken = True
            transport.close()
            return
        limits = self.limits
        self.emit(
            f.settings(
                {
                    f.MAX_CONCURRENT_STREAMS: limits.streams,
                    f.INITIAL_WINDOW_SIZE: limits.stream_window,
                    f.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
                }
            )
        )
        self.emit(f.window_update(0, limits.connection_window - f.DEFAULT_WINDOW))

    def data_received(self, data: bytes) -> None:
        """Take all frames that are whole; nothing that a peer sends raises out of here."""
        if self.broken:
            return
        self._heard_s = self.now_s()
        try:
            self._take(data)
        except ConnectionBroken as broken:
            self._break(broken.code, broken.reason)
        except Exception:
            _log.exception("a connection failed")
            self._break(Code.INTERNAL_ERROR, "")

    def eof_received(self) -> bool:
        """A peer that says no more gets no more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """All calls lose their caller."""
        self.broken = True
        self._deadlines.stop()
        for call in list(self._calls.values()):
            call.abandon()
        self._calls.clear()
        self.blocked.clear()
        self._door.leave(self)

    # ---- frames

    def _take(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self._greeted:
            at = self._greet(data)
        unpack, handlers = f.HEAD.unpack_from, self._frames
        while end - at >= 9:
            size_and_kind, flags, sid = unpack(data, at)
            stop = at + 9 + (size_and_kind >> 8)
            if stop - at > f.FRAME_BYTES + 9:
                raise ConnectionBroken(Code.FRAME_SIZE_ERROR, "a frame larger than SETTINGS_MAX_FRAME_SIZE")
            if stop > end:
                break
            kind = size_and_kind & 0xFF
            if self._block is not None and kind != f.CONTINUATION:
                raise ConnectionBroken(Code.PROTOCOL_ERROR, "a header block that breaks off")
            if not self._settled and kind != f.SETTINGS:
                raise ConnectionBroken(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            try:
                if kind < 10:
                    handlers[kind](flags, sid & f.LARGEST_STREAM_ID, data[at + 9 : stop])
                else:
                    self._chore()
            except StreamBroken as broken:
                self._chore()
                self._reset(broken.sid, broken.code)
            if self.broken:
                return
            at = stop
        self._rest = data[at:]

    def _greet(self, data: bytes) -> int:
        size = len(f.PREFACE)
        if data[:size] != f.PREFACE[: len(data)]:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "this is a gRPC port: it speaks HTTP/2 only")
        if len(data) < size:
            return 0
        self._greeted = True
        return size

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
        call = self._calls.get(sid)
        if call is None:
            self._check_not_idle(sid, "DATA")
            if sid not in self._ended_early:
                raise StreamBroken(sid, Code.STREAM_CLOSED)
            return
        if call.remote_closed:
            raise StreamBroken(sid, Code.STREAM_CLOSED)
        if not payload and not end:
            self._chore()
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

    def _priority(self, flags: int, sid: int, payload: bytes) -> None:
        if sid == 0:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "PRIORITY without a stream")
        self._chore()
        if len(payload) != 5:
            raise StreamBroken(sid, Code.FRAME_SIZE_ERROR)
        f.check_dependency(sid, payload)

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

    def _settings(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & f.ACK:
            if payload:
                raise ConnectionBroken(Code.FRAME_SIZE_ERROR, "an acknowledgement that says something")
            return
        self._chore()
        given = f.settings_in(payload)
        self._settled = True
        if f.INITIAL_WINDOW_SIZE in given:
            difference = given[f.INITIAL_WINDOW_SIZE] - self._peer_window
            self._peer_window = given[f.INITIAL_WINDOW_SIZE]
            for call in self._calls.values():
                call.shift_window(difference)
        if f.MAX_FRAME_SIZE in given:
            self.frame_bytes = min(given[f.MAX_FRAME_SIZE], f.LARGEST_SENT)
        self.peer_list_bytes = max(1024, min(given.get(f.MAX_HEADER_LIST_SIZE, self.peer_list_bytes), 1 << 20))
        self.emit(f.frame(f.SETTINGS, f.ACK, 0, b""))
        self.pump_blocked()

    def _push_promise(self, flags: int, sid: int, payload: bytes) -> None:
        raise ConnectionBroken(Code.PROTOCOL_ERROR, "clients push nothing")

    def _ping(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionBroken(Code.FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        if not flags & f.ACK:
            self._chore()
            self.emit(f.frame(f.PING, f.ACK, 0, payload))
        elif payload == _SHUTDOWN_PING:
            self._last_goaway()

    def _goaway(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionBroken(Code.FRAME_SIZE_ERROR, "GOAWAY too short")
        self._going = True
        self._rest_if_gone()

    def _window_update(self, flags: int, sid: int, payload: bytes) -> None:
        increment = f.number_in(payload, "WINDOW_UPDATE") & f.LARGEST_WINDOW
        if increment < _TINY:
            self._chore()
        if sid:
            call = self._calls.get(sid)
            if call is not None:
                call.widen(increment)
            else:
                self._check_not_idle(sid, "WINDOW_UPDATE")
            return
        if increment == 0:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        self.send_window += increment
        if self.send_window > f.LARGEST_WINDOW:
            raise ConnectionBroken(Code.FLOW_CONTROL_ERROR, "the connection's window is too large")
        self.pump_blocked()

    # ---- what frames come to

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

    def answered(self, call: Any) -> None:
        """The last frame of a call went out."""
        self._calls.pop(call.sid, None)
        if not call.remote_closed:
            # All that the peer still wanted to say is not needed.
            self.emit(f.rst_stream(call.sid, Code.NO_ERROR))
            self._remember_ended(call.sid)
        self._resets.earn()
        self._chores.earn()
        call.over()
        if self._going:
            self._rest_if_gone()

    def _deadline_passed(self, sid: int) -> None:
        self._calls[sid].pass_deadline()

    # ---- ends

    def go_away(self) -> None:
        """Take no more calls, finish those that are here, then close (RFC 9113 §6.8: say so twice, a PING between)."""
        if not self.broken and not self._going:
            self._going = True
            self._leaving_s = self.now_s()
            self.emit(f.goaway(f.LARGEST_STREAM_ID, Code.NO_ERROR) + f.frame(f.PING, 0, 0, _SHUTDOWN_PING))

    def _last_goaway(self) -> None:
        if self._going and self._take_upto == f.LARGEST_STREAM_ID:
            self._take_upto = self._last_sid
            self.emit(f.goaway(self._last_sid, Code.NO_ERROR))
            self._rest_if_gone()

    def _rest_if_gone(self) -> None:
        peer_knows = self._take_upto != f.LARGEST_STREAM_ID or not self._leaving_s
        if self._going and not self._calls and peer_knows:
            self.hang_up()

    def _break(self, code: Code, reason: str) -> None:
        """Tell the peer what it did, and hear no more of it."""
        self.emit(f.goaway(self._last_sid, code, reason))
        self.broken = True
        self._deadlines.stop()
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            call.abandon()
        self.hang_up()

    def sweep(self, now_s: float) -> None:
        """Look for what takes too long; called about once a second."""
        limits = self.limits
        if self.closing_s:
            patience_s = limits.stall_s if self.transport.get_write_buffer_size() else limits.linger_s
            if now_s - self.closing_s > patience_s:
                self.transport.abort()
        elif not self._settled and now_s - self._begun_s > limits.preface_s:
            self._break(Code.SETTINGS_TIMEOUT, "no SETTINGS came in time")
        elif self.unread_since_s and now_s - self.unread_since_s > limits.stall_s:
            self.transport.abort()
        elif self._going:
            # A peer that does not answer the PING learns the last stream all the same.
            if self._leaving_s and now_s - self._leaving_s > _SHUTDOWN_PING_S:
                self._last_goaway()
        elif not self._calls and now_s - self._heard_s > limits.idle_s:
            self.go_away()
        elif self._calls:
            self._look_after_calls(now_s)

    def _look_after_calls(self, now_s: float) -> None:
        for sid, call in list(self._calls.items()):
            if call.is_stalled(now_s):
                self._reset(sid, Code.CANCEL)
        if now_s - self._heard_s <= self.limits.keepalive_s:
            self._asked_s = 0.0
        elif not self._asked_s:
            self._asked_s = now_s
            self.emit(f.frame(f.PING, 0, 0, b"haat ask"))
        elif now_s - self._asked_s > self.limits.keepalive_s:
            self.transport.abort()


def _peer(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unknown"
    return f"ipv6:[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"ipv4:{name[0]}:{name[1]}"
