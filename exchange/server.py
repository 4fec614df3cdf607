"""How is the auction reached over gRPC? AuctionService: one page view, a batch, a stream of batches, and notices."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

import grpc
import grpc.aio
from google.rpc import status_pb2

from accounts.grpc_edge import Caller, Context, abort, caller, parse, status_of
from accounts.ports import ApiKeys
from common.clock import Clock
from common.errors import BackendUnavailable, FieldError, HaatError, InvalidInput
from exchange.answer import Answer
from exchange.answer_wire import AnswerWriter
from exchange.auction_wire import PageViewReader
from exchange.batching import Batcher
from exchange.billing import SAYABLE, Kind, Notice, NoticeOutcome
from exchange.request import PageView
from protos import exchange_pb2 as pb
from protos.unread_pb2 import PageViewerBatch

SERVICE = "haat.exchange.v1.AuctionService"
ROLES = ("storefront", "operator")
NOTICES_LIMIT = 1024
# Batches of one stream that are being held at the same time; beyond that the stream is read no further.
STREAM_WINDOW = 16

HoldAuctions = Callable[[Sequence[PageView]], Awaitable[list[Answer]]]
TakeNotices = Callable[[Sequence[Notice]], Awaitable[list[NoticeOutcome]]]

_log = logging.getLogger(__name__)


class AuctionCalls:
    """The calls of AuctionService, over one core."""

    def __init__(
        self,
        *,
        hold_auctions: HoldAuctions,
        take_notices: TakeNotices,
        keys: ApiKeys,
        clock: Clock,
        currency: str,
        tmax_ms: int,
        max_batch: int,
        max_message_bytes: int,
        batcher: Batcher | None = None,
        knows_currency: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._hold_auctions = hold_auctions
        self._take_notices = take_notices
        self._keys = keys
        self._clock = clock
        self._max_batch = max_batch
        self._max_message_bytes = max_message_bytes
        self._reader = PageViewReader(currency=currency, tmax_ms=tmax_ms, knows_currency=knows_currency)
        self._writer = AnswerWriter(currency)
        self._batcher = batcher if batcher is not None else Batcher(hold_auctions)
        self._draining = False
        self._readers: set[asyncio.Task[None]] = set()

    def drain(self) -> None:
        """Streams are read no further: what was read is answered, then they end and their clients go elsewhere."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    def handlers(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server. Requests come as bytes, so malformed ones are INVALID_ARGUMENT."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "HoldAuction": unary(cast(Any, self._guarded(self._hold_auction))),
                "HoldAuctions": unary(cast(Any, self._guarded(self._hold_batch))),
                "ReportNotices": unary(cast(Any, self._guarded(self._report_notices, self._speaks_for))),
                "StreamAuctions": stream(cast(Any, self._stream)),
            },
        )

    def _guarded(
        self, answer: Callable[[bytes, str], Awaitable[bytes]], who: Callable[[Context], str] | None = None
    ) -> Callable[[bytes, Context], Awaitable[bytes]]:
        who = who or self._publisher

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                return await answer(data, who(context))
            except HaatError as error:
                refused = error
            except Exception:
                _log.exception("an auction call failed")
                refused = HaatError("haat made a mistake of its own; its log says where")
            await abort(context, refused)

        return handle

    def _publisher(self, context: Context) -> str:
        """The tenant that the caller's key belongs to: whose page views these are."""
        return self._caller(context).tenant_id

    def _speaks_for(self, context: Context) -> str:
        """The tenant whose ads the caller may speak of; empty: everybody's, for operators."""
        found = self._caller(context)
        return "" if found.role == "operator" else found.tenant_id

    def _caller(self, context: Context) -> Caller:
        metadata = cast("Iterable[tuple[str, str | bytes]] | None", context.invocation_metadata())
        return caller(self._keys, metadata, *ROLES)

    def batched_by(self, batcher: Batcher) -> AuctionCalls:
        """The same calls for another door, whose single page views are collected as it takes them in."""
        calls = copy.copy(self)
        calls._batcher = batcher
        return calls

    async def _hold_auction(self, data: bytes, publisher_id: str) -> bytes:
        if len(data) > self._max_message_bytes:
            raise _oversized(len(data), self._max_message_bytes)
        view = self._reader.from_bytes(data, self._clock.now_ms(), publisher_id)
        answer = await self._batcher.submit(view)
        return self._writer.answer(answer)

    async def _hold_batch(self, data: bytes, publisher_id: str) -> bytes:
        batch = parse(PageViewerBatch, data, self._max_message_bytes)
        return await self._answers(batch, publisher_id)

    async def _answers(self, batch: PageViewerBatch, publisher_id: str) -> bytes:
        """An AnswerBatch with one result for each page view; a malformed one is refused in its own, and the others are
        held.
        """
        page_views = list(batch.page_views)
        if len(page_views) > self._max_batch:
            raise InvalidInput(
                [FieldError("page_views", f"{len(page_views)} of them", f"give at most {self._max_batch} a batch")]
            )
        now_ms = self._clock.now_ms()
        views: list[PageView] = []
        refused: dict[int, status_pb2.Status] = {}
        for index, data in enumerate(page_views):
            try:
                views.append(self._reader.from_bytes(data, now_ms, publisher_id))
            except InvalidInput as error:
                refused[index] = status_of(error)
        answers = iter(await self._hold_auctions(views) if views else [])
        written = [
            pb.AnswerBatch(results=[pb.AuctionResult(error=refused[index])]).SerializeToString()
            if index in refused
            else self._writer.result(next(answers))
            for index in range(len(page_views))
        ]
        # Messages joined are one message with the fields of all.
        return b"".join((pb.AnswerBatch(batch_id=batch.batch_id).SerializeToString(), *written))

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Batches are held as they come and answered as they are done; what cannot be read is answered with its error
        and the stream goes on.
        """
        try:
            if self._draining:
                raise BackendUnavailable("this server is stopping: ask another one")
            publisher_id = self._publisher(context)
        except HaatError as error:
            await abort(context, error)
        done: asyncio.Queue[bytes | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)
        running: set[asyncio.Task[None]] = set()

        async def hold(data: bytes) -> None:
            try:
                done.put_nowait(await self._stream_answer(data, publisher_id))
            finally:
                window.release()

        async def read() -> None:
            try:
                async for data in requests:
                    await window.acquire()
                    task = asyncio.create_task(hold(data))
                    running.add(task)
                    task.add_done_callback(running.discard)
            except asyncio.CancelledError:
                # What was read and is not being held is not answered: whoever asked asks again.
                if not self._draining:
                    raise
            finally:
                if running:
                    await asyncio.wait(running)
                done.put_nowait(None)

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        try:
            while (answer := await done.get()) is not None:
                yield answer
            await reader
        finally:
            reader.cancel()

    async def _stream_answer(self, data: bytes, publisher_id: str) -> bytes:
        batch_id = 0
        try:
            batch = parse(PageViewerBatch, data, self._max_message_bytes)
            batch_id = batch.batch_id
            return await self._answers(batch, publisher_id)
        except HaatError as error:
            refused = pb.AnswerBatch(batch_id=batch_id or _batch_id_of(data), error=status_of(error))
        except Exception:
            _log.exception("a batch of a stream failed")
            trouble = HaatError("haat made a mistake of its own; its log says where")
            refused = pb.AnswerBatch(batch_id=batch_id, error=status_of(trouble))
        return refused.SerializeToString()

    async def _report_notices(self, data: bytes, publisher_id: str) -> bytes:
        batch = parse(pb.NoticeBatch, data, self._max_message_bytes)
        notices = _notices(batch, publisher_id)
        outcomes = await self._take_notices(notices)
        return pb.NoticeOutcomes(
            outcomes=[
                pb.NoticeOutcome(
                    verdict=outcome.verdict,  # type: ignore[arg-type]  # the enum's own numbers
                    billed_micros=outcome.billed_micros,
                    currency=outcome.currency,
                )
                for outcome in outcomes
            ]
        ).SerializeToString()


def _notices(batch: pb.NoticeBatch, publisher_id: str) -> list[Notice]:
    errors: list[FieldError] = []
    if len(batch.notices) > NOTICES_LIMIT:
        raise InvalidInput([FieldError("notices", f"{len(batch.notices)} of them", f"give at most {NOTICES_LIMIT}")])
    notices = []
    for index, notice in enumerate(batch.notices):
        if int(notice.kind) not in SAYABLE:
            remedy = "give 1 (impression), 2 (click), 3 (conversion), 4 (viewable) or 5 to 9 (video)"
            errors.append(FieldError(f"notices[{index}].kind", str(notice.kind), remedy))
            continue
        if not 0 < len(notice.impression_id) <= 40:
            shown = repr(notice.impression_id[:40])
            errors.append(FieldError(f"notices[{index}].impression_id", shown, "give the ad's impression_id"))
        if int(notice.kind) == Kind.CONVERSION and not 0 < len(notice.order_id) <= 64:
            shown = repr(notice.order_id[:20])
            errors.append(FieldError(f"notices[{index}].order_id", shown, "name the order in 1 to 64 characters"))
        notices.append(Notice(Kind(notice.kind), notice.impression_id, notice.order_id, publisher_id=publisher_id))
    if errors:
        raise InvalidInput(errors)
    return notices


def _oversized(size: int, limit: int) -> InvalidInput:
    return InvalidInput([FieldError("PageView", f"the message has {size} bytes", f"send at most {limit} bytes")])


def _batch_id_of(data: bytes) -> int:
    """The batch id at the start of a message whose rest cannot be read; 0 when even that is not to be had."""
    if len(data) < 2 or data[0] != 0x08:
        return 0
    number, shift = 0, 0
    for byte in data[1:11]:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7
    return 0
