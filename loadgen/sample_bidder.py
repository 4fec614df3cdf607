"""What does an outside bidder look like? A whole one, as a process of its own behind BidderService.

`python -m loadgen.sample_bidder --port 0` says "ready on 127.0.0.1:PORT" and bids for two made-up brands until SIGTERM.
It misbehaves as the worst of real ones do: a share of its requests is answered late or fails, and of its bids by turns
are in a wrong currency, at a negative or absurd price, for a placement that nobody offered, in a size or a format that
does not fit. Shares are evenly spread, so that a few requests show all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from random import Random
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from protos.bidder_pb2 import DESCRIPTOR, Bid, BidRequest, BidResponse, Opportunity
from protos.bidder_pb2_grpc import BidderServiceServicer, add_BidderServiceServicer_to_server
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_VIDEO, Placement

SERVICE = DESCRIPTOR.services_by_name["BidderService"].full_name
# How long after the exchange's deadline a late answer comes, and how long the latest waits at most.
LATE_BY_MS = 50
MOST_WAIT_MS = 5_000
FAILS = "the sample bidder fails now and then, as it was told to"
_LEAST_BID_MICROS = 50_000
_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Brand:
    """For whom is bid."""

    domain: str
    creative_id: str
    category: str
    slogan: str


BRANDS = (
    Brand("northlight-outdoor.example", "northlight-tents-300", "outdoor", "Tents that stand up to the wind"),
    Brand("kestrel-eyewear.example", "kestrel-frames-300", "accessories", "Frames that weigh nothing"),
)


def _wrong_currency(bid: Bid) -> None:
    bid.currency = "XTS"


def _negative_price(bid: Bid) -> None:
    bid.bid_micros = -bid.bid_micros


def _absurd_price(bid: Bid) -> None:
    bid.bid_micros = 4_000_000_000_000_000_000


def _unknown_placement(bid: Bid) -> None:
    bid.placement_id = "a-placement-that-nobody-offered"


def _size_that_does_not_fit(bid: Bid) -> None:
    bid.width, bid.height = 17, 19


def _format_that_nobody_offered(bid: Bid) -> None:
    bid.format = FORMAT_VIDEO


GARBAGE: tuple[Callable[[Bid], None], ...] = (
    _wrong_currency,
    _negative_price,
    _absurd_price,
    _unknown_placement,
    _size_that_does_not_fit,
    _format_that_nobody_offered,
)


class _Spread:
    """A share of what comes, evenly spread; the first of it stands in the middle of its part."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen = self._due = 0

    def next(self) -> bool:
        """Does this one belong to it?"""
        self._seen += 1
        before, self._due = self._due, int(self._seen * self._share + 0.5)
        return self._due > before


class SampleBidder:
    """Decides the bids; pure but for its seeded chance, and for counting requests.

    `garbage_share` is of the bids, `bid_share` of the placements, `late_share` and `failure_share` of the requests.
    """

    def __init__(
        self,
        seed: int,
        *,
        bid_share: float = 0.6,
        late_share: float = 0.0,
        garbage_share: float = 0.0,
        failure_share: float = 0.0,
    ) -> None:
        self._chance = Random(seed)
        self._bid_share = bid_share
        self._late = _Spread(late_share)
        self._garbage = _Spread(garbage_share)
        self._kinds = cycle(GARBAGE)
        self._failing = _Spread(failure_share)
        self._bids = 0

    def bid(self, request: BidRequest) -> BidResponse:
        """At most one bid for each banner placement; many get none."""
        return BidResponse(
            bids=[
                bid
                for opportunity in request.opportunities
                for placement in opportunity.placements
                if (bid := self._bid(opportunity, placement)) is not None
            ]
        )

    def wait_ms(self, request: BidRequest) -> int:
        """How long to sit on the answer: 0, or longer than the exchange waits."""
        return min(request.tmax_ms + LATE_BY_MS, MOST_WAIT_MS) if self._late.next() else 0

    def fails(self) -> bool:
        """Is this request answered with an error?"""
        return self._failing.next()

    def _bid(self, opportunity: Opportunity, placement: Placement) -> Bid | None:
        if FORMAT_BANNER not in placement.formats or not placement.sizes or self._chance.random() >= self._bid_share:
            return None
        brand = self._chance.choice(BRANDS)
        size = placement.sizes[0]
        floor_micros = max(placement.floor_micros, _LEAST_BID_MICROS)
        self._bids += 1
        bid = Bid(
            auction_id=opportunity.auction_id,
            placement_id=placement.placement_id,
            bid_id=f"sample-{self._bids}",
            # From somewhat below the floor to more than twice above it.
            bid_micros=floor_micros * self._chance.randint(80, 240) // 100,
            currency=opportunity.currency,
            advertiser_domain=brand.domain,
            creative_id=brand.creative_id,
            format=FORMAT_BANNER,
            width=size.width,
            height=size.height,
            markup=f'<a href="https://{brand.domain}/"><img src="https://{brand.domain}/{brand.creative_id}.png" '
            f'alt="{brand.slogan}" width="{size.width}" height="{size.height}"></a>',
            category=brand.category,
        )
        if self._garbage.next():
            next(self._kinds)(bid)
        return bid


class _Service(BidderServiceServicer):
    def __init__(self, bidder: SampleBidder) -> None:
        self._bidder = bidder

    async def Bid(self, request: BidRequest, context: Any) -> BidResponse:  # noqa: N802
        if self._bidder.fails():
            await context.abort(grpc.StatusCode.UNAVAILABLE, FAILS)
        return await self._answer(request)

    async def BidStream(  # noqa: N802
        self, requests: AsyncIterator[BidRequest], context: Any
    ) -> AsyncIterator[BidResponse]:
        """Each request on its own, so that a late answer holds up no other; a failure ends the stream."""
        # A response, or None when there will be none any more.
        answers: asyncio.Queue[BidResponse | None] = asyncio.Queue()
        thinking: set[asyncio.Task[None]] = set()
        failed = False

        async def answer(request: BidRequest) -> None:
            response = await self._answer(request)
            response.request_number = request.request_number
            answers.put_nowait(response)

        async def listen() -> None:
            nonlocal failed
            async for request in requests:
                if failed := self._bidder.fails():
                    break
                task = asyncio.create_task(answer(request))
                thinking.add(task)
                task.add_done_callback(thinking.discard)
            if not failed:
                await asyncio.gather(*thinking)
            answers.put_nowait(None)

        listening = asyncio.create_task(listen())
        try:
            while (response := await answers.get()) is not None:
                yield response
        finally:
            for task in (listening, *thinking):
                task.cancel()
        if failed:
            await context.abort(grpc.StatusCode.UNAVAILABLE, FAILS)

    async def _answer(self, request: BidRequest) -> BidResponse:
        response = self._bidder.bid(request)
        if wait_ms := self._bidder.wait_ms(request):
            await asyncio.sleep(wait_ms / 1000)
        return response


async def serve(bidder: SampleBidder, port: int, *, ready: Callable[[int], None], stop: asyncio.Event) -> None:
    """Serve on 127.0.0.1 until `stop` is set; `ready` is told the port. OSError when the port is in use."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_BidderServiceServicer_to_server(_Service(bidder), server)
    alive = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise OSError(f"port {port} on 127.0.0.1 is in use: choose another, or 0 for a free one")
    for service in ("", SERVICE):
        await alive.set(service, health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    try:
        ready(bound)
        await stop.wait()
    finally:
        await alive.enter_graceful_shutdown()
        await server.stop(_GRACE_S)


async def _serve_until_signal(bidder: SampleBidder, port: int, max_seconds: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if max_seconds > 0:
        loop.call_later(max_seconds, stop.set)
    say = partial(print, flush=True)
    await serve(bidder, port, ready=lambda bound: say(f"ready on 127.0.0.1:{bound}"), stop=stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C: 0; 2 when the port is in use or an argument cannot be."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.sample_bidder", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bid-share", type=_share, default=0.6, help="of the placements that get a bid")
    parser.add_argument("--late-share", type=_share, default=0.0, help="of the requests answered too late")
    parser.add_argument("--garbage-share", type=_share, default=0.0, help="of the bids that cannot be taken")
    parser.add_argument("--failure-share", type=_share, default=0.0, help="of the requests that end in an error")
    parser.add_argument("--max-seconds", type=float, default=0.0, help="ends by itself; 0 serves until SIGTERM")
    given = parser.parse_args(arguments)
    if not 0 <= given.port <= 65_535:
        parser.error(f"--port {given.port}: give 0 to 65535")
    bidder = SampleBidder(
        given.seed,
        bid_share=given.bid_share,
        late_share=given.late_share,
        garbage_share=given.garbage_share,
        failure_share=given.failure_share,
    )
    try:
        asyncio.run(_serve_until_signal(bidder, given.port, given.max_seconds))
    except OSError as trouble:
        print(f"sample_bidder: {trouble}", file=sys.stderr)
        return 2
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: give 0 to 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
