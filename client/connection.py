"""How does a call reach the server? A channel, the API key on each call, a deadline, another try when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Self, TypeVar, cast
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.message import Message

from client.addresses import SeveralChannels, split
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
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Else all channels of a process to one address share one connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

# gRPC's name of how long one try to connect may take; a busy server may be slow to greet.
_CONNECT_TIMEOUT_MS = "grpc.min_reconnect_backoff_ms"
_ALONE_MS, _BESIDE_OTHERS_MS = 5_000, 1_000

_UNTIL_THE_DEADLINE = 1 << 30

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


def new_idempotency_key() -> str:
    """A key for one logical write; every try of that write carries the same."""
    return uuid4().hex


class Connection:
    """A connection to a haat server, for one API key. Make it inside a running event loop.

    `target` may be several addresses of nodes of one exchange, as a list or with commas: when one is away, or stops, a
    call is tried at the next one.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        api_key: str,
        *,
        timeout_ms: int = 5_000,
        attempts: int = 3,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        if timeout_ms < 1 or attempts < 1:
            raise ValueError(f"timeout_ms is {timeout_ms} and attempts is {attempts}: both are at least 1")
        targets = split(target)
        self.target = ",".join(targets)
        self.metadata = (("x-api-key", api_key),)
        self.timeout_ms = timeout_ms
        self.chance = chance or Random()
        self._attempts = attempts
        self._backoff = Backoff()
        options = (*_OPTIONS, (_CONNECT_TIMEOUT_MS, _ALONE_MS if len(targets) == 1 else _BESIDE_OTHERS_MS))
        self.channels = SeveralChannels(
            [
                grpc.aio.insecure_channel(one, options=options)
                if credentials is None
                else grpc.aio.secure_channel(one, credentials, options=options)
                for one in targets
            ]
        )
        if len(targets) > 1:
            # One of them comes back: only the deadline ends it.
            self._attempts = _UNTIL_THE_DEADLINE
        self.channel = cast(grpc.aio.Channel, self.channels)

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
            at = self.channels.at
            try:
                left_s = max(deadline - loop.time(), 0.001)
                return await method(request, timeout=left_s, metadata=self.metadata)
            except grpc.aio.AioRpcError as error:
                failures += 1
                self.channels.move_on(at)
                # Another address is asked at once; waiting begins when all of them were away.
                rounds, others_left = divmod(failures, len(self.channels))
                wait_s = 0.0 if others_left else self._backoff.wait_s(rounds, self.chance)
                out_of_time = loop.time() + wait_s >= deadline
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= self._attempts or out_of_time:
                    raise failure_of(f"{type(request).__name__} to {self.target}", error) from None
                await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Let go of the connection; calls still on it are cancelled."""
        await self.channel.close()


class OverConnection:
    """What has one connection, and lets go of it by `close` or at the end of `async with`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
