"""How is the whole exchange paused and resumed? OperationsService over its switch."""

from __future__ import annotations

import asyncio

import grpc
import msgspec

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from exchange.campaigns import Write
from exchange.pause import ExchangePause, SwitchState
from protos import operations_pb2

SERVICE = operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
ROLES = ("operator",)


class OperationsServer:
    """OperationsService."""

    def __init__(self, *, pause: ExchangePause, keys: ApiKeys) -> None:
        self._pause = pause
        self._keys = keys

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "PauseExchange": (operations_pb2.PauseExchangeRequest, self.pause),
            "ResumeExchange": (operations_pb2.ResumeExchangeRequest, self.resume),
            "GetExchangeState": (operations_pb2.GetExchangeStateRequest, self.state),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def pause(
        self, request: operations_pb2.PauseExchangeRequest, caller: Caller, _: Context
    ) -> operations_pb2.ExchangeState:
        """Sell nothing from now on."""
        write = Write(caller, caller.tenant_id, request.idempotency_key)
        return _state(await asyncio.to_thread(lambda: self._pause.turn(write, paused=True, reason=request.reason)))

    async def resume(
        self, request: operations_pb2.ResumeExchangeRequest, caller: Caller, _: Context
    ) -> operations_pb2.ExchangeState:
        """Sell again."""
        write = Write(caller, caller.tenant_id, request.idempotency_key)
        return _state(await asyncio.to_thread(lambda: self._pause.turn(write, paused=False)))

    async def state(
        self, request: operations_pb2.GetExchangeStateRequest, caller: Caller, _: Context
    ) -> operations_pb2.ExchangeState:
        """How the switch stands."""
        return _state(self._pause.state)


def _state(state: SwitchState) -> operations_pb2.ExchangeState:
    return operations_pb2.ExchangeState(**msgspec.structs.asdict(state))
