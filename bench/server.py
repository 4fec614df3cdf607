"""How are the measured servers started and stopped? As processes of their own, each pinned to the server's core."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.settings import BenchSettings
from common.errors import BackendUnavailable

ROOT = Path(__file__).resolve().parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: its process, where it listens, and a storefront's key (empty for the echo).

    `other_targets` are further doors to the same service, by the name of their transport.
    """

    pid: int
    target: str
    api_key: str
    other_targets: Mapping[str, str] = field(default_factory=dict)

    def over(self, transport: str) -> ServerProcess:
        """The same server, called through another of its doors."""
        return replace(self, target=self.other_targets[transport])


def start_server(settings: BenchSettings, core: int | None) -> contextlib.AbstractAsyncContextManager[ServerProcess]:
    """The exchange, with its line items loaded, for as long as the block runs."""
    arguments = ("--line-items", str(settings.line_items), "--seed", str(settings.seed))
    return _started((*settings.server_command, *arguments), core, settings.server_start_s)


def start_echo(
    answer_bytes: int, core: int | None, transport: str = "grpcio"
) -> contextlib.AbstractAsyncContextManager[ServerProcess]:
    """A server that answers every call with `answer_bytes` bytes: raw grpcio, the yardstick, or our own transport."""
    words = ("--answer-bytes", str(answer_bytes), "--transport", transport)
    return _started((sys.executable, "-m", "bench.echo", *words), core, 30.0)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far; steps of 10 ms on most machines."""
    # The second field is the command's name in brackets, and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@contextlib.contextmanager
def pinned_to(core: int | None) -> Iterator[None]:
    """Threads and processes started in the block run on `core`; None leaves them where they are."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def _started(command: tuple[str, ...], core: int | None, within_s: float) -> AsyncIterator[ServerProcess]:
    with pinned_to(core):
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        target, api_key, others = await _ready(process, " ".join(command[1:]), within_s)
        yield ServerProcess(process.pid, target, api_key, others)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, command: str, within_s: float) -> tuple[str, str, dict[str, str]]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            while line := await process.stdout.readline():
                words = line.decode("utf-8", "replace").split()
                if words[:1] == ["ready"] and len(words) >= 2:
                    others = dict(word.split("=", 1) for word in words[3:])
                    return words[1], words[2] if len(words) > 2 else "", others
            code = await process.wait()
    except TimeoutError:
        raise BackendUnavailable(f"`{command}` was not ready within {within_s:.0f} s") from None
    raise BackendUnavailable(f"`{command}` ended with code {code} before it was ready: what it said stands above")
