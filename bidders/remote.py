"""How is a brand's own bidder asked? Over gRPC, a whole batch at once, and never longer than it was given.

A bidder that has BidStream is asked over one stream that is kept; any other by one call for each batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import grpc.aio

from bidders.bid_stream import BidStream, NoStream, NotSent
from bidders.bidder_wire import opportunity, outside_bid
from common.errors import BackendUnavailable
from exchange.bidding import OutsideBid
from exchange.request import PageView
from protos import bidder_pb2 as pb
from protos import bidder_pb2_grpc

# An answer beyond this is not read: gRPC refuses it before it is parsed.
ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
BIDS_LIMIT = 4096
# Streams over which a request is tried to be sent; what a bidder has seen is never sent again.
_TRIES = 3


class RemoteBidder:
    """A `BidderService` at `target`. The connection is made when it is first asked and kept.

    It bids in `currency`; floors of page views that name no currency are in `own_currency`, empty: the same. `seats`
    are those it may bid for, empty any.
    """

    def __init__(
        self,
        *,
        name: str,
        target: str,
        currency: str,
        timeout_ms: int,
        own_currency: str = "",
        seats: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self._target = target
        self._currency = currency
        self._own_currency = own_currency or currency
        self._seats = seats
        self._channel: grpc.aio.Channel | None = None
        self._stub: bidder_pb2_grpc.BidderServiceAsyncStub | None = None
        self._stream: BidStream | None = None
        # None until the bidder was asked: its answer says whether it has streams.
        self._has_stream: bool | None = None

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        """Its bids for the batch; TimeoutError when it was late, BackendUnavailable when it failed."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_ms / 1000
        request = pb.BidRequest(
            opportunities=[
                opportunity(auction_id, view, self._currency, self._own_currency, self._seats, self.name)
                for auction_id, view in zip(auction_ids, views, strict=True)
            ],
            tmax_ms=timeout_ms,
        )
        try:
            response = await self._answer(request, deadline_s)
        except TimeoutError:
            raise TimeoutError(f"bidder {self.name} did not answer within {timeout_ms} ms") from None
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(f"bidder {self.name} did not answer within {timeout_ms} ms") from None
            raise BackendUnavailable(
                f"bidder {self.name} at {self._target} failed with {error.code().name}: it is asked again next time"
            ) from None
        return [outside_bid(bid) for bid in response.bids[:BIDS_LIMIT]]

    async def close(self) -> None:
        """Let go of the connection."""
        if self._stream is not None:
            await self._stream.close()
            self._stream = None
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._stub = None

    async def _answer(self, request: pb.BidRequest, deadline_s: float) -> pb.BidResponse:
        loop = asyncio.get_running_loop()
        stub = self._connected()
        if self._has_stream is not False:
            try:
                async with asyncio.timeout_at(deadline_s):
                    response = await self._over_stream(stub, request)
                self._has_stream = True
                return response
            except NoStream:
                self._has_stream = False
                request.request_number = 0
        return await stub.Bid(request, timeout=max(deadline_s - loop.time(), 0.001))

    async def _over_stream(
        self, stub: bidder_pb2_grpc.BidderServiceAsyncStub, request: pb.BidRequest
    ) -> pb.BidResponse:
        """The answer over the kept stream, over a new one where that ended before it had the request."""
        failure: grpc.aio.AioRpcError | None = None
        for _ in range(_TRIES):
            if self._stream is None or self._stream.ended:
                self._stream = BidStream(stub.BidStream())
            try:
                return await self._stream.ask(request)
            except NotSent as never_seen:
                failure = never_seen.failure
        assert failure is not None
        raise failure

    def _connected(self) -> bidder_pb2_grpc.BidderServiceAsyncStub:
        if self._stub is None:
            self._channel = grpc.aio.insecure_channel(
                self._target,
                options=(
                    ("grpc.max_receive_message_length", ANSWER_LIMIT_BYTES),
                    ("grpc.max_reconnect_backoff_ms", 2000),
                ),
            )
            self._stub = bidder_pb2_grpc.BidderServiceStub(self._channel)
        return self._stub
