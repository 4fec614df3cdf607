"""In processes of their own, as tests/simulation/test_kills.py."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.services
def test_eight_clients_at_two_nodes_spend_one_budget_and_no_more(redis_url: str) -> None:
    command = [sys.executable, "-m", "tests.simulation.shared_budget", "--redis", redis_url, "--seeds", "2"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"overspent in all ([\d.,]+); unspent: median [\d.,]+, most ([\d.,]+)", done.stdout)
    assert found is not None, done.stdout
    assert found[1] == "0.00"
    # The budget was spent, so that there was something to overspend.
    assert float(found[2].replace(",", "")) < 50
