"""Which processes does the demo run? The server and an outside bidder, started, watched and ended by their own ids."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from app.settings import environment_with
from common.errors import BackendUnavailable

_START_S = 120.0
_END_S = 20.0


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    ready: Callable[[str], str | None],
    log: Path,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[str]:
    """Run `python -m …` until the block ends, then SIGTERM. Yields what `ready` found in its standard output.

    `more` are variables of its environment beside ours.

    BackendUnavailable with the end of its log when it does not come up.
    """
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment_with(more),
            # A Ctrl-C on the terminal goes to the demo, which ends its processes in order.
            start_new_session=True,
        )
        try:
            yield _wait_until_ready(name, process, ready, log)
        finally:
            _end(process)


def _wait_until_ready(name: str, process: subprocess.Popen[str], ready: Callable[[str], str | None], log: Path) -> str:
    found: list[str] = []
    came_up = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                if not found and (address := ready(line)) is not None:
                    found.append(address)
                    came_up.set()
        came_up.set()

    threading.Thread(target=read, name=f"{name}-output", daemon=True).start()
    if not came_up.wait(_START_S) or not found:
        last = " / ".join(log.read_text().splitlines()[-5:])
        raise BackendUnavailable(f"{name} did not start: {last or 'it said nothing'}; its log is {log}")
    return found[0]


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
