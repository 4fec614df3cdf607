"""Where do calls come in? A listening socket, its connections, TLS, and an end that fails no call."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence

import grpc

from app.http2.connection import Connection
from app.http2.limits import Buffer, Limits
from app.http2.methods import Methods

_SWEEP_S = 1.0
_BACKLOG = 2048


class Door:
    """What the connections of one server share."""

    def __init__(self, handlers: Sequence[grpc.GenericRpcHandler], limits: Limits) -> None:
        self.methods = Methods(handlers)
        self.limits = limits
        self.buffer = Buffer()
        self.connections: set[Connection] = set()
        self.closed = False
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    def enter(self, connection: Connection) -> bool:
        """May one more connection come in?"""
        if self.closed or len(self.connections) >= self.limits.connections or not _speaks_h2(connection):
            return False
        self.connections.add(connection)
        self._empty.clear()
        return True

    def leave(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def empty(self) -> None:
        """Until the last connection has ended."""
        await self._empty.wait()


class Http2Server:
    """Serves generic gRPC handlers on one socket. Make it inside the running loop that it is to serve in."""

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        # The library's lines at level debug hold header fields, and so API keys.
        logging.getLogger("hpack").setLevel(logging.WARNING)
        self._listener = listener
        self._tls = tls
        self._door = Door(handlers, limits or Limits())
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.port: int = listener.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._door.connections)

    async def start(self) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._door),
            sock=self._listener,
            ssl=self._tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=None if self._tls is None else self._door.limits.preface_s,
        )
        self._sweep()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, let those that are here finish within `grace_s`, and close."""
        self._door.closed = True
        if self._server is not None:
            self._server.close()
        else:
            self._listener.close()
        for connection in list(self._door.connections):
            connection.go_away()
        try:
            async with asyncio.timeout(grace_s):
                await self._door.empty()
        except TimeoutError:
            for connection in list(self._door.connections):
                connection.transport.abort()
            await self._door.empty()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep)
        now_s = loop.time()
        for connection in list(self._door.connections):
            connection.sweep(now_s)


def _speaks_h2(connection: Connection) -> bool:
    session = connection.transport.get_extra_info("ssl_object")
    return session is None or session.selected_alpn_protocol() == "h2"
