"""The real engines for tests: their addresses, or a skip that says what to run; and engines of a test's own to kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from services import addresses, folders, processes, starting
from services.engine import Engine
from services.roster import ENGINES

NOT_THERE = "run `make services` first"


def address_of(name: str) -> str:
    """Address of an engine that answers; else the test that asks is skipped."""
    address = _answering(name)
    if not address:
        pytest.skip(f"{name} does not answer: {NOT_THERE}")
    return address


@cache
def _answering(name: str) -> str:
    (state,) = starting.states({name: ENGINES[name]}, folders.services_dir())
    return "" if state.trouble else state.address


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    return address_of("elasticsearch")


@pytest.fixture(scope="session")
def kafka_brokers() -> str:
    return address_of("kafka")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return address_of("redis")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """The server; tests make databases of their own there."""
    return address_of("postgresql")


@dataclass(frozen=True, slots=True)
class OwnEngine:
    """An engine that one test started for itself, and may stop, kill and start again on the same port and data."""

    name: str
    engine: Engine
    folder: Path
    address: str

    def kill(self) -> None:
        """As a power failure: no chance to write anything. Its port refuses from now on."""
        if (started := processes.read(self.folder / f"{self.name}.pid")) is not None:
            os.killpg(started.pid, signal.SIGKILL)
            processes.wait_gone(started)

    def stop(self) -> None:
        starting.stop({self.name: self.engine}, self.folder)

    def start(self) -> None:
        """Again, where it was."""
        (state,) = starting.start({self.name: self.engine}, self.folder, print, _programs())
        assert not state.trouble, state.trouble
        assert state.address == self.address


@contextmanager
def own_engine(name: str, engine: Engine | None = None) -> Iterator[OwnEngine]:
    """Start an engine of the test's own on a free port, in a folder that goes with it; skip where none is installed."""
    if not addresses.read(folders.services_dir()).get(name):
        pytest.skip(f"{name} is not installed: {NOT_THERE}")
    engine = engine or ENGINES[name]
    folder = Path(tempfile.mkdtemp(prefix="haat-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with _one_at_a_time():
            (state,) = starting.start({name: engine}, folder, print, _programs())
        assert not state.trouble, state.trouble
        yield OwnEngine(name, engine, folder, state.address)
    finally:
        starting.stop({name: engine}, folder)
        shutil.rmtree(folder)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Between looking for a free port and taking it, nobody else looks."""
    with (Path(tempfile.gettempdir()) / "haat-own-engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _programs() -> Path:
    return folders.reachable(folders.services_dir(), folders.account()) / "programs"
