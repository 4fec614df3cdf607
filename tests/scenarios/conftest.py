"""A haat that really runs: a process of its own, on free ports, in a folder that goes away."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys, make_keys

_SAYS = re.compile(r"haat serves gRPC on (\S+) and HTTP on http://(\S+)")


@dataclass
class Served:
    """A running `haat serve`."""

    process: subprocess.Popen[str]
    target: str
    http: str
    data_dir: Path
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


Serve = Callable[..., contextlib.AbstractContextManager[Served]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "haat"


@pytest.fixture
def keys(data_dir: Path) -> DemoKeys:
    """A shop, an operator and two brands."""
    return make_keys(data_dir, ["First brand", "Second brand"])


@pytest.fixture
def serve(data_dir: Path, tmp_path: Path) -> Serve:
    """Start `haat serve` over the test's folder; flags are given as keywords."""

    @contextlib.contextmanager
    def start(**flags: str) -> Iterator[Served]:
        settings = {"data_dir": str(data_dir), "grpc_port": "0", "http_port": "0", "log_format": "json", **flags}
        words = [word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), value)]
        log = tmp_path / f"serve-{len(list(tmp_path.glob('serve-*')))}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", "app", "serve", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("HAAT_")},
            )
        try:
            assert process.stdout is not None
            said = _SAYS.search(process.stdout.readline())
            if said is None:
                process.wait(30)
                raise AssertionError(f"haat serve did not start: {log.read_text()[-2000:]}")
            yield Served(process, said[1], said[2], data_dir, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    return start
