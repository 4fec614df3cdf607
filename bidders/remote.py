"""How is a brand's own bidder asked? Over gRPC, a whole batch in one call, and never longer than it was given."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import grpc.aio

from common.consent import Permission
from common.errors import BackendUnavailable
from exchange.bidding import OutsideBid
from exchange.request import PageView
from protos import bidder_pb2 as pb
from protos import bidder_pb2_grpc, common_pb2, exchange_pb2

# An answer beyond this is not read: gRPC refuses it before it is parsed.
ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
BIDS_LIMIT = 4096


class RemoteBidder:
    """A `BidderService` at `target`. The connection is made when it is first asked and kept."""

    def __init__(self, *, name: str, target: str, currency: str, timeout_ms: int) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self._target = target
        self._currency = currency
        self._channel: grpc.aio.Channel | None = None
        self._stub: bidder_pb2_grpc.BidderServiceAsyncStub | None = None

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        """Its bids for the batch; TimeoutError when it was late, BackendUnavailable when it failed."""
        request = pb.BidRequest(
            opportunities=[
                _opportunity(auction_id, view, self._currency)
                for auction_id, view in zip(auction_ids, views, strict=True)
            ],
            tmax_ms=timeout_ms,
        )
        try:
            response = await self._connected().Bid(request, timeout=timeout_ms / 1000)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(f"bidder {self.name} did not answer within {timeout_ms} ms") from None
            raise BackendUnavailable(
                f"bidder {self.name} at {self._target} failed with {error.code().name}: it is asked again next time"
            ) from None
        return [_outside_bid(bid) for bid in response.bids[:BIDS_LIMIT]]

    async def close(self) -> None:
        """Let go of the connection."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._stub = None

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


def _opportunity(auction_id: str, view: PageView, currency: str) -> pb.Opportunity:
    return pb.Opportunity(
        auction_id=auction_id,
        placements=[
            exchange_pb2.Placement(
                placement_id=placement.placement_id,
                formats=[exchange_pb2.Format.ValueType(f) for f in sorted({shape[0] for shape in placement.shapes})],
                sizes=[
                    exchange_pb2.Size(width=width, height=height)
                    for width, height in dict.fromkeys(shape[1:] for shape in placement.shapes if shape[1])
                ],
                floor_micros=placement.floor_micros,
                blocked_categories=placement.blocked_categories,
                blocked_advertisers=placement.blocked_advertisers,
                position=placement.position,
            )
            for placement in view.placements
        ],
        page=common_pb2.Page(
            url=view.url, categories=view.categories, keywords=view.keywords, product_id=view.product_id
        ),
        device=common_pb2.Device(
            type=view.device_type,  # type: ignore[arg-type]
            country=view.country,
            language=view.language,
        ),
        visitor_id=view.visitor_id if view.permissions & Permission.SHARE else "",
        currency=currency,
    )


def _outside_bid(bid: pb.Bid) -> OutsideBid:
    return OutsideBid(
        auction_id=bid.auction_id,
        placement_id=bid.placement_id,
        bid_id=bid.bid_id,
        bid_micros=bid.bid_micros,
        currency=bid.currency,
        advertiser_domain=bid.advertiser_domain,
        creative_id=bid.creative_id,
        format=bid.format,
        width=bid.width,
        height=bid.height,
        markup=bid.markup,
        category=bid.category,
        product_id=bid.product_id,
        win_url=bid.win_url,
        billing_url=bid.billing_url,
        loss_url=bid.loss_url,
        seat=bid.seat,
    )
