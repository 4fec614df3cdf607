"""What may still be sent on a stream, and what waits until it may? Flow control of RFC 9113 §5.2, outwards."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from app.http2.frames import LARGEST_WINDOW, Code, ConnectionBroken, StreamBroken, data_head

if TYPE_CHECKING:
    from app.http2.open_calls import OpenCalls


# A DATA frame of so many bytes is worth the frames that made room for it.
USEFUL_BYTES = 256


class Stream:
    """The sending half of one stream. Header frames go out at once, data as far as both windows reach."""

    __slots__ = (
        "_drained",
        "_last",
        "_waiting",
        "closed",
        "connection",
        "moved_s",
        "remote_closed",
        "send_window",
        "sid",
    )

    def __init__(self, connection: OpenCalls, sid: int, send_window: int, now_s: float) -> None:
        self.connection = connection
        self.sid = sid
        self.send_window = send_window
        # The peer has said all that it has to say.
        self.remote_closed = False
        # Nothing more is sent: our last frame went out, or the stream was reset.
        self.closed = False
        # When something last went forward, for the sweep that looks for stalled streams.
        self.moved_s = now_s
        self._waiting: deque[memoryview] | None = None
        self._last = b""
        self._drained: asyncio.Future[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Is there something that the windows do not let out?"""
        return bool(self._waiting) or bool(self._last)

    def send_data(self, data: bytes) -> None:
        """Send bytes now, or as soon as there is room for them."""
        size = len(data)
        connection = self.connection
        if (
            not self._waiting
            and size <= self.send_window
            and size <= connection.send_window
            and size <= connection.frame_bytes
            and not connection.paused
        ):
            self.send_window -= size
            connection.send_window -= size
            connection.emit(data_head(size, self.sid) + data)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(memoryview(data))
        self.pump()

    def send_last(self, frames: bytes) -> None:
        """Send frames that end the stream and need no window, after all data that waits."""
        if self.is_waiting or self.connection.paused:
            self._last = frames
            self.connection.blocked[self.sid] = self
            return
        self.connection.emit(frames)
        self._close()

    def pump(self, frames: int = 1 << 30) -> None:
        """Send so many frames of what waits, as far as windows reach and the peer reads."""
        connection, waiting = self.connection, self._waiting
        while waiting and frames and not connection.paused:
            room = min(self.send_window, connection.send_window, connection.frame_bytes)
            if room <= 0:
                break
            piece = waiting[0]
            if len(piece) <= room:
                waiting.popleft()
            else:
                piece, waiting[0] = piece[:room], piece[room:]
            size = len(piece)
            self.send_window -= size
            connection.send_window -= size
            connection.emit(data_head(size, self.sid) + bytes(piece))
            self.moved_s = connection.now_s()
            frames -= 1
            if size >= USEFUL_BYTES:
                connection.sent_data()
        if waiting:
            connection.blocked[self.sid] = self
            return
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._last and not connection.paused:
            connection.emit(self._last)
            self._last = b""
            self._close()
        if not self._last:
            connection.blocked.pop(self.sid, None)

    async def drained(self) -> None:
        """Until nothing waits; raises CancelledError when the stream ends first."""
        if self._waiting:
            self._drained = asyncio.get_running_loop().create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    def widen(self, increment: int) -> None:
        """The peer has room for more. StreamBroken when it says more than a window can be."""
        if increment == 0:
            raise StreamBroken(self.sid, Code.PROTOCOL_ERROR)
        if self.send_window + increment > LARGEST_WINDOW:
            raise StreamBroken(self.sid, Code.FLOW_CONTROL_ERROR)
        self.send_window += increment
        if self._waiting:
            self.pump()

    def shift_window(self, difference: int) -> None:
        """The peer changed the window that its streams begin with. ConnectionBroken when the sum is too large."""
        if self.send_window + difference > LARGEST_WINDOW:
            raise ConnectionBroken(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
        self.send_window += difference

    def stop_sending(self) -> None:
        """Nothing more is sent; whoever waits for it is cancelled."""
        self.closed = True
        self.forget_waiting()

    def forget_waiting(self) -> None:
        """Drop what has not gone out, also the end."""
        self._waiting = None
        self._last = b""
        self.connection.blocked.pop(self.sid, None)
        if self._drained is not None and not self._drained.done():
            self._drained.cancel()

    def _close(self) -> None:
        self.closed = True
        self.connection.answered(self.sid)
