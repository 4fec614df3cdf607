"""Do engines start once, each by itself, and is nothing ended but what was started here?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services import addresses, folders, starting
from services.engine import NotToBeHad, Place

_SERVER = (
    "import socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()[0].close()"
)


class Tiny:
    """An engine that takes connections and says nothing."""

    setting = "redis_url"
    patience_s = 30
    ending = signal.SIGTERM

    def __init__(self, first_port: int, trouble: str = "") -> None:
        self.first_port = first_port
        self.trouble = trouble

    def install(self, programs: Path) -> None:
        if self.trouble:
            raise NotToBeHad(self.trouble)

    def prepare(self, place: Place) -> None:
        place.data.mkdir(parents=True, exist_ok=True)

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-c", _SERVER, str(place.port)], {}

    def version(self, place: Place) -> str:
        socket.create_connection(("127.0.0.1", place.port), 1).close()
        return "1.0"

    def finish(self, place: Place) -> None:
        pass

    def address(self, port: int) -> str:
        return f"tiny://127.0.0.1:{port}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Under an account of its own an engine could not read this interpreter, which may lie in a closed folder.
    monkeypatch.setattr(folders, "account", lambda: None)
    yield tmp_path
    starting.stop({"a": Tiny(0), "b": Tiny(0)}, tmp_path)


@pytest.fixture
def port() -> int:
    """A port that is free, below those that are given to clients."""
    for candidate in range(20_100 + os.getpid() % 5_000, 30_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", candidate)) != 0:
                return candidate
    raise AssertionError("no port is free")


def quietly(_: str) -> None:
    """Tell nobody."""


def test_a_second_start_finds_what_runs_and_a_stop_ends_it(folder: Path, port: int) -> None:
    engines = {"a": Tiny(port)}
    (first,) = starting.start(engines, folder, quietly)
    pid = json.loads((folder / "a.pid").read_text())["pid"]
    (second,) = starting.start(engines, folder, quietly)

    assert first == second
    assert json.loads((folder / "a.pid").read_text())["pid"] == pid
    assert addresses.read(folder) == {"a": first.address}

    starting.stop(engines, folder)

    (state,) = starting.states(engines, folder)
    assert (state.address, state.version) == (first.address, "")
    assert "make services" in state.trouble


def test_one_that_cannot_be_had_says_why_and_the_others_start(folder: Path, port: int) -> None:
    states = starting.start({"a": Tiny(port, "the registry does not answer"), "b": Tiny(port)}, folder, quietly)

    assert [(state.name, state.trouble) for state in states] == [("a", "the registry does not answer"), ("b", "")]
    assert list(addresses.read(folder)) == ["b"]


def test_a_port_in_use_is_passed_over(folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        (state,) = starting.start({"a": Tiny(port)}, folder, quietly)

    assert state.trouble == ""
    assert int(state.address.rpartition(":")[2]) > port


def test_a_process_that_has_the_number_and_is_another_is_left_alone(folder: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    told = {"pid": sleeper.pid, "started": "another boot:1", "port": 1}
    (folder / "a.pid").write_text(json.dumps(told), encoding="utf-8")

    starting.stop({"a": Tiny(0)}, folder)

    assert sleeper.poll() is None
    sleeper.communicate(b"\n")
