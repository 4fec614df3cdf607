"""In a process of its own: the harness forks, which must not happen beside the threads of other tests."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_loses_and_doubles_nothing(kills: int) -> None:
    command = [sys.executable, "-m", "tests.simulation.kills", "--kills", str(kills), "--seed", "20260305"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(word.split("=") for word in done.stdout.splitlines()[-1].split())
    assert counts["kills"] == str(kills)
    # The kills met a process at work.
    assert int(counts["accepted"]) > 0
    assert int(counts["open_ads"]) > 0
    assert int(counts["told"]) > 0
