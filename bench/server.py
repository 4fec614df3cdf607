"""How are the measured servers started and stopped? As processes of their own, each pinned to the server's core."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.settings import BenchSettings
from common.errors import BackendUnavailable

ROOT = Path(__file__).resolve().parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: its process, where it listens, and a storefront's key (empty for the echo)."""

    pid: int
    target: str
    api_key: str


def start_server(settings: BenchSettings, core: int | None) -> contextlib.AbstractAsyncContextManager[ServerProcess]:
    """The exchange, with its line items loaded, for as long as the block runs."""
    arguments = ("--line-items", str(settings.line_items), "--seed", str(settings.seed))
    return _started((*settings.server_command, *arguments), core, settings.server_start_s)


def start_echo(answer_bytes: int, core: int | None) -> contextlib.AbstractAsyncContextManager[ServerProcess]:
    """A raw grpcio server that answers every call with `answer_bytes` bytes."""
    return _started((sys.executable, "-m", "bench.echo", "--answer-bytes", str(answer_bytes)), core, 30.0)


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
        target, api_key = await _ready(process, " ".join(command[1:]), within_s)
        yield ServerProcess(process.pid, target, api_key)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, command: str, within_s: float) -> tuple[str, str]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            while line := await process.stdout.readline():
                words = line.decode("utf-8", "replace").split()
                if words[:1] == ["ready"] and len(words) >= 2:
                    return words[1], words[2] if len(words) > 2 else ""
            code = await process.wait()
    except TimeoutError:
        raise BackendUnavailable(f"`{command}` was not ready within {within_s:.0f} s") from None
    raise BackendUnavailable(f"`{command}` ended with code {code} before it was ready: what it said stands above")
