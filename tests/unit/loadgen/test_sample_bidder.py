"""Does the sample bidder bid, misbehave by its seed, and end cleanly?"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loadgen.sample_bidder import GARBAGE, LATE_BY_MS, SERVICE, SampleBidder
from protos.bidder_pb2 import BidRequest, BidResponse, Opportunity
from protos.bidder_pb2_grpc import BidderServiceStub
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_PRODUCT_LISTING, Placement, Size


def a_request(opportunities: int = 1, tmax_ms: int = 40) -> BidRequest:
    banner = Placement(
        placement_id="left", formats=[FORMAT_BANNER], sizes=[Size(width=300, height=250)], floor_micros=100_000
    )
    listing = Placement(placement_id="listing", formats=[FORMAT_PRODUCT_LISTING])
    return BidRequest(
        tmax_ms=tmax_ms,
        opportunities=[
            Opportunity(auction_id=f"a{k}", placements=[banner, listing], currency="EUR") for k in range(opportunities)
        ],
    )


def is_sound(response: BidResponse) -> list[bool]:
    return [
        bid.currency == "EUR"
        and 50_000 < bid.bid_micros < 10_000_000
        and bid.placement_id == "left"
        and (bid.width, bid.height) == (300, 250)
        and bid.format == FORMAT_BANNER
        for bid in response.bids
    ]


def test_it_bids_on_banners_alone_around_the_floor() -> None:
    response = SampleBidder(1, bid_share=1.0).bid(a_request(200))

    assert len(response.bids) == 200
    assert all(is_sound(response))
    assert len({bid.bid_id for bid in response.bids}) == 200
    assert min(bid.bid_micros for bid in response.bids) < 100_000 < max(bid.bid_micros for bid in response.bids)
    assert len({bid.advertiser_domain for bid in response.bids}) == 2


def test_the_same_seed_bids_the_same() -> None:
    assert SampleBidder(7).bid(a_request(50)) == SampleBidder(7).bid(a_request(50))
    assert SampleBidder(7).bid(a_request(50)) != SampleBidder(8).bid(a_request(50))


def test_shares_of_garbage_and_lateness_are_kept() -> None:
    bidder = SampleBidder(1, bid_share=1.0, garbage_share=0.2, late_share=0.1)

    sound = Counter(is_sound(bidder.bid(a_request(2_000))))
    waits = Counter(bidder.wait_ms(a_request(tmax_ms=40)) for _ in range(2_000))

    assert sound[False] == 400
    assert waits == {40 + LATE_BY_MS: 200, 0: 1_800}
    assert not any(is_sound(SampleBidder(1, bid_share=1.0, garbage_share=1.0).bid(a_request(100))))


def test_requests_that_fail_keep_their_share() -> None:
    bidder = SampleBidder(1, failure_share=0.1)

    assert [at for at in range(40) if bidder.fails()] == [4, 14, 24, 34]
    assert sum(bidder.fails() for _ in range(2_000)) == 200
    assert not any(SampleBidder(1).fails() for _ in range(100))


def test_a_few_bids_show_every_kind_of_garbage() -> None:
    bids = SampleBidder(1, bid_share=1.0, garbage_share=0.05).bid(a_request(20 * len(GARBAGE))).bids

    spoiled = [BidResponse(bids=[bid]) for bid in bids if is_sound(BidResponse(bids=[bid])) == [False]]
    assert len(spoiled) == len(GARBAGE)
    assert {bid.currency for one in spoiled for bid in one.bids} == {"EUR", "XTS"}
    assert len(
        {
            (bid.bid_micros > 0, bid.bid_micros > 10**18, bid.placement_id, bid.width, bid.format, bid.currency)
            for one in spoiled
            for bid in one.bids
        }
    ) == len(GARBAGE)


def test_every_kind_of_garbage_spoils_a_bid() -> None:
    for spoil in GARBAGE:
        response = SampleBidder(1, bid_share=1.0).bid(a_request())
        spoil(response.bids[0])

        assert is_sound(response) == [False], spoil.__name__


@asynccontextmanager
async def a_process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadgen.sample_bidder", "--max-seconds", "60", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    assert line.startswith("ready on 127.0.0.1:"), line
    return int(line.rsplit(":", 1)[1])


async def test_as_a_process_it_answers_is_healthy_and_ends_at_sigterm() -> None:
    async with a_process("--bid-share", "1") as process:
        port = await port_of(process)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            response = await BidderServiceStub(channel).Bid(a_request(3), timeout=20)
            health: Any = health_pb2_grpc.HealthStub(channel)
            status = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=20)

        process.send_signal(signal.SIGTERM)
        output = await asyncio.wait_for(process.communicate(), 30)

    assert is_sound(response) == [True] * 3
    assert status.status == health_pb2.HealthCheckResponse.SERVING
    assert process.returncode == 0
    assert output == (b"", b"")


async def test_a_late_answer_comes_after_the_deadline_of_the_exchange() -> None:
    async with a_process("--late-share", "1") as process:
        port = await port_of(process)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            bidder = BidderServiceStub(channel)
            await channel.channel_ready()
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await bidder.Bid(a_request(tmax_ms=400), timeout=0.4)
            answered = await bidder.Bid(a_request(opportunities=50, tmax_ms=1), timeout=20)

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answered.bids


async def test_a_request_that_fails_is_answered_with_a_status() -> None:
    async with a_process("--failure-share", "1") as process:
        port = await port_of(process)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await BidderServiceStub(channel).Bid(a_request(), timeout=20)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_port_in_use_is_refused_with_its_number() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with a_process("--port", str(port)) as process:
            _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in errors.decode()
