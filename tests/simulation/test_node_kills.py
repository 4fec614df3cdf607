"""In a process of its own: the harness forks, which must not happen beside the threads of other tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.databases import empty_database


def killed(kills: int, *more: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.simulation.node_kills", "--kills", str(kills), "--seed", "2", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(word.split("=") for word in done.stdout.splitlines()[-1].split())


@pytest.mark.slow
def test_nodes_that_are_killed_overspend_nothing_and_lose_nothing() -> None:
    counts = killed(6)
    # They were met at work, and one was written off.
    assert int(counts["accepted"]) > 0
    assert int(counts["written_off"]) > 0


@pytest.mark.services
def test_the_same_over_postgresql() -> None:
    with empty_database() as url:
        assert int(killed(6, "--database", url)["accepted"]) > 0
