"""How do single calls become batches? Those that arrive while batches are out form the next one: no timer.

An idle stream sends a call at once; a busy one grows more efficient. A broken stream is opened again, and the calls
that were on it are sent once more, which is safe: holding an auction again sells nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import grpc
import grpc.aio

from client.backoff import Backoff
from client.errors import AnswerLate, CallFailed, ClientClosed, StreamBroken, auction_refused, failure_of, is_final
from protos.exchange_pb2 import Answer, AnswerBatch, PageView, PageViewBatch

AuctionCall = grpc.aio.StreamStreamCall[PageViewBatch, AnswerBatch]

# At each address.
_MOST_TRIES = 2
# What grpcio says where a stream was refused while a batch was being written, in place of the refusal: asked again,
# the server says it again.
_REFUSAL_LOST = "Internal error from Core"
_MOST_LOST = 8


class _Waiting:
    """One call: its page view, where its answer goes, and how often it was sent."""

    __slots__ = ("answer", "page_view", "tries")

    def __init__(self, page_view: PageView, answer: asyncio.Future[Answer]) -> None:
        self.page_view = page_view
        self.answer = answer
        self.tries = 0


class AuctionStream:
    """Single page views in, batches on one bidirectional stream, single answers out."""

    def __init__(
        self,
        open_call: Callable[[], AuctionCall],
        target: str,
        *,
        max_in_flight: int,
        max_batch: int,
        batches_out: int,
        chance: Random,
        backoff: Backoff | None = None,
        addresses: int = 1,
        broken: Callable[[], object] = lambda: None,
    ) -> None:
        """`broken` is called after each stream that broke: with several `addresses` the next one goes elsewhere."""
        if min(max_in_flight, max_batch, batches_out) < 1:
            raise ValueError("max_in_flight, max_batch and batches_out are at least 1")
        self._open_call = open_call
        self._addresses = addresses
        self._when_broken = broken
        self._most_tries = _MOST_TRIES * addresses
        self._what = f"StreamAuctions to {target}"
        self._max_batch = max_batch
        self._batches_out = batches_out
        self._chance = chance
        self._backoff = backoff or Backoff()
        self._places = asyncio.Semaphore(max_in_flight)
        self._callers = 0
        self._pending: deque[_Waiting] = deque()
        # By batch id, oldest first.
        self._out: dict[int, list[_Waiting]] = {}
        self._last_batch_id = 0
        self._answered = 0
        self._failures = 0
        self._broken: CallFailed | None = None
        self._wake = asyncio.Event()
        self._streaming: asyncio.Task[None] | None = None
        self._closing = False

    async def hold(self, page_view: PageView, timeout_ms: int) -> Answer:
        """The answer to one page view. Raises AuctionRefused, AnswerLate, StreamBroken, CallFailed, ClientClosed."""
        if self._closing:
            raise ClientClosed(f"{self._what}: the client is closed")
        self._callers += 1
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._places:
                if self._closing and (self._streaming is None or self._streaming.done()):
                    raise ClientClosed(f"{self._what}: the client is closed")
                waiting = _Waiting(page_view, asyncio.get_running_loop().create_future())
                self._pending.append(waiting)
                self._wake.set()
                if self._streaming is None or self._streaming.done():
                    self._streaming = asyncio.create_task(self._keep_streaming())
                return await waiting.answer
        except TimeoutError:
            reason = f"no answer within {timeout_ms} ms"
            if self._broken is not None:
                reason += f"; the stream broke before: {self._broken}"
            raise AnswerLate(self._what, grpc.StatusCode.DEADLINE_EXCEEDED, reason) from None
        finally:
            self._callers -= 1
            # The stream may be waiting for this place, or for a batch that nobody waits for any more.
            self._wake.set()

    async def close(self, drain_ms: int) -> None:
        """Take no new calls, wait for those in flight at most `drain_ms`, then fail the rest with ClientClosed."""
        self._closing = True
        self._wake.set()
        if self._streaming is not None and not self._streaming.done():
            await asyncio.wait([self._streaming], timeout=drain_ms / 1000)
            self._streaming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._streaming
        self._fail_all(partial(ClientClosed, f"{self._what}: the client was closed before the answer came"))

    async def _keep_streaming(self) -> None:
        while await self._work_to_do():
            answered_before = self._answered
            trouble = await self._stream()
            if trouble is None:
                continue
            self._broken = trouble
            self._when_broken()
            self._failures = 1 if self._answered > answered_before else self._failures + 1
            if is_final(trouble.code):
                self._fail_all(partial(type(trouble), self._what, trouble.code, trouble.reason, trouble.errors))
                continue
            self._send_again(trouble)
            # Another address is asked at once.
            rounds, others_left = divmod(self._failures, self._addresses)
            if self._pending and not others_left:
                await asyncio.sleep(self._backoff.wait_s(rounds, self._chance))

    async def _work_to_do(self) -> bool:
        while True:
            self._wake.clear()
            while self._pending and self._pending[0].answer.done():
                self._pending.popleft()
            if self._pending:
                return True
            if self._closing and not self._callers:
                return False
            await self._wake.wait()

    async def _stream(self) -> CallFailed | None:
        """Open one stream and keep writing until it breaks (why is returned) or the client is drained (None)."""
        call = self._open_call()
        reading = asyncio.create_task(self._read(call))
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            if self._addresses > 1:
                # One of them comes back: what was never on a stream is not counted as a try.
                await call.wait_for_connection()
            while not reading.done():
                self._wake.clear()
                if self._pending and len(self._out) < self._batches_out:
                    batch = self._next_batch()
                    if batch is not None:
                        await call.write(batch)
                elif self._stalled():
                    return CallFailed(self._what, grpc.StatusCode.DEADLINE_EXCEEDED, "the stream stands still")
                elif self._closing and not self._callers:
                    if self._out:
                        # Batches that nobody waits for any more: no reason to wait for the server's end either.
                        return None
                    await call.done_writing()
                    break
                else:
                    await self._wake.wait()
            return await reading
        except grpc.aio.AioRpcError as error:
            return failure_of(self._what, error)
        except (asyncio.InvalidStateError, grpc.aio.UsageError):
            # Written to a stream that had ended: the reader knows why.
            return await reading
        finally:
            reading.cancel()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _read(self, call: AuctionCall) -> CallFailed | None:
        try:
            while True:
                batch: Any = await call.read()
                if batch is grpc.aio.EOF:
                    break
                trouble = self._settle(batch)
                if trouble is not None:
                    return trouble
        except grpc.aio.AioRpcError as error:
            return failure_of(self._what, error)
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
        if self._closing and not self._callers:
            return None
        return CallFailed(self._what, grpc.StatusCode.UNAVAILABLE, "the server ended the stream")

    def _next_batch(self) -> PageViewBatch | None:
        taken: list[_Waiting] = []
        while self._pending and len(taken) < self._max_batch:
            waiting = self._pending.popleft()
            if not waiting.answer.done():
                waiting.tries += 1
                taken.append(waiting)
        if not taken:
            return None
        self._last_batch_id += 1
        self._out[self._last_batch_id] = taken
        return PageViewBatch(batch_id=self._last_batch_id, page_views=[waiting.page_view for waiting in taken])

    def _settle(self, batch: AnswerBatch) -> CallFailed | None:
        """Hand each answer to its caller; what breaks the stream is returned."""
        waiting = self._out.pop(batch.batch_id, None)
        if waiting is None:
            if batch.HasField("error"):
                # It names no batch of ours, so there is no telling whose it is.
                reason = f"a message could not be read: {auction_refused('its batch', batch.error)}"
                return CallFailed(self._what, grpc.StatusCode.ABORTED, reason)
            return None
        self._wake.set()
        self._answered += 1
        self._broken = None
        if batch.HasField("error"):
            self._fail(waiting, partial(auction_refused, self._what, batch.error))
        elif len(batch.results) != len(waiting):
            reason = f"{len(waiting)} page views were sent and {len(batch.results)} answers came back"
            self._fail(waiting, partial(CallFailed, self._what, grpc.StatusCode.INTERNAL, reason))
        else:
            for one, result in zip(waiting, batch.results, strict=True):
                if one.answer.done():
                    continue
                if result.HasField("answer"):
                    one.answer.set_result(result.answer)
                else:
                    one.answer.set_exception(auction_refused(one.page_view.request_id or "a page view", result.error))
        return None

    def _stalled(self) -> bool:
        """All places for batches are taken, and nobody waits for the oldest any more."""
        if len(self._out) < self._batches_out:
            return False
        oldest = next(iter(self._out.values()))
        return all(waiting.answer.done() for waiting in oldest)

    def _send_again(self, trouble: CallFailed) -> None:
        out = [waiting for batch in self._out.values() for waiting in batch if not waiting.answer.done()]
        self._out.clear()
        lost = trouble.code is grpc.StatusCode.INTERNAL and trouble.reason == _REFUSAL_LOST
        most = max(self._most_tries, _MOST_LOST) if lost else self._most_tries
        given_up = [waiting for waiting in out if waiting.tries >= most]
        self._fail(given_up, partial(StreamBroken, self._what, trouble.code, trouble.reason, trouble.errors))
        self._pending.extendleft(waiting for waiting in reversed(out) if waiting.tries < most)

    def _fail_all(self, error: Callable[[], Exception]) -> None:
        for batch in self._out.values():
            self._fail(batch, error)
        self._fail(list(self._pending), error)
        self._out.clear()
        self._pending.clear()

    def _fail(self, waiting: list[_Waiting], error: Callable[[], Exception]) -> None:
        # Each caller gets an exception of its own: a shared one would gather everybody's traceback.
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error())
