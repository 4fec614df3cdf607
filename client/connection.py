"""How does a call reach the server? A channel, the API key on each call, a deadline, another try when it is away."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TypeVar
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.message import Message

from client.backoff import Backoff
from client.errors import failure_of

MAX_SENT_BYTES = 4 << 20
MAX_RECEIVED_BYTES = 32 << 20

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_SENT_BYTES),
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Else all channels of a process to one address share one connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


def new_idempotency_key() -> str:
    """A key for one logical write; every try of that write carries the same."""
    return uuid4().hex


class Connection:
    """One HTTP/2 connection to a haat server, for one API key. Make it inside a running event loop."""

    def __init__(
        self,
        target: str,
        api_key: str,
        *,
        timeout_ms: int = 5_000,
        attempts: int = 3,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        if timeout_ms < 1 or attempts < 1:
            raise ValueError(f"timeout_ms is {timeout_ms} and attempts is {attempts}: both are at least 1")
        self.target = target
        self.metadata = (("x-api-key", api_key),)
        self.timeout_ms = timeout_ms
        self.chance = chance or Random()
        self._attempts = attempts
        self._backoff = Backoff()
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout_ms: int | None = None,
    ) -> ResponseT:
        """The answer; UNAVAILABLE is tried again while the deadline holds. Raises CallFailed and its kinds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout_ms or self.timeout_ms) / 1000
        failures = 0
        while True:
            try:
                left_s = max(deadline - loop.time(), 0.001)
                return await method(request, timeout=left_s, metadata=self.metadata)
            except grpc.aio.AioRpcError as error:
                failures += 1
                wait_s = self._backoff.wait_s(failures, self.chance)
                out_of_time = loop.time() + wait_s >= deadline
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= self._attempts or out_of_time:
                    raise failure_of(f"{type(request).__name__} to {self.target}", error) from None
                await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Let go of the connection; calls still on it are cancelled."""
        await self.channel.close()
