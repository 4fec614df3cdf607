"""Does the doctor find what is missing, in bounded time, without a password, and without changing anything?"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import doctor
from app.cli import main
from backends.probing import Finding, clock

DEAD = {
    "database_url": "postgresql://haat:hunter2@127.0.0.1:{port}/haat?connect_timeout=1",
    "elasticsearch_url": "http://haat:hunter2@127.0.0.1:{port}",
    "redis_url": "redis://haat:hunter2@127.0.0.1:{port}/0",
    "kafka_brokers": "127.0.0.1:{port}",
}


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def diagnosed(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, str, dict[str, str]]:
    """(exit code, all that was printed, the worst state of each thing)."""
    free = ["--set", "grpc_port=0", "--set", "http_port=0"]
    code = main(["doctor", "--data-dir", str(folder), "--json", *free, *words])
    out = capsys.readouterr()
    worst: dict[str, str] = {}
    for finding in json.loads(out.out)["findings"]:
        if worst.get(finding["what"]) != "missing":
            worst[finding["what"]] = finding["state"]
    return code, out.out + out.err, worst


def test_an_embedded_haat_is_well_and_nothing_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, found = diagnosed(capsys, tmp_path / "haat")

    assert code == 0
    assert {"data folder", "disk", "clock"} <= set(found)
    assert not {"PostgreSQL", "Redis", "Kafka", "Elasticsearch"} & set(found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("setting", DEAD)
@pytest.mark.parametrize("port", ["dead_port", "silent_port"])
def test_an_engine_that_is_gone_or_silent_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, request: pytest.FixtureRequest, setting: str, port: str
) -> None:
    address = DEAD[setting].format(port=request.getfixturevalue(port))

    code, printed, found = diagnosed(
        capsys, tmp_path, "--set", f"{setting}={address}", "--set", "database_connect_timeout_s=1"
    )

    assert code == 1
    assert "missing" in found.values()
    assert "hunter2" not in printed


def test_a_look_that_never_ends_is_told_of_and_not_waited_for() -> None:
    for_ever = threading.Event()

    def hangs() -> list[Finding]:
        for_ever.wait()
        return []

    (found,) = doctor.examine({"Redis": hangs}, 0.05)
    for_ever.set()

    assert (found.what, found.state) == ("Redis", "missing")


def test_a_mistake_of_ours_in_one_look_leaves_the_others() -> None:
    def broken() -> list[Finding]:
        raise RuntimeError("postgresql://haat:hunter2@h/d")

    found = doctor.examine({"a": broken, "b": lambda: [Finding("b", "ok", "")]}, 5)

    assert [(one.what, one.state) for one in found] == [("a", "missing"), ("b", "ok")]
    assert "hunter2" not in str(found)


def test_a_folder_that_cannot_be_written_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    code, _, found = diagnosed(capsys, tmp_path / "file")

    assert (code, found["data folder"]) == (1, "missing")


def test_a_port_in_use_is_noted(capsys: pytest.CaptureFixture[str], tmp_path: Path, silent_port: int) -> None:
    code, _, found = diagnosed(capsys, tmp_path, "--set", f"grpc_port={silent_port}")

    assert (code, found[f"port {silent_port} (gRPC)"]) == (0, "note")


def test_clocks_apart_are_missing_and_clocks_alike_are_not() -> None:
    assert clock("Redis", 100.0, 101.5).state == "ok"
    assert clock("Redis", 100.0, 103.0).state == "missing"


@pytest.mark.services
def test_running_engines_are_found_with_their_versions(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    postgresql_url: str,
    elasticsearch_url: str,
    redis_url: str,
    kafka_brokers: str,
) -> None:
    words = [
        *("--set", f"database_url={postgresql_url}", "--set", f"elasticsearch_url={elasticsearch_url}"),
        *("--set", f"redis_url={redis_url}", "--set", f"kafka_brokers={kafka_brokers}"),
    ]

    code, _, found = diagnosed(capsys, tmp_path, *words)

    assert code == 0
    assert {found[name] for name in ("PostgreSQL", "Elasticsearch", "Redis", "Kafka", "clock")} == {"ok"}
    assert set(found) > {"schema", "topics", "index templates"}
