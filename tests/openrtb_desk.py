"""An exchange that is asked by OpenRTB over HTTP, in memory: a market, the edge, and a caller without a network."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import grpc
import grpc.aio
from starlette.applications import Starlette
from starlette.types import Message

from accounts.grpc_edge import KEY_METADATA
from accounts.ports import Caller
from exchange.answer import Answer
from exchange.bidding import OutsideBidder
from exchange.openrtb.auctions import OpenRtbAuctions
from exchange.openrtb.buyer_ids import Sharing
from exchange.openrtb.edge import PATH, OpenRtbEdge
from exchange.openrtb.grpc_edge import OpenRtbCalls
from exchange.openrtb.publishers import Publisher, Publishers
from exchange.openrtb.seller_check import SellerCheck
from exchange.openrtb.signals import Consent, without_decoders
from exchange.openrtb.to_page_view import Terms
from exchange.ports import LineItemRecord
from exchange.request import PageView
from exchange.supply_chain import OurNode
from protos import openrtb_service_pb2_grpc as service
from tests.builders import Market

SHOP = "tenant-shop"
ORIGIN = "https://shop.example"
KEY = "haat_shop"
CALL_KEY = ((KEY_METADATA, KEY),)
MAX_BYTES = 65_536


class Keys:
    """A shop's key and an advertiser's."""

    def caller_of(self, key: str) -> Caller | None:
        return {KEY: Caller(SHOP, "storefront"), "haat_brand": Caller("tenant-brand", "advertiser")}.get(key)


class Rates:
    """A dollar is 0.90 euros, a pound 1.25."""

    in_euros: Mapping[str, Decimal] = {"EUR": Decimal(1), "USD": Decimal("0.9"), "GBP": Decimal("1.25")}

    def convert(self, micros: int, source: str, target: str, *, up: bool) -> int | None:
        if source not in self.in_euros or target not in self.in_euros:
            return None
        exact = Decimal(micros) * self.in_euros[source] / self.in_euros[target]
        return int(exact.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


@dataclass
class Said:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body)


class Desk:
    """The edge over a market of line items; `views` are the page views that came through."""

    def __init__(
        self,
        items: Iterable[LineItemRecord] = (),
        *,
        consent: Consent = without_decoders,
        chance: float = 0.01,
        passes_on: bool = True,
        outside: Sequence[OutsideBidder] = (),
        sharing: Sharing | None = None,
        sellers: SellerCheck | None = None,
    ) -> None:
        self.market = Market(items, chance=chance, outside=outside)
        self.views: list[PageView] = []
        terms = Terms("EUR", 50, 10, OurNode("exchange.example"), passes_on, sharing or Sharing())
        self.auctions = OpenRtbAuctions(
            hold_auction=self._hold,
            clock=self.market.clock,
            terms=terms,
            rates=Rates(),
            consent=consent,
            sellers=sellers,
        )
        publishers = Publishers(Keys(), [Publisher("pub-1", SHOP, (ORIGIN,)), Publisher("app-1", SHOP, ("*",))])
        self.edge = OpenRtbEdge(self.auctions, publishers, max_bytes=MAX_BYTES)
        self.calls = OpenRtbCalls(self.auctions, Keys(), max_bytes=MAX_BYTES)
        self.app = Starlette(routes=self.edge.routes())

    async def _hold(self, view: PageView) -> Answer:
        self.views.append(view)
        return (await self.market.ask(view))[0]

    async def post(
        self, body: Any, headers: Mapping[str, str] | None = None, query: str = "", method: str = "POST"
    ) -> Said:
        """Ask, with the shop's key unless headers are given; `body` is bytes, or what becomes JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"x-api-key": KEY, "content-type": "application/json"} if headers is None else dict(headers)
        return await call(self.app, method, PATH, query, sent, data)


async def call(
    app: Starlette, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, chunk: int = 16_384
) -> Said:
    """One request to an ASGI application, as a server would make it."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("203.0.113.77", 4711), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]
    came: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        came.append(message)

    await app(scope, receive, send)
    start, *bodies = came
    return Said(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(part.get("body", b"") for part in bodies),
    )


@contextlib.asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[service.OpenRtbAsyncStub]:
    """The desk's calls on a port of loopback; `CALL_KEY` is the metadata that brings the shop's key."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((desk.calls.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield service.OpenRtbStub(channel)
    finally:
        await server.stop(None)
