"""How does an answer go out? Head, messages and status, as header blocks and flow-controlled data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc

from app.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, frame, head5, header_frames
from app.http2.header_blocks import ANSWER_HEAD, OK_TRAILERS, metadata_block, plain_head, trailers
from app.http2.messages import PREFIX
from app.http2.stream import Stream

if TYPE_CHECKING:
    from app.http2.open_calls import OpenCalls

_ANSWER = head5(HEADERS, END_HEADERS, len(ANSWER_HEAD))
_OK = head5(HEADERS, END_HEADERS | END_STREAM, len(OK_TRAILERS))

_NO_GRPC = {
    405: b"This port speaks gRPC: calls are made with POST.\n",
    415: b"This port speaks gRPC: the content-type of a call is application/grpc.\n",
}

_log = logging.getLogger(__name__)


class Answering(Stream):
    """A stream that answers in gRPC."""

    __slots__ = ("_head_sent",)

    def __init__(self, connection: OpenCalls, sid: int, send_window: int, now_s: float) -> None:
        super().__init__(connection, sid, send_window, now_s)
        self._head_sent = False

    def send_head(self, metadata: Sequence[tuple[str, Any]] = ()) -> None:
        """Send the header fields, once."""
        if not self._head_sent and not self.closed:
            block = ANSWER_HEAD + metadata_block(metadata)
            self._head_sent = True
            self.connection.emit(header_frames(self.sid, block, end_stream=False))

    def send_message(self, data: bytes) -> None:
        """Send one message, with the head before the first."""
        self.send_head()
        self.send_data(PREFIX.pack(0, len(data)) + data)

    def send_whole(self, data: bytes) -> None:
        """Head, one message and status OK: the common answer, joined once where the windows have room for it."""
        connection = self.connection
        size = len(data) + 5
        if (
            size <= self.send_window
            and size <= connection.send_window
            and size <= connection.frame_bytes
            and not connection.paused
        ):
            connection.send_window -= size
            sid = self.sid.to_bytes(4, "big")
            prefix = PREFIX.pack(0, len(data))
            connection.emit(
                b"".join((_ANSWER, sid, ANSWER_HEAD, head5(DATA, 0, size), sid, prefix, data, _OK, sid, OK_TRAILERS))
            )
            self._close()
        else:
            self.send_message(data)
            self.finish(grpc.StatusCode.OK, "", ())

    def finish(self, code: grpc.StatusCode, message: str, metadata: Any) -> None:
        """Send the status after all messages; only the first one counts."""
        if self.closed or self._last:
            return
        connection = self.connection
        try:
            block = trailers(code, message, metadata, connection.peer_list_bytes)
        except ValueError:
            _log.exception("metadata of a call cannot be sent")
            block = trailers(grpc.StatusCode.INTERNAL, "", (), connection.peer_list_bytes)
        if not self._head_sent:
            self._head_sent = True
            block = ANSWER_HEAD + block
        self.send_last(header_frames(self.sid, block, end_stream=True))

    def reply_plain(self, status: int) -> None:
        """An answer for those who speak no gRPC."""
        text = _NO_GRPC[status]
        self.connection.emit(header_frames(self.sid, plain_head(status, len(text)), end_stream=False))
        self.send_data(text)
        self.send_last(frame(DATA, END_STREAM, self.sid, b""))
