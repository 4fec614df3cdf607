"""What does a transport itself cost? A server that does nothing with the bytes it reads and answers as many as told."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any, cast

import grpc
import grpc.aio
import uvloop

from app.http2.server import Http2Server
from app.ports_in_use import listening_socket

METHOD = "/bench.Echo/Echo"


class _Echo(grpc.GenericRpcHandler):
    def __init__(self, answer: bytes) -> None:
        async def echo(data: bytes, context: Any) -> bytes:
            return answer

        self._handler: Any = grpc.unary_unary_rpc_method_handler(cast(Any, echo))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == METHOD else None


def _raw_grpcio(handler: grpc.GenericRpcHandler) -> tuple[Any, int]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((handler,))
    return server, server.add_insecure_port("127.0.0.1:0")


def _native(handler: grpc.GenericRpcHandler) -> tuple[Any, int]:
    server = Http2Server([handler], listening_socket("127.0.0.1", 0, "gRPC"))
    return server, server.port


async def serve(answer_bytes: int, transport: str) -> None:
    """Serve on a free port of 127.0.0.1 until SIGTERM."""
    server, port = (_native if transport == "native" else _raw_grpcio)(_Echo(bytes(answer_bytes)))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    print(f"ready 127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.stop(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--answer-bytes", type=int, default=600)
    parser.add_argument("--transport", choices=("grpcio", "native"), default="grpcio")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.answer_bytes, given.transport))
