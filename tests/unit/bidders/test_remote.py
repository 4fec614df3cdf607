"""An outside bidder over a real connection: what it is told, and what its faults come to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from bidders.remote import RemoteBidder
from common.consent import Permission
from common.errors import BackendUnavailable
from protos import bidder_pb2, bidder_pb2_grpc
from tests.builders import a_page_view, a_placement


class Service(bidder_pb2_grpc.BidderServiceServicer):
    """Bids once for each placement; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bidder_pb2.BidRequest] = []
        self.gate: asyncio.Event | None = None
        self.fails = False
        self.padding = ""

    async def Bid(self, request: bidder_pb2.BidRequest, context: Any) -> bidder_pb2.BidResponse:  # noqa: N802
        self.asked.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
        return bidder_pb2.BidResponse(
            bids=[
                bidder_pb2.Bid(
                    auction_id=one.auction_id,
                    placement_id=place.placement_id,
                    bid_id="b",
                    bid_micros=place.floor_micros + 1,
                    currency=one.currency,
                    markup=self.padding,
                )
                for one in request.opportunities
                for place in one.placements
            ]
        )


@contextlib.asynccontextmanager
async def bidder(service: Service) -> AsyncIterator[RemoteBidder]:
    server = grpc.aio.server()
    bidder_pb2_grpc.add_BidderServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    remote = RemoteBidder(name="acme", target=f"127.0.0.1:{port}", currency="EUR", timeout_ms=5_000)
    try:
        yield remote
    finally:
        await remote.close()
        await server.stop(0)


async def test_a_whole_batch_is_one_call_and_bids_come_back_with_their_places() -> None:
    service = Service()
    page = (a_placement("a"), a_placement("b", floor_micros=7))
    async with bidder(service) as remote:
        bids = await remote.ask(["x", "y"], [a_page_view(placements=page)] * 2, 1_000)

    assert len(service.asked) == 1
    assert service.asked[0].tmax_ms == 1_000
    assert [(bid.auction_id, bid.placement_id, bid.bid_micros) for bid in bids] == [
        ("x", "a", 500_001), ("x", "b", 8), ("y", "a", 500_001), ("y", "b", 8)
    ]  # fmt: skip


async def test_the_visitor_is_named_only_with_consent_to_share() -> None:
    service = Service()
    shares = a_page_view(visitor_id="ann", permissions=int(Permission.REMEMBER | Permission.SHARE))
    keeps = a_page_view(visitor_id="bob", permissions=int(Permission.REMEMBER | Permission.PERSONALISE_ADS))
    async with bidder(service) as remote:
        await remote.ask(["x", "y"], [shares, keeps], 1_000)

    assert [one.visitor_id for one in service.asked[0].opportunities] == ["ann", ""]
    assert b"bob" not in service.asked[0].SerializeToString()


async def test_it_is_late_when_the_time_is_over() -> None:
    service = Service()
    service.gate = asyncio.Event()
    async with bidder(service) as remote:
        with pytest.raises(TimeoutError):
            await remote.ask(["x"], [a_page_view()], 50)
        service.gate.set()


async def test_an_error_or_an_answer_too_large_is_a_failure_and_the_next_is_asked_again() -> None:
    service = Service()
    async with bidder(service) as remote:
        service.fails = True
        with pytest.raises(BackendUnavailable, match="INTERNAL"):
            await remote.ask(["x"], [a_page_view()], 1_000)
        service.fails, service.padding = False, "x" * 3_000_000
        with pytest.raises(BackendUnavailable, match="RESOURCE_EXHAUSTED"):
            await remote.ask(["x"], [a_page_view()], 2_000)
        service.padding = ""
        again = await remote.ask(["x"], [a_page_view()], 1_000)

    assert len(again) == 1


async def test_nobody_there_is_a_failure() -> None:
    remote = RemoteBidder(name="ghost", target="127.0.0.1:9", currency="EUR", timeout_ms=5_000)
    with pytest.raises((BackendUnavailable, TimeoutError)):
        await remote.ask(["x"], [a_page_view()], 500)
    await remote.close()
