"""Redis servers of a test's own, on free ports, to be killed, promoted and made a Cluster of; ended with the test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.services.engines import NOT_THERE

_PATIENCE_S = 30


class Servers:
    """Starts servers and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, *options: str, config: str | None = None) -> int:
        """One more server, which answers; its port. `config` is the text of the file of a Sentinel."""
        port = free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        words = ["redis-server"]
        if config is not None:
            (folder / "sentinel.conf").write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\n{config}")
            words += [str(folder / "sentinel.conf"), "--sentinel"]
        else:
            words += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
        log = (folder / "log").open("wb")
        self._running[port] = subprocess.Popen(words, stdout=log, stderr=log)
        log.close()
        until(lambda: bool(self.client(port).ping()))
        return port

    def client(self, port: int) -> Redis:
        return Redis("127.0.0.1", port, protocol=2, socket_timeout=5)

    def ask(self, port: int, *words: str | int) -> Any:
        return cast(Any, self.client(port)).execute_command(*words)

    def kill(self, port: int) -> None:
        """As a power failure."""
        self._running[port].kill()
        self._running[port].wait()

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@contextmanager
def redis_servers() -> Iterator[Servers]:
    if shutil.which("redis-server") is None:
        pytest.skip(f"redis-server is not installed: {NOT_THERE}")
    folder = Path(tempfile.mkdtemp(prefix="haat-redis-"))
    servers = Servers(folder)
    try:
        yield servers
    finally:
        servers.end()
        shutil.rmtree(folder)


def until(holds: Callable[[], bool]) -> None:
    """Wait for what must come; fails after half a minute."""
    end = monotonic() + _PATIENCE_S
    while True:
        with suppress(RedisError, OSError):
            if holds():
                return
        assert monotonic() < end, "it did not come about"
        sleep(0.02)


def free_port() -> int:
    """A port whose bus port of a Cluster (10,000 above) is free too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = int(found.getsockname()[1])
        if port > 50_000:
            continue
        with suppress(OSError), socket.create_server(("127.0.0.1", port + 10_000)):
            return port
