"""How does a storefront ask for ads? Auctions one by one or in batches, and notices of what became of the ads."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from client.coalescing import AuctionCall, AuctionStream
from client.connection import Connection
from client.errors import AuctionRefused, CallFailed, CallRefused, ClientClosed, auction_refused
from protos.exchange_pb2 import Answer, Notice, NoticeBatch, NoticeOutcome, PageView, PageViewBatch
from protos.exchange_pb2_grpc import AuctionServiceStub

MAX_PAGE_VIEWS = 1024
MAX_NOTICES = 1024
# Nobody waits for them on a page, and one that got no answer would be billed without the storefront knowing it.
NOTICES_TIMEOUT_MS = 10_000


class ExchangeClient:
    """One connection of a storefront to the exchange. Make it in a running event loop; close it, or use `async with`.
    `target` may be the addresses of several nodes (see Connection).

    With `coalesce` single calls travel on one bidirectional stream, at most `batches_out` batches of `max_batch` page
    views at a time; without it each is a unary call. More than `max_in_flight` calls wait for a place.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        api_key: str,
        *,
        coalesce: bool = True,
        timeout_ms: int = 1_000,
        max_in_flight: int = 4_096,
        max_batch: int = 128,
        batches_out: int = 2,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        if not 1 <= max_batch <= MAX_PAGE_VIEWS:
            raise ValueError(f"max_batch is {max_batch}: a batch has 1 to {MAX_PAGE_VIEWS} page views")
        self._connection = Connection(target, api_key, timeout_ms=timeout_ms, credentials=credentials, chance=chance)
        self._stub = AuctionServiceStub(self._connection.channel)
        self._timeout_ms = timeout_ms
        self._closed = False
        # The address that the newest stream went to.
        self._streaming_at = 0
        self._stream: AuctionStream | None = None
        if coalesce:
            self._stream = AuctionStream(
                self._open_call,
                self._connection.target,
                max_in_flight=max_in_flight,
                max_batch=max_batch,
                batches_out=batches_out,
                chance=self._connection.chance,
                addresses=len(self._connection.channels),
                broken=lambda: self._connection.channels.move_on(self._streaming_at),
            )

    async def hold_auction(self, page_view: PageView) -> Answer:
        """The answer to one page view. Raises AuctionRefused with every field, AnswerLate, CallFailed, ClientClosed."""
        self._check_open()
        if self._stream is not None:
            return await self._stream.hold(page_view, self._timeout_ms)
        try:
            return await self._connection.call(self._stub.HoldAuction, page_view)
        except CallRefused as refused:
            if refused.code is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            what = page_view.request_id or refused.what
            raise AuctionRefused(what, refused.code, refused.reason, refused.errors) from None

    async def hold_auctions(self, page_views: Sequence[PageView]) -> list[Answer | AuctionRefused]:
        """One entry for each of at most 1,024 page views, in their order: its answer, or why it was refused."""
        self._check_open()
        if len(page_views) > MAX_PAGE_VIEWS:
            raise ValueError(f"a batch of {len(page_views)} page views: send at most {MAX_PAGE_VIEWS} at a time")
        if not page_views:
            return []
        batch = await self._connection.call(self._stub.HoldAuctions, PageViewBatch(batch_id=1, page_views=page_views))
        if batch.HasField("error"):
            raise auction_refused("HoldAuctions", batch.error)
        if len(batch.results) != len(page_views):
            reason = f"{len(page_views)} page views were sent and {len(batch.results)} answers came back"
            raise CallFailed("HoldAuctions", grpc.StatusCode.INTERNAL, reason)
        return [
            result.answer if result.HasField("answer") else auction_refused(page_view.request_id, result.error)
            for page_view, result in zip(page_views, batch.results, strict=True)
        ]

    async def report_notices(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """One outcome for each notice; sent again when the server was away, which bills nothing twice."""
        self._check_open()
        outcomes: list[NoticeOutcome] = []
        patience_ms = max(self._timeout_ms, NOTICES_TIMEOUT_MS)
        for at in range(0, len(notices), MAX_NOTICES):
            some = notices[at : at + MAX_NOTICES]
            taken = await self._connection.call(
                self._stub.ReportNotices, NoticeBatch(notices=some), timeout_ms=patience_ms
            )
            if len(taken.outcomes) != len(some):
                reason = f"{len(some)} notices were sent and {len(taken.outcomes)} outcomes came back"
                raise CallFailed("ReportNotices", grpc.StatusCode.INTERNAL, reason)
            outcomes.extend(taken.outcomes)
        return outcomes

    async def close(self, drain_ms: int = 5_000) -> None:
        """Wait for the auctions in flight, at most `drain_ms`, and let go of the connection."""
        self._closed = True
        if self._stream is not None:
            await self._stream.close(drain_ms)
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client is closed: make a new one")

    def _open_call(self) -> AuctionCall:
        self._streaming_at = self._connection.channels.at
        return self._stub.StreamAuctions(metadata=self._connection.metadata)
