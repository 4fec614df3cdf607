"""An outside bidder over a real connection: what it is told, and what its faults come to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from bidders.bidder_wire import opportunity
from bidders.remote import RemoteBidder
from common.consent import Permission
from common.errors import BackendUnavailable
from exchange.placement_wire import read_placement
from exchange.request import Deal, FlexSize, NativeTerms, VideoTerms
from protos import bidder_pb2, bidder_pb2_grpc
from tests.builders import a_page_view, a_placement


class Service(bidder_pb2_grpc.BidderServiceServicer):
    """Bids once for each placement; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bidder_pb2.BidRequest] = []
        self.gate: asyncio.Event | None = None
        self.fails = False
        self.padding = ""
        self.stream_tries = 0

    async def BidStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self.stream_tries += 1
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "one call for each batch")
        yield

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


async def test_a_bidder_without_streams_is_asked_for_one_once() -> None:
    service = Service()
    async with bidder(service) as remote:
        for _ in range(3):
            assert len(await remote.ask(["x"], [a_page_view()], 5_000)) == 1

    assert service.stream_tries == 1


class Streaming(Service):
    """A bidder with streams; answers the requests of a stream last come, first served, two at a time if told."""

    def __init__(self, pairs: bool = False) -> None:
        super().__init__()
        self.streams = 0
        self.pairs = pairs

    async def BidStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self.streams += 1
        held: list[bidder_pb2.BidRequest] = []
        async for request in requests:
            held.append(request)
            if len(held) < 1 + self.pairs:
                continue
            while held:
                asked = held.pop()
                response = await self.Bid(asked, context)
                response.request_number = asked.request_number
                yield response


async def test_a_bidder_with_streams_is_asked_over_one_that_is_kept() -> None:
    service = Streaming(pairs=True)
    async with bidder(service) as remote:
        both = await asyncio.gather(
            remote.ask(["x"], [a_page_view()], 5_000), remote.ask(["y"], [a_page_view()], 5_000)
        )
        service.pairs = False
        again = await remote.ask(["z"], [a_page_view()], 5_000)

    assert [[bid.auction_id for bid in bids] for bids in (*both, again)] == [["x"], ["y"], ["z"]]
    assert service.streams == 1


async def test_a_late_answer_on_a_stream_is_nobodys_and_the_stream_goes_on() -> None:
    service = Streaming()
    service.gate = asyncio.Event()
    async with bidder(service) as remote:
        with pytest.raises(TimeoutError):
            await remote.ask(["x"], [a_page_view()], 50)
        service.gate.set()
        bids = await remote.ask(["y"], [a_page_view()], 5_000)

    assert [bid.auction_id for bid in bids] == ["y"]
    assert service.streams == 1


async def test_a_stream_that_fails_is_opened_again() -> None:
    service = Streaming()
    async with bidder(service) as remote:
        service.fails = True
        with pytest.raises(BackendUnavailable, match="INTERNAL"):
            await remote.ask(["x"], [a_page_view()], 5_000)
        service.fails = False
        assert len(await remote.ask(["y"], [a_page_view()], 5_000)) == 1

    assert service.streams == 2


class Capricious(Service):
    """Ends its stream with every third request that it reads, once both answers before that were heard."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self.code = code
        self.ends = 0
        self.heard = 0
        self.told = asyncio.Condition()

    async def BidStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        async for request in requests:
            if len(self.asked) % 3 == 2:
                self.asked.append(request)
                self.ends += 1
                # An answer may be lost with the end of its stream; so none is under way any more.
                async with self.told:
                    await self.told.wait_for(lambda: self.heard == len(self.asked) - self.ends)
                await context.abort(self.code, "enough")
            response = await self.Bid(request, context)
            response.request_number = request.request_number
            yield response


async def test_a_stream_that_ends_again_and_again_is_never_called_broken_and_what_it_never_saw_is_sent_again() -> None:
    service = Capricious(grpc.StatusCode.RESOURCE_EXHAUSTED)
    async with bidder(service) as remote:

        async def ask(number: int) -> str:
            try:
                bids = await remote.ask([f"a{number}"], [a_page_view()], 60_000)
            except BackendUnavailable as failed:
                return str(failed).partition(" failed with ")[2].partition(":")[0]
            async with service.told:
                service.heard += 1
                service.told.notify_all()
            return str(len(bids))

        async def go_on_asking(first: int) -> list[str]:
            return [await ask(first + turn) for turn in range(30)]

        said = [answer for answers in await asyncio.gather(*map(go_on_asking, range(0, 240, 30))) for answer in answers]

    # What the bidder had read when it ended the stream fails with it, by the bidder's code or as broken off.
    assert set(said) <= {"1", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    answered = said.count("1")
    assert answered == service.heard == len(service.asked) - service.ends
    # Each of the eight has one request under way, so that no end takes more than eight with it.
    assert service.ends <= len(said) - answered <= 8 * service.ends
    # Nothing that the bidder saw was sent to it again.
    seen = [opportunity.auction_id for request in service.asked for opportunity in request.opportunities]
    assert len(seen) == len(set(seen))


async def test_a_bidder_sees_the_terms_of_a_placement_and_may_answer_to_all_of_them() -> None:
    class Dealer(Service):
        async def Bid(self, request: bidder_pb2.BidRequest, context: Any) -> bidder_pb2.BidResponse:  # noqa: N802
            self.asked.append(request)
            return bidder_pb2.BidResponse(
                bids=[
                    bidder_pb2.Bid(
                        auction_id="x", placement_id="top", deal_id="d1", seat="s1", categories=["toys"],
                        attributes=[3], mtype=2, duration_s=15, protocol=7, mime="video/mp4", skippable=True, 
                        language="de",
                    )
                ]
            )  # fmt: skip

    service = Dealer()
    placement = a_placement(
        deals=(Deal("d1", 7, 1, ("s1",), ("brand.example",), True),), private_auction=True, secure=True,
        blocked_attributes=(3,), blocked_apps=("com.app",), flex_sizes=(FlexSize(16, 9, 300),),
        video=VideoTerms(("video/mp4",), 5, 30, skippable=0),
        native=NativeTerms(((1, "title", 0, True, 90, 0, 0),)),
    )  # fmt: skip
    async with bidder(service) as remote:
        (bid,) = await remote.ask(["x"], [a_page_view(placements=(placement,), blocked_seats=("s9",))], 5_000)

    (asked,) = service.asked[0].opportunities
    assert asked.blocked_seats == ["s9"]
    assert read_placement(asked.placements[0], 0, []) == placement
    assert (bid.deal_id, bid.seat, bid.categories, bid.attributes, bid.mtype) == ("d1", "s1", ("toys",), (3,), 2)
    assert (bid.duration_s, bid.protocol, bid.mime, bid.skippable, bid.language) == (15, 7, "video/mp4", True, "de")


def test_a_bidder_with_seats_is_asked_for_those_that_may_buy() -> None:
    view = a_page_view(allowed_seats=("s2", "s9"), blocked_seats=("s3",))

    assert opportunity("x", view, "EUR", "EUR", ("s1", "s2")).allowed_seats == ["s2"]
    assert opportunity("x", view, "EUR", "EUR", ("s1", "s2")).blocked_seats == []
    assert opportunity("x", view, "EUR", "EUR").allowed_seats == ["s2", "s9"]
    assert opportunity("x", view, "EUR", "EUR").blocked_seats == ["s3"]


def test_a_bidder_hears_its_own_id_of_the_visitor_with_consent_to_share() -> None:
    view = a_page_view(buyer_ids=(("other", "o-7"), ("acme", "a-7")))
    silent = a_page_view(buyer_ids=(("acme", "a-7"),), permissions=int(Permission.REMEMBER))

    assert opportunity("x", view, "EUR", "EUR", bidder="acme").buyer_user_id == "a-7"
    assert opportunity("x", view, "EUR", "EUR", bidder="nobody").buyer_user_id == ""
    assert opportunity("x", silent, "EUR", "EUR", bidder="acme").buyer_user_id == ""
