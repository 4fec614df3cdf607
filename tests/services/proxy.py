"""A TCP proxy on loopback that can be cut, stalled and slowed: how tests make faults, without touching the engine."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

Way = asyncio.Queue[tuple[float, bytes]]


class Proxy:
    """Stands before one server; all its methods may be called from any thread, and hold when they return."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = host, port
        self._tls = tls
        # Of what goes to the server, and of what comes from it.
        self._there_s, self._back_s = 0.0, 0.0
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self.accepted = 0
        """Connections taken since the start."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        first = _bound(0)
        self.host, self.port = first.getsockname()
        self._do(self._listen(first))

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def before(self, url: str) -> str:
        """The same address, led through the proxy."""
        if "://" not in url:
            return self.address
        parts = urlsplit(url)
        user, has_user, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{has_user}{self.address}").geturl()

    def cut(self) -> None:
        """The server is gone: open connections break, new ones are refused."""
        self._do(self._cut())

    def stall(self) -> None:
        """The server hangs: connections stay open and are taken, and not a byte passes."""
        self._do(self._set(stalled=True))

    def slow(self, delay_ms: int, *, there_ms: int = 0) -> None:
        """Every answer arrives so much later, and every question too by `there_ms`; order and throughput stay."""
        self._do(self._set(there_s=there_ms / 1000, back_s=delay_ms / 1000))

    def heal(self) -> None:
        """All is as it was; what was stalled passes now."""
        self._do(self._heal())

    def close(self) -> None:
        """End it and all its connections."""
        self._do(self._cut())
        if self._reserved is not None:
            self._reserved.close()
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, task: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(task, self._loop).result(10)

    async def _listen(self, bound: socket.socket) -> None:
        self._server = await asyncio.start_server(self._connected, sock=bound, ssl=self._tls)

    async def _set(self, *, stalled: bool = False, there_s: float = 0.0, back_s: float = 0.0) -> None:
        self._there_s, self._back_s = there_s, back_s
        if stalled:
            self._flows.clear()
        else:
            self._flows.set()

    async def _cut(self) -> None:
        if self._server is not None:
            # The port stays ours, and refuses, because this socket never listens.
            self._reserved = _bound(self.port)
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            with suppress(OSError):
                # A reset, as from a machine that was turned off and on again, and not an orderly end.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()

    async def _heal(self) -> None:
        await self._set()
        if self._server is None and self._reserved is not None:
            bound, self._reserved = self._reserved, None
            await self._listen(bound)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(server_writer)
        self._pass(reader, server_writer, lambda: self._there_s)
        self._pass(server_reader, writer, lambda: self._back_s)

    def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: Callable[[], float]) -> None:
        way: Way = asyncio.Queue(256)
        self._spawn(self._read(reader, way, delay_s))
        self._spawn(self._write(way, writer))

    async def _read(self, reader: asyncio.StreamReader, way: Way, delay_s: Callable[[], float]) -> None:
        data = b"more"
        while data:
            try:
                data = await reader.read(65_536)
            except OSError:
                data = b""
            await way.put((self._loop.time() + delay_s(), data))

    async def _write(self, way: Way, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                due, data = await way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flows.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@contextmanager
def proxy_before(address: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy before `host:port` or a URL, closed at the end; with `tls` it is spoken to through TLS."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port, tls)
    try:
        yield proxy
    finally:
        proxy.close()


def _bound(port: int) -> socket.socket:
    """A socket that is bound and does not listen; several may be bound to one port, the one that listens gets all."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", port))
    return found
