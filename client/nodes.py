"""How does one node reach another? Peers over gRPC: a channel for each address, a deadline and one more try."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from common.errors import BackendUnavailable, NotFound
from exchange.billing import Notice, NoticeOutcome, Verdict
from exchange.corrections import Correction
from exchange.nodes import Node
from exchange.notice_routing import PeerOutcome
from protos import nodes_pb2
from protos.nodes_pb2_grpc import NodeServiceStub

if TYPE_CHECKING:
    from protos.nodes_pb2_grpc import NodeServiceAsyncStub

# A browser waits for this; what takes longer is queued.
TIMEOUT_S: Final = 1.0
_TRIES: Final = 2
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    # gRPC's name of how long one try to connect may take.
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
)

ResponseT = TypeVar("ResponseT", bound=Message)


class NodePeers:
    """Peers over gRPC. `key` is what this node says of itself; `credentials` are for nodes that speak TLS."""

    def __init__(self, key: Callable[[], str], credentials: grpc.ChannelCredentials | None = None) -> None:
        self._key = key
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def take_notices(self, owner: Node, said_at_ms: int, notices: Sequence[Notice]) -> list[PeerOutcome]:
        """See Peers."""
        request = nodes_pb2.ForwardedNotices(
            owner=owner.number,
            said_at_ms=said_at_ms,
            notices=[
                nodes_pb2.ForwardedNotice(
                    kind=n.kind, impression_id=n.impression_id, order_id=n.order_id, validity=n.validity,
                    from_browser=n.from_browser,
                    publisher_id=n.publisher_id,
                )
                for n in notices
            ],
        )  # fmt: skip
        try:
            told: nodes_pb2.ForwardedOutcomes = await self._call(owner, self._stub(owner).TakeNotices, request)
        except NotFound as error:
            # The address is another node's by now.
            raise BackendUnavailable(f"node {owner.name} is not at {owner.address}: {error}") from None
        if len(told.outcomes) != len(notices):
            raise BackendUnavailable(f"node {owner.name} answered {len(told.outcomes)} of {len(notices)} notices")
        return [
            PeerOutcome(
                NoticeOutcome(Verdict(said.outcome.verdict), said.outcome.billed_micros, said.outcome.currency),
                said.line_item_number,
                said.clicked_at_ms,
            )
            for said in told.outcomes
        ]

    async def take_back(self, owner: Node, impression_id: str, kind: int, order_id: str) -> Correction:
        """See Peers."""
        request = nodes_pb2.TakeBackRequest(impression_id=impression_id, kind=kind, order_id=order_id)
        done: nodes_pb2.TakenBack = await self._call(owner, self._stub(owner).TakeBack, request)
        return Correction(done.taken_back, done.refunded_micros, done.currency)

    async def close(self) -> None:
        """Let go of all connections."""
        for channel in self._channels.values():
            await channel.close()

    def _stub(self, owner: Node) -> NodeServiceAsyncStub:
        if not owner.address:
            raise BackendUnavailable(f"node {owner.name} has not said where it is yet")
        channel = self._channels.get(owner.address)
        if channel is None:
            channel = self._channels[owner.address] = (
                grpc.aio.insecure_channel(owner.address, options=_OPTIONS)
                if self._credentials is None
                else grpc.aio.secure_channel(owner.address, self._credentials, options=_OPTIONS)
            )
        return NodeServiceStub(channel)

    async def _call(self, owner: Node, method: Callable[..., Awaitable[ResponseT]], request: Message) -> ResponseT:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        for tries in range(1, _TRIES + 1):
            left_s = max(deadline - asyncio.get_running_loop().time(), 0.001)
            try:
                return await method(request, timeout=left_s, metadata=(("x-api-key", self._key()),))
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    raise NotFound(error.details() or "not found") from None
                if error.code() is not grpc.StatusCode.UNAVAILABLE or tries == _TRIES:
                    why = f"does not answer: {error.code().name}"
                    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                        why = "does not take this node's key: give all nodes the same shared_dir"
                    raise BackendUnavailable(f"node {owner.name} at {owner.address} {why}") from None
        raise AssertionError("a last try returns or raises")
