"""A haat that really runs: a process of its own, on free ports, in a folder that goes away."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import pytest

from app.demo_keys import DemoKeys, make_keys

_SAYS = re.compile(r"haat serves gRPC on (\S+) and HTTP on http://(\S+)")


T = TypeVar("T")
_WITHIN_S = 20.0


def until(ask: Callable[[], T]) -> T:
    """The first answer that is not empty; what follows the log is a moment behind."""
    ends = time.monotonic() + _WITHIN_S
    while not (found := ask()):
        assert time.monotonic() < ends, "nothing came"
        time.sleep(0.1)
    return found


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

    def metric(self, name: str) -> float:
        """A metric by its name, with its labels; 0 where there is none."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=30) as page:
            found = re.search(rf"^{re.escape(name)} (\S+)$", page.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0


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
    """Start `haat serve` over a folder; flags are given as keywords, other settings in `set_`."""

    def over(set_: Mapping[str, str] = MappingProxyType({}), **flags: str) -> contextlib.AbstractContextManager[Served]:
        return served(Path(flags.pop("data_dir", str(data_dir))), tmp_path, set_, **flags)

    return over


@contextlib.contextmanager
def served(
    data_dir: Path, logs: Path, set_: Mapping[str, str] = MappingProxyType({}), **flags: str
) -> Iterator[Served]:
    """`haat serve` over a folder, its log in another."""
    settings = {"data_dir": str(data_dir), "grpc_port": "0", "http_port": "0", "log_format": "json", **flags}
    # Posts of these tests are not what is checked, and show pictures of anywhere.
    feed = ["--set", "unchecked_posts=show", "--set", "picture_hosts=*"]
    feed += [word for name, value in set_.items() for word in ("--set", f"{name}={value}")]
    words = [word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), value)]
    log = logs / f"serve-{len(list(logs.glob('serve-*')))}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "app", "serve", *feed, *words],
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
