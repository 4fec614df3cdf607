"""Which of our handlers takes a call? The generic handlers of grpcio, looked up by path, as any gRPC server does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc

Metadata = tuple[tuple[str, str | bytes], ...]


class CallDetails(NamedTuple):
    """What a generic handler is shown of a call."""

    method: str
    invocation_metadata: Metadata


@dataclass(frozen=True, slots=True)
class Method:
    """One method: who answers it, and whether requests and answers are streams of messages."""

    path: str
    behaviour: Callable[[Any, Any], Any]
    streams_in: bool
    streams_out: bool
    read: Callable[[bytes], Any] | None
    write: Callable[[Any], bytes] | None


class Methods:
    """All methods of a server."""

    def __init__(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._handlers = tuple(handlers)

    def find(self, path: str, metadata: Metadata) -> Method | None:
        """The method at `path` ("/package.Service/Method"); None when nobody has it."""
        # The stubs know this named tuple's fields as those of an abstract class.
        details: Any = CallDetails(path, metadata)
        for generic in self._handlers:
            handler: Any = generic.service(details)
            if handler is not None:
                return _method(path, handler)
        return None


def _method(path: str, handler: Any) -> Method:
    behaviour = (
        (handler.stream_stream if handler.response_streaming else handler.stream_unary)
        if handler.request_streaming
        else (handler.unary_stream if handler.response_streaming else handler.unary_unary)
    )
    return Method(
        path=path,
        behaviour=behaviour,
        streams_in=bool(handler.request_streaming),
        streams_out=bool(handler.response_streaming),
        read=handler.request_deserializer,
        write=handler.response_serializer,
    )
