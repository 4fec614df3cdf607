"""What goes out on a connection, and when? All that one turn of the event loop has to say is one write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.http2.frames import DEFAULT_WINDOW, FRAME_BYTES
from app.http2.limits import Limits

if TYPE_CHECKING:
    from app.http2.stream import Stream


class Writing:
    """The sending half of a connection: frames are collected, windows of the peer are kept."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self.limits = limits
        self.now_s = loop.time
        # What the peer has room for, and the largest frame that it takes.
        self.send_window = DEFAULT_WINDOW
        self.frame_bytes = FRAME_BYTES
        # No data now: the peer does not read, or enough is on its way to it.
        self.paused = False
        # Streams with something that may not go out yet, in the order in which they get their turn.
        self.blocked: dict[int, Stream] = {}
        # The connection has ended, or will when what was collected is written.
        self.broken = False
        self.closing_s = 0.0
        self.unread_since_s = 0.0
        self._collected: list[bytes] = []
        self._collected_bytes = 0
        self._hanging_up = False

    def emit(self, chunk: bytes) -> None:
        """Send whole frames, at the end of this turn of the loop."""
        if self.broken:
            return
        collected = self._collected
        collected.append(chunk)
        self._collected_bytes += len(chunk)
        if len(collected) == 1:
            self.loop.call_soon(self._flush)
        if self._collected_bytes > self.limits.unread_bytes:
            self.paused = True

    def _flush(self) -> None:
        collected, self._collected = self._collected, []
        self._collected_bytes = 0
        if self.transport.is_closing():
            return
        if collected:
            self.transport.write(collected[0] if len(collected) == 1 else b"".join(collected))
        if self._hanging_up:
            self._close()
            return
        waiting = self.transport.get_write_buffer_size()
        if self.unread_since_s and waiting > 4 * self.limits.unread_bytes:
            # Nothing but answers to a peer's own questions gets past `paused`.
            self.transport.abort()
        elif self.paused and not self.unread_since_s:
            self.paused = False
            self.pump_blocked()

    def pump_blocked(self) -> None:
        """Send what the windows allow, one frame of each stream at a time."""
        while self.blocked and not self.paused:
            before = self.send_window
            count = len(self.blocked)
            for stream in list(self.blocked.values()):
                stream.pump(1)
            if self.send_window == before and len(self.blocked) == count:
                return

    def pause_writing(self) -> None:
        """Asyncio says that the peer does not read."""
        self.paused = True
        self.unread_since_s = self.now_s()

    def resume_writing(self) -> None:
        """Asyncio says that it reads again."""
        self.unread_since_s = 0.0
        self.paused = False
        self.pump_blocked()

    def hang_up(self) -> None:
        """Close when all that was said is written."""
        if not self._hanging_up:
            self._hanging_up = True
            if not self._collected:
                self.loop.call_soon(self._flush)

    def _close(self) -> None:
        self.broken = True
        self.closing_s = self.now_s()
        if self.transport.can_write_eof():
            # A socket that is closed with unread bytes resets its peer, which then cannot read why.
            self.transport.write_eof()
        else:
            self.transport.close()
