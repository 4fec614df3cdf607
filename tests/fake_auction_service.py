"""An AuctionService without an exchange behind it: fills every placement, and breaks where a test tells it to."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from protos.exchange_pb2 import (
    PRICING_MODEL_CPC,
    PRICING_MODEL_CPM,
    Ad,
    Answer,
    AnswerBatch,
    AuctionResult,
    Notice,
    NoticeBatch,
    NoticeOutcome,
    NoticeOutcomes,
    PageView,
    PageViewBatch,
    PlacementAnswer,
)
from protos.exchange_pb2_grpc import AuctionServiceServicer, add_AuctionServiceServicer_to_server

API_KEY = "storefront-key"
BILLED_MICROS = 250


class FakeAuctionService(AuctionServiceServicer):
    """Request ids that start with "bad" are refused with a field error; "late" ones are answered with `release`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.held: Counter[str] = Counter()
        self.streams_opened = 0
        self.unavailable_calls = 0
        # The next streams each break after so many batches were read and not answered.
        self.break_streams_after: list[int] = []
        self.broken_as = grpc.StatusCode.UNAVAILABLE, "the fake broke as told"
        # Answer so many batches together, the last one first.
        self.reverse_every = 1
        self.hold_back = asyncio.Event()
        self.hold_back.set()
        self.notices: list[Notice] = []
        self.product_of_position: dict[int, str] = {}

    async def HoldAuction(self, request: PageView, context: Any) -> Answer:  # noqa: N802
        await self._check(context)
        result = self._result(request)
        if result.HasField("error"):
            await _abort(context, result.error)
        return result.answer

    async def HoldAuctions(self, request: PageViewBatch, context: Any) -> AnswerBatch:  # noqa: N802
        await self._check(context)
        return self._answers(request)

    async def StreamAuctions(  # noqa: N802
        self, request_iterator: AsyncIterator[PageViewBatch], context: Any
    ) -> AsyncIterator[AnswerBatch]:
        self.streams_opened += 1
        await self._check(context)
        break_after = self.break_streams_after.pop(0) if self.break_streams_after else 0
        waiting: list[AnswerBatch] = []
        seen = 0
        async for batch in request_iterator:
            seen += 1
            self.batches.append([page_view.request_id for page_view in batch.page_views])
            if break_after and seen >= break_after:
                await context.abort(*self.broken_as)
            await self.hold_back.wait()
            waiting.append(self._answers(batch))
            if len(waiting) >= self.reverse_every:
                for answers in reversed(waiting):
                    yield answers
                waiting.clear()

    async def ReportNotices(self, request: NoticeBatch, context: Any) -> NoticeOutcomes:  # noqa: N802
        await self._check(context)
        known = {(one.kind, one.impression_id, one.order_id) for one in self.notices}
        outcomes = []
        for notice in request.notices:
            key = (notice.kind, notice.impression_id, notice.order_id)
            if key in known:
                outcomes.append(NoticeOutcome(verdict=NoticeOutcome.VERDICT_DUPLICATE, currency="EUR"))
                continue
            known.add(key)
            self.notices.append(notice)
            accepted = NoticeOutcome.VERDICT_ACCEPTED
            outcomes.append(NoticeOutcome(verdict=accepted, billed_micros=BILLED_MICROS, currency="EUR"))
        return NoticeOutcomes(outcomes=outcomes)

    async def _check(self, context: Any) -> None:
        if dict(context.invocation_metadata()).get("x-api-key") != API_KEY:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the API key is not known")
        if self.unavailable_calls:
            self.unavailable_calls -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the fake is away as told")

    def _answers(self, batch: PageViewBatch) -> AnswerBatch:
        return AnswerBatch(batch_id=batch.batch_id, results=[self._result(one) for one in batch.page_views])

    def _result(self, page_view: PageView) -> AuctionResult:
        if page_view.request_id.startswith("bad"):
            return AuctionResult(error=_bad_request())
        self.held[page_view.request_id] += 1
        placements = []
        for placement in page_view.placements:
            model = PRICING_MODEL_CPC if placement.position == 3 else PRICING_MODEL_CPM
            ad = Ad(
                impression_id=f"{page_view.request_id}/{placement.placement_id}",
                advertiser_domain="brand.example",
                product_id=self.product_of_position.get(placement.position, "p-1"),
                price_micros=400_000,
                pricing_model=model,
                currency="EUR",
                markup="<a href='https://brand.example'><img src='https://brand.example/p.png'></a>",
            )
            placements.append(PlacementAnswer(placement_id=placement.placement_id, ad=ad))
        answer = Answer(auction_id=f"a-{page_view.request_id}", request_id=page_view.request_id, placements=placements)
        return AuctionResult(answer=answer)


def _bad_request() -> status_pb2.Status:
    status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="two fields cannot be taken")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="placements[0].floor_micros", description="-1 — give 0 or more")
    bad.field_violations.add(field="currency", description="'EURO' — give an ISO 4217 code")
    status.details.add().Pack(bad)
    return status


async def _abort(context: Any, status: status_pb2.Status) -> NoReturn:
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message, trailers)
    raise AssertionError("abort returned")


@asynccontextmanager
async def serving(service: FakeAuctionService) -> AsyncIterator[str]:
    """The target of a server on a free port, for as long as the block runs."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_AuctionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def _serve_until_sigterm() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(FakeAuctionService()) as target:
        print(f"ready {target} {API_KEY}", flush=True)
        await asyncio.wait_for(stop.wait(), 600)


if __name__ == "__main__":
    asyncio.run(_serve_until_sigterm())
