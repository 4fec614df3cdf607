from __future__ import annotations

from pathlib import Path

from tests.simulation.kills import kill_again_and_again


def test_a_process_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = kill_again_and_again(tmp_path, kills=10, seed=20260305)

    assert report.kills == 10
    # The kills met a process at work.
    assert report.accepted > 0
    assert report.open_ads > 0
