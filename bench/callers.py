"""How does each row send its page views? One caller for each way through the front door.

The raw callers hand bytes to grpcio and look into one answer of sixteen, so that the generator's core does not limit
the server's; the coalescing one is the client as a storefront uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc.aio

from bench.echo import METHOD as ECHO
from bench.server import ServerProcess
from bench.settings import BenchSettings
from client.exchange import ExchangeClient
from common.errors import HaatError
from loadgen.synthetic import FreshViews
from protos.exchange_pb2 import Answer, AnswerBatch, PageViewBatch

_SERVICE = "/haat.exchange.v1.AuctionService"
_LOOKED_AT = 16


@dataclass(slots=True)
class Seen:
    """What the answers that were looked into held."""

    placements: int = 0
    filled: int = 0
    refused: int = 0
    first_error: str = ""

    def answer(self, answer: Answer) -> None:
        """Look into one answer."""
        self.placements += len(answer.placements)
        self.filled += sum(placement.HasField("ad") for placement in answer.placements)


class Caller(Protocol):
    """Sends one call with `page_views` page views at a time."""

    page_views: int
    seen: Seen

    async def call(self) -> bool:
        """Send one call; was it answered?"""

    async def close(self) -> None:
        """Let go of the connections."""


class RawCaller:
    """Unary calls of bytes, spread over several connections; echo, unary and batch differ in what they send."""

    def __init__(
        self,
        server: ServerProcess,
        settings: BenchSettings,
        method: str,
        make: Callable[[], bytes],
        look: Callable[[Seen, bytes], None],
        page_views: int = 1,
    ) -> None:
        self.page_views = page_views
        self.seen = Seen()
        self._make = make
        self._look = look
        self._timeout_s = settings.timeout_ms / 1000
        self._metadata = (("x-api-key", server.api_key),) if server.api_key else ()
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20))
        self._channels = [
            grpc.aio.insecure_channel(server.target, options=options) for _ in range(settings.connections)
        ]
        self._methods: list[Any] = [channel.unary_unary(method) for channel in self._channels]
        self._calls = 0

    async def call(self) -> bool:
        self._calls += 1
        number = self._calls
        try:
            method = self._methods[number % len(self._methods)]
            data = await method(self._make(), timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            self.seen.first_error = self.seen.first_error or f"{error.code().name}: {error.details()}"
            return False
        if number % _LOOKED_AT == 0:
            self._look(self.seen, data)
        return True

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))


class StreamCaller:
    """Single page views through coalescing clients."""

    def __init__(self, server: ServerProcess, settings: BenchSettings, views: FreshViews) -> None:
        self.page_views = 1
        self.seen = Seen()
        self._views = views
        self._clients = [
            ExchangeClient(server.target, server.api_key, timeout_ms=settings.timeout_ms)
            for _ in range(settings.connections)
        ]
        self._calls = 0

    async def call(self) -> bool:
        self._calls += 1
        try:
            answer = await self._clients[self._calls % len(self._clients)].hold_auction(self._views.next())
        except HaatError as error:
            self.seen.first_error = self.seen.first_error or str(error)
            return False
        if self._calls % _LOOKED_AT == 0:
            self.seen.answer(answer)
        return True

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))


def echo(server: ServerProcess, settings: BenchSettings, views: FreshViews) -> Caller:
    """The same request bytes, and about as many answer bytes."""
    return RawCaller(server, settings, ECHO, lambda: views.next().SerializeToString(), lambda seen, data: None)


def unary(server: ServerProcess, settings: BenchSettings, views: FreshViews) -> Caller:
    """One page view a call."""
    return RawCaller(
        server,
        settings,
        f"{_SERVICE}/HoldAuction",
        lambda: views.next().SerializeToString(),
        lambda seen, data: seen.answer(Answer.FromString(data)),
    )


def stream(server: ServerProcess, settings: BenchSettings, views: FreshViews) -> Caller:
    """Single page views that the client puts onto a stream."""
    return StreamCaller(server, settings, views)


def batch(server: ServerProcess, settings: BenchSettings, views: FreshViews) -> Caller:
    """`batch_size` page views a call."""

    def make() -> bytes:
        page_views = [views.next() for _ in range(settings.batch_size)]
        return PageViewBatch(batch_id=1, page_views=page_views).SerializeToString()

    def look(seen: Seen, data: bytes) -> None:
        for result in AnswerBatch.FromString(data).results:
            if result.HasField("answer"):
                seen.answer(result.answer)
            else:
                seen.refused += 1
                seen.first_error = seen.first_error or result.error.message

    return RawCaller(server, settings, f"{_SERVICE}/HoldAuctions", make, look, page_views=settings.batch_size)
