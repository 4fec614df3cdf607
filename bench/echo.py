"""What does grpcio itself cost? A server that reads bytes, does nothing, and answers as many bytes as it was told."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any, cast

import grpc
import grpc.aio
import uvloop

METHOD = "/bench.Echo/Echo"


class _Echo(grpc.GenericRpcHandler):
    def __init__(self, answer: bytes) -> None:
        async def echo(data: bytes, context: Any) -> bytes:
            return answer

        self._handler: Any = grpc.unary_unary_rpc_method_handler(cast(Any, echo))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == METHOD else None


async def serve(answer_bytes: int) -> None:
    """Serve on a free port of 127.0.0.1 until SIGTERM."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((_Echo(bytes(answer_bytes)),))
    port = server.add_insecure_port("127.0.0.1:0")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    print(f"ready 127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--answer-bytes", type=int, default=600)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args().answer_bytes))
