"""How is the auction reached by OpenRTB over gRPC? haat.openrtb.v1.OpenRtb: one request, or a stream of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, cast

import grpc
import grpc.aio
import msgspec

from accounts.grpc_edge import Context, abort, caller
from accounts.ports import ApiKeys
from common.errors import HaatError
from exchange.openrtb.auctions import OpenRtbAuctions
from exchange.openrtb.non_bids import NoBid
from exchange.openrtb.problems import InvalidRequest, one_problem
from exchange.openrtb.protobuf import request_from_bytes, response_to_bytes
from exchange.openrtb.publishers import ROLES
from exchange.openrtb.signals import FromConnection

SERVICE: Final = "haat.openrtb.v1.OpenRtb"
# Requests of one stream that are answered at the same time; beyond that the stream is read no further.
STREAM_WINDOW: Final = 256

_log = logging.getLogger(__name__)


class OpenRtbCalls:
    """The calls of the service, over the core that HTTP has too."""

    def __init__(self, auctions: OpenRtbAuctions, keys: ApiKeys, *, max_bytes: int) -> None:
        self._auctions = auctions
        self._keys = keys
        self._max_bytes = max_bytes

    def handlers(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Auction": grpc.unary_unary_rpc_method_handler(cast(Any, self._auction)),
                "StreamAuctions": grpc.stream_stream_rpc_method_handler(cast(Any, self._stream)),
            },
        )

    async def _auction(self, data: bytes, context: Context) -> bytes:
        try:
            return await self._answer(self._read(data), self._tenant(context))
        except HaatError as error:
            refused = error
        except Exception:
            _log.exception("an OpenRTB call failed")
            refused = HaatError("haat made a mistake of its own; its log says where")
        await abort(context, refused)

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        try:
            tenant_id = self._tenant(context)
        except HaatError as error:
            await abort(context, error)
        done: asyncio.Queue[bytes | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)
        running: set[asyncio.Task[None]] = set()

        async def hold(data: bytes) -> None:
            try:
                done.put_nowait(await self._stream_answer(data, tenant_id))
            finally:
                window.release()

        async def read() -> None:
            try:
                async for data in requests:
                    await window.acquire()
                    task = asyncio.create_task(hold(data))
                    running.add(task)
                    task.add_done_callback(running.discard)
                if running:
                    await asyncio.wait(running)
            finally:
                done.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (answer := await done.get()) is not None:
                yield answer
            await reader
        finally:
            reader.cancel()

    async def _stream_answer(self, data: bytes, tenant_id: str) -> bytes:
        """Every request of a stream is answered, by its id as far as that can be read."""
        request: dict[str, Any] = {}
        try:
            request = self._read(data)
            return await self._answer(request, tenant_id)
        except InvalidRequest as error:
            refused = {"nbr": int(NoBid.INVALID_REQUEST), "ext": {"errors": msgspec.to_builtins(error.problems)}}
        except HaatError as error:
            refused = {"nbr": int(NoBid.TECHNICAL_ERROR), "ext": {"error": str(error)}}
        except Exception:
            _log.exception("a request of an OpenRTB stream failed")
            refused = {"nbr": int(NoBid.TECHNICAL_ERROR)}
        request_id = request.get("id")
        return response_to_bytes({"id": request_id if type(request_id) is str else "", **refused})

    def _read(self, data: bytes) -> dict[str, Any]:
        if len(data) > self._max_bytes:
            raise one_problem("", f"{len(data)} bytes", f"send at most {self._max_bytes}", "2.3")
        return request_from_bytes(data)

    async def _answer(self, request: dict[str, Any], tenant_id: str) -> bytes:
        problems = self._auctions.read(request)
        answered = await self._auctions.answer(request, problems, tenant_id, FromConnection())
        return response_to_bytes(answered.response)

    def _tenant(self, context: Context) -> str:
        metadata = cast("Iterable[tuple[str, str | bytes]] | None", context.invocation_metadata())
        return caller(self._keys, metadata, *ROLES).tenant_id
