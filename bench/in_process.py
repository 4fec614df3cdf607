"""What does the decision alone cost? The exchange in this process, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench.exchange_server import exchange
from bench.feed_pages import Call, whole_call
from bench.measure import Prepare
from bench.settings import BenchSettings
from exchange.auction_wire import PageViewReader
from protos.exchange_pb2 import PageView


@asynccontextmanager
async def open_exchange(settings: BenchSettings) -> AsyncIterator[tuple[Prepare, Call]]:
    """What makes a batch ready (reading the messages, untimed) and holds its auctions; what asks for a feed page."""
    async with exchange(settings.line_items, settings.seed) as (running, _):
        haat = running.haat
        reader = PageViewReader(currency=haat.settings.currency, tmax_ms=haat.settings.tmax_ms)

        def prepare(messages: list[PageView]) -> Callable[[], Awaitable[object]]:
            now_ms = haat.clock.now_ms()
            views = [reader.read(message, now_ms) for message in messages]
            return lambda: haat.auction.hold_auctions(views)

        yield prepare, whole_call(haat, haat.accounts.create_tenant("bench").tenant_id)
