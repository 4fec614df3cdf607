"""How do many batches share one stream to a bidder? Each request has a number, and its answer finds it by that."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
import grpc.aio

from protos import bidder_pb2 as pb

# Requests that were not written yet; a bidder that reads no faster is not owed more memory.
_MOST_WAITING: Final = 256
# How grpc.aio calls it, with INTERNAL, when it writes to a stream that the other side has just ended; why it was ended
# is lost then. A bidder that means INTERNAL says so in other words.
_WRITE_FAILED: Final = "Internal error from Core"

Call = grpc.aio.StreamStreamCall[pb.BidRequest, pb.BidResponse]


class NoStream(Exception):  # caught by the bidder's other way of being asked
    """The bidder does not implement BidStream."""


class NotSent(Exception):  # caught by the bidder, which asks over another stream
    """The stream ended before this request was written to it, so the bidder never saw it; `failure` says how."""

    def __init__(self, failure: grpc.aio.AioRpcError) -> None:
        super().__init__()
        self.failure = failure


class BidStream:
    """One stream; when it has ended it stays so. `call` has just been started."""

    def __init__(self, call: Call) -> None:
        self.ended = False
        self._call = call
        self._number = 0
        self._answers: dict[int, asyncio.Future[pb.BidResponse]] = {}
        self._unsent: set[int] = set()
        self._unwritten: asyncio.Queue[pb.BidRequest] = asyncio.Queue(_MOST_WAITING)
        # Tasks of their own: a call of grpc.aio is cancelled with whoever waits for it to read or to write.
        self._reader = asyncio.create_task(self._read())
        self._writer = asyncio.create_task(self._write())

    async def ask(self, request: pb.BidRequest) -> pb.BidResponse:
        """The answer to this request, which gets its number; AioRpcError when the stream fails, NoStream, NotSent.

        TimeoutError when so many requests wait to be written that this one would be late.
        """
        self._number += 1
        number = request.request_number = self._number
        if self._unwritten.full():
            raise TimeoutError
        answer: asyncio.Future[pb.BidResponse] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._unsent.add(number)
        self._unwritten.put_nowait(request)
        try:
            return await answer
        finally:
            self._answers.pop(number, None)
            self._unsent.discard(number)

    async def close(self) -> None:
        """End the stream; who still waits is told that it was cancelled."""
        self._call.cancel()
        self._writer.cancel()
        await asyncio.wait([self._reader, self._writer])

    async def _write(self) -> None:
        while True:
            request = await self._unwritten.get()
            # Nobody waits any more: its bidder need not think about it.
            if request.request_number not in self._answers:
                continue
            try:
                await self._call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # The reader hears of it, and tells.
            self._unsent.discard(request.request_number)

    async def _read(self) -> None:
        try:
            while isinstance(response := await self._call.read(), pb.BidResponse):
                answer = self._answers.get(response.request_number)
                if answer is not None and not answer.done():
                    answer.set_result(response)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass  # The call's code says what it was.
        self.ended = True
        self._writer.cancel()
        self._call.cancel()
        code = await self._call.code()
        if code == grpc.StatusCode.UNIMPLEMENTED:
            self._tell_all(NoStream(), NoStream())
            return
        # A stream that a bidder ends in good order leaves its questions open all the same.
        broke_off = code == grpc.StatusCode.OK or (
            code == grpc.StatusCode.INTERNAL and await self._call.details() == _WRITE_FAILED
        )
        failure = grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE if broke_off else code, grpc.aio.Metadata(), grpc.aio.Metadata()
        )
        self._tell_all(failure, NotSent(failure))

    def _tell_all(self, of_sent: Exception, of_unsent: Exception) -> None:
        for number, answer in self._answers.items():
            if not answer.done():
                answer.set_exception(of_unsent if number in self._unsent else of_sent)
