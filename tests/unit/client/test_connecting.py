"""Is a server that is slow to greet waited for?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from client.exchange import ExchangeClient
from protos.exchange_pb2 import PageView, Placement
from tests.fake_auction_service import API_KEY, FakeAuctionService, serving

# Longer than gRPC's three quickest tries to connect take together.
GREETS_AFTER_S = 1.5


@asynccontextmanager
async def slow_to_greet(target: str) -> AsyncIterator[str]:
    """In front of a server: takes a connection at once, and has nothing to say for a while."""
    host, _, port = target.rpartition(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(GREETS_AFTER_S)
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_server_that_is_slow_to_greet_is_waited_for() -> None:
    view = PageView(request_id="r", placements=[Placement(placement_id="left", position=1)])
    async with (
        serving(FakeAuctionService()) as target,
        slow_to_greet(target) as slow,
        ExchangeClient(slow, API_KEY, coalesce=False, timeout_ms=20_000) as client,
    ):
        answer = await client.hold_auction(view)

    assert answer.request_id == "r"
