"""What does one peer say, frame by frame? An asyncio protocol: bytes in, calls begun, answers collected and written.

Every frame is checked as RFC 9113 says. A peer that breaks the rules loses its stream or its connection, never more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from app.http2 import frames as f
from app.http2.frames import Code, ConnectionBroken, StreamBroken
from app.http2.open_calls import OpenCalls
from app.http2.stream import USEFUL_BYTES

if TYPE_CHECKING:
    from app.http2.server import Door

_SHUTDOWN_PING = b"haat bye"
_SHUTDOWN_PING_S = 1.0
_log = logging.getLogger(__name__)


class Connection(OpenCalls, asyncio.Protocol):
    """One connection, from its first byte to its last."""

    def __init__(self, door: Door) -> None:
        super().__init__(asyncio.get_running_loop(), door.limits, door.methods, door.buffer)
        self._door = door
        self._rest = b""
        self._greeted = False
        self._settled = False
        self._begun_s = self._heard_s
        # When we asked a silent peer whether it lives.
        self._asked_s = 0.0
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
            if not self._greet(data):
                self._rest = data
                return
            at = len(f.PREFACE)
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

    def _greet(self, data: bytes) -> bool:
        size = len(f.PREFACE)
        if data[:size] != f.PREFACE[: len(data)]:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "this is a gRPC port: it speaks HTTP/2 only")
        self._greeted = len(data) >= size
        return self._greeted

    def _priority(self, flags: int, sid: int, payload: bytes) -> None:
        if sid == 0:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "PRIORITY without a stream")
        self._chore()
        if len(payload) != 5:
            raise StreamBroken(sid, Code.FRAME_SIZE_ERROR)
        f.check_dependency(sid, payload)

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
        # A little room makes us send frames that are nearly all head, where something waits for it. Where nothing does,
        # little is usual: grpcio gives back the five bytes of each message's prefix by themselves.
        if sid:
            call = self._calls.get(sid)
            if call is not None:
                if increment < USEFUL_BYTES and call.is_waiting:
                    self._chore()
                call.widen(increment)
            else:
                self._check_not_idle(sid, "WINDOW_UPDATE")
            return
        if increment == 0:
            raise ConnectionBroken(Code.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if increment < USEFUL_BYTES and self.blocked:
            self._chore()
        self.send_window += increment
        if self.send_window > f.LARGEST_WINDOW:
            raise ConnectionBroken(Code.FLOW_CONTROL_ERROR, "the connection's window is too large")
        self.pump_blocked()

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
