"""What may a handler know of its call, and tell its caller? The ServicerContext that handlers get, over our calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from app.http2.methods import Metadata

if TYPE_CHECKING:
    from app.http2.call import Call


class CallContext(grpc.aio.ServicerContext[Any, Any]):
    """As grpc.aio's own, without compression of answers."""

    def __init__(self, call: Call, metadata: Metadata) -> None:
        self._call = call
        self._metadata = metadata
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: Sequence[Any] = ()

    async def read(self) -> Any:
        """The next message of a streamed request; grpc.aio.EOF after the last."""
        return await self._call.read()

    async def write(self, message: Any) -> None:
        """Send one message of a streamed answer; waits while the caller has no room for it."""
        await self._call.write(message)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Metadata before the first message."""
        self._call.send_head(initial_metadata)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        """End the call with a status that is not OK; raises grpc.aio.AbortError, which handlers let pass."""
        if code is grpc.StatusCode.OK:
            code, details = grpc.StatusCode.UNKNOWN, "the method aborted with OK, which is no error"
        self._code, self._details = code, details
        self._trailing = tuple(trailing_metadata) or self._trailing
        raise grpc.aio.AbortError("the method ended its call")

    async def abort_with_status(self, status: Any) -> NoReturn:
        """As `abort`, with all in one."""
        await self.abort(status.code, status.details or "", status.trailing_metadata or ())

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Metadata that goes with the status."""
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        """What was set."""
        return self._trailing

    def invocation_metadata(self) -> Any:
        """The caller's metadata: pairs; the values of keys that end in -bin are bytes."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """The status that the call ends with."""
        self._code = code

    def set_details(self, details: str) -> None:
        """The sentence that goes with the status."""
        self._details = details

    def code(self) -> grpc.StatusCode:
        """The status as it stands."""
        return self._code

    def details(self) -> str:
        """The sentence as it stands."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Answers go out as they are; a caller must take that."""

    def disable_next_message_compression(self) -> None:
        """Nothing is compressed."""

    def peer(self) -> str:
        """Who calls, such as ipv4:127.0.0.1:51000."""
        return self._call.connection.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Not told: callers are known by their API keys."""
        return None

    def peer_identity_key(self) -> str | None:
        """Not told."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Empty."""
        return {}

    def time_remaining(self) -> Any:
        """Seconds until the caller's deadline, 0 after it; None without one."""
        return self._call.time_remaining()

    def cancelled(self) -> bool:
        """Has the caller gone, or its deadline passed?"""
        return self._call.abandoned

    def done(self) -> bool:
        """Is the call over?"""
        return self._call.closed

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Have `callback(context)` called when the call is over."""
        self._call.when_done(lambda: callback(self))
