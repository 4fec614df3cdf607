"""How is one call answered? From its first bytes to its status: messages in, the handler, messages out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from app.http2.answering import Answering
from app.http2.context import CallContext
from app.http2.frames import Code, StreamBroken, window_update
from app.http2.header_fields import Head
from app.http2.messages import MessageReader, MessageRefused

if TYPE_CHECKING:
    from app.http2.open_calls import OpenCalls

_log = logging.getLogger(__name__)


class Call(Answering):
    """One call on one stream; the connection tells it what arrives, and it tells the connection what to send."""

    __slots__ = (
        "_arrived",
        "_at_end",
        "_head",
        "_held",
        "_messages",
        "_reader",
        "_received",
        "_room",
        "_task",
        "_unread",
        "_waiter",
        "abandoned",
        "context",
        "deadline_s",
    )

    def __init__(self, connection: OpenCalls, sid: int, send_window: int, now_s: float, head: Head) -> None:
        super().__init__(connection, sid, send_window, now_s)
        self._head = head
        self._room = connection.limits.stream_window
        self._received = 0
        self._reader: MessageReader | None = None
        self._messages: deque[bytes] | None = None
        self._unread = self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._at_end: list[Callable[[], None]] | None = None
        self.abandoned = False
        self.deadline_s = 0.0 if head.timeout_s is None else now_s + head.timeout_s
        self.context = CallContext(self, head.metadata)

    # ---- what arrives

    def begin(self) -> None:
        """The header fields are here: a streaming method starts, a refused call is told so."""
        method = self._head.method
        if method is None:
            self._refuse_early()
        elif method.streams_in:
            self._messages = deque()
            self._start(self._answer_stream(self) if method.streams_out else self._answer_single(self))

    def receive(self, data: bytes, taken: int, end: bool) -> None:
        """Data of so many bytes of window. StreamBroken when it is more than there was room for."""
        self._room -= taken
        if self._room < 0:
            raise StreamBroken(self.sid, Code.FLOW_CONTROL_ERROR)
        self._received += len(data)
        if end:
            self._check_length()
            self.remote_closed = True
        method = self._head.method
        if method is None or self.closed or self.abandoned:
            self._discard(end)
            return
        size = len(data) - 5
        whole = end and self._reader is None and not method.streams_in and size >= 0 and data[0] == 0
        if whole and int.from_bytes(data[1:5], "big") == size <= self.connection.limits.message_bytes:
            self._start_with(data[5:])
            return
        self.moved_s = self.connection.now_s()
        try:
            self._take(data, end)
        except MessageRefused as refused:
            self._give_up(refused.code, refused.reason)

    def receive_end(self) -> None:
        """The peer ended the stream with header fields. StreamBroken as `receive`."""
        self.receive(b"", 0, True)

    def _take(self, data: bytes, end: bool) -> None:
        connection, method = self.connection, self._head.method
        assert method is not None
        if self._reader is None:
            self._reader = MessageReader(connection.limits.message_bytes, self._head.encoding)
        if self._messages is None:
            self._messages = deque()
        messages = self._reader.feed(data)
        self._messages.extend(messages)
        self._unread += sum(map(len, messages))
        if not self._hold(self._unread + self._reader.unfinished):
            raise MessageRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many bytes of calls are waiting")
        if end and self._reader.unfinished:
            raise MessageRefused(grpc.StatusCode.INTERNAL, "the call ended in the middle of a message")
        if method.streams_in:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        elif len(self._messages) > 1 or (end and not self._messages):
            raise MessageRefused(grpc.StatusCode.UNIMPLEMENTED, "this method takes exactly one message")
        elif end:
            self._start_with(self._next_message())
        if not end:
            self._make_room()

    def _make_room(self) -> None:
        """Messages that nobody has read take up the window; the rest of a message that has begun must get in."""
        window = self.connection.limits.stream_window
        free = window - self._room - self._unread
        if free >= window // 2 and not self.remote_closed:
            self._room += free
            self.connection.emit(window_update(self.sid, free))

    def _next_message(self) -> bytes:
        assert self._messages
        message = self._messages.popleft()
        self._unread -= len(message)
        self._hold(self._held - len(message))
        return message

    def _hold(self, size: int) -> bool:
        """This call holds so many bytes; False when all calls together hold more than they may."""
        connection, more = self.connection, size - self._held
        self._held = size
        connection.buffered += more
        connection.server_buffer.held_bytes += more
        limits = connection.limits
        return (
            connection.buffered <= limits.buffered_bytes
            and connection.server_buffer.held_bytes <= limits.server_buffered_bytes
        )

    def _check_length(self) -> None:
        expected = self._head.content_length
        if expected is not None and expected != self._received:
            raise StreamBroken(self.sid, Code.PROTOCOL_ERROR)

    def _refuse_early(self) -> None:
        refusal = self._head.refusal
        assert refusal is not None
        if not refusal.http_status:
            self._give_up(refusal.code, refusal.message)

    def _discard(self, end: bool) -> None:
        refusal = self._head.refusal
        if end and not self.closed and refusal is not None and refusal.http_status:
            # Whoever speaks plain HTTP is answered when it has said everything.
            self.reply_plain(refusal.http_status)
        elif not end:
            self._make_room()

    # ---- the handler

    def _start_with(self, data: bytes) -> None:
        method = self._head.method
        assert method is not None
        self._start(self._answer_stream(data) if method.streams_out else self._answer_single(data))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.connection.handlers += 1
        self._task = self.connection.loop.create_task(coroutine)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.connection.handlers -= 1
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the end of a call failed", exc_info=error)
            self.finish(grpc.StatusCode.INTERNAL, "", ())

    async def _answer_single(self, request: Any) -> None:
        method, context = self._head.method, self.context
        assert method is not None
        try:
            if request is not self:
                request = self._parsed(request)
            response = await method.behaviour(request, context)
            data = response if method.write is None else method.write(response)
            if self.closed:
                return
            if self._head_sent or context.code() is not grpc.StatusCode.OK or context.trailing_metadata():
                self.send_message(data)
                self.finish(context.code(), context.details(), context.trailing_metadata())
            else:
                self.send_whole(data)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)

    async def _answer_stream(self, request: Any) -> None:
        method, context = self._head.method, self.context
        assert method is not None
        try:
            if request is not self:
                request = self._parsed(request)
            answering = method.behaviour(request, context)
            if hasattr(answering, "__aiter__"):
                try:
                    async for response in answering:
                        await self.write(response)
                finally:
                    await answering.aclose()
            else:
                await answering
            self.finish(context.code(), context.details(), context.trailing_metadata())
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        context = self.context
        if isinstance(error, grpc.aio.AbortError) and context.code() is not grpc.StatusCode.OK:
            self.finish(context.code(), context.details(), context.trailing_metadata())
        elif isinstance(error, MessageRefused):
            self.finish(error.code, error.reason, ())
        elif isinstance(error, asyncio.CancelledError):
            self.finish(grpc.StatusCode.CANCELLED, "the call was cancelled", ())
        else:
            method = self._head.method
            assert method is not None
            _log.error("%s failed", method.path, exc_info=error)
            self.finish(grpc.StatusCode.UNKNOWN, "the method failed; the server's log says where", ())

    # ---- what a streaming handler reads

    def __aiter__(self) -> Call:
        return self

    async def __anext__(self) -> Any:
        message = await self.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return message

    async def read(self) -> Any:
        """The next message, grpc.aio.EOF after the last; CancelledError when the call ends before."""
        assert self._messages is not None
        while not self._messages:
            if self.remote_closed:
                return grpc.aio.EOF
            if self.closed:
                raise asyncio.CancelledError
            self._waiter = self.connection.loop.create_future()
            await self._waiter
        message = self._next_message()
        self._make_room()
        return self._parsed(message)

    def _parsed(self, message: bytes) -> Any:
        method = self._head.method
        assert method is not None
        if method.read is None:
            return message
        try:
            return method.read(message)
        except Exception:
            said = "the request is no such message as this method takes"
            raise MessageRefused(grpc.StatusCode.INVALID_ARGUMENT, said) from None

    async def write(self, message: Any) -> None:
        """Send one message; waits while there is no room for it. CancelledError when the call is over."""
        if self.closed or self.abandoned:
            raise asyncio.CancelledError
        method = self._head.method
        assert method is not None
        self.send_message(message if method.write is None else method.write(message))
        if self.is_waiting:
            await self.drained()

    # ---- ends

    def _give_up(self, code: grpc.StatusCode, message: str) -> None:
        """End the call before its handler has, or without one."""
        self.finish(code, message, ())
        self._leave_handler()

    def pass_deadline(self) -> None:
        """The time that the caller gave is over."""
        if not self.closed:
            # Data that waits for room is late too.
            self.forget_waiting()
            self._give_up(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed")

    def is_stalled(self, now_s: float) -> bool:
        """Has nothing moved for too long that should: a message on its way in, or an answer on its way out?"""
        if now_s - self.moved_s < self.connection.limits.stall_s:
            return False
        method = self._head.method
        begun = self._reader is not None and self._reader.unfinished > 0
        return self.is_waiting or (not self.remote_closed and (method is None or not method.streams_in or begun))

    def abandon(self) -> None:
        """The caller has gone: nothing more is sent, and the handler is cancelled."""
        self.stop_sending()
        self._leave_handler()
        self.over()

    def over(self) -> None:
        """Give back what the call holds; the connection says so when the stream is closed."""
        if self._held:
            self._hold(0)
        self._unread = 0
        self._reader = None
        if self._messages:
            self._messages.clear()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.cancel()
        callbacks, self._at_end = self._at_end, None
        for callback in callbacks or ():
            self.connection.loop.call_soon(callback)

    def _leave_handler(self) -> None:
        self.abandoned = True
        if self._task is not None:
            self._task.cancel()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Have something called when the call is over; at once when it is."""
        if self.closed:
            self.connection.loop.call_soon(callback)
        elif self._at_end is None:
            self._at_end = [callback]
        else:
            self._at_end.append(callback)

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, 0 after it; None without one."""
        return max(0.0, self.deadline_s - self.connection.now_s()) if self.deadline_s else None
