"""Which logs do the tests of ranking read? Small ones made here, and the real ones where they can be had."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from common.errors import BackendUnavailable
from ranking import open_bandit
from ranking.settings import TrainingSettings, load_settings

ROOT = Path(__file__).parents[3]
ITEMS = 6

WriteLogs = Callable[..., Path]


def write_log(folder: Path, campaign: str, rows: int, seed: int, signal: bool) -> None:
    """A log of a uniform policy; with `signal` one group of visitors clicks on one category and nobody else does."""
    chance = np.random.default_rng(seed)
    home = folder / campaign
    home.mkdir(parents=True, exist_ok=True)
    with (home / "item_context.csv").open("w", newline="") as out:
        items = csv.writer(out)
        items.writerow(["", "item_id", *(f"item_feature_{k}" for k in range(4))])
        for item in range(ITEMS):
            items.writerow(
                [item, item, round(item / 7 - 0.5, 3), f"a{item % 2:07d}aa", f"b{item % 3:07d}bb", "c0000000cc"]
            )
    with (home / f"{campaign}.csv").open("w", newline="") as out:
        log = csv.writer(out)
        header = ["", "timestamp", "item_id", "position", "click", "propensity_score"]
        header += [f"user_feature_{k}" for k in range(4)]
        log.writerow(header + [f"user-item_affinity_{item}" for item in range(ITEMS)])
        start = datetime(2024, 1, 1, tzinfo=UTC)
        for row in range(rows):
            item, group = int(chance.integers(ITEMS)), int(chance.integers(3))
            rate = (0.3 if group == 1 and item % 2 else 0.02) if signal else 0.06
            at = start + timedelta(milliseconds=int(row * 120_000 + chance.integers(60_000)))
            users = [f"u{group:07d}{'e' * 24}", *(f"v{int(chance.integers(4)):07d}{k}" for k in range(3))]
            affinities = ["1.0" if chance.random() < 0.02 else "0.0" for _ in range(ITEMS)]
            log.writerow(
                [
                    row,
                    at.isoformat(" ", "microseconds"),
                    item,
                    int(chance.integers(1, 4)),
                    int(chance.random() < rate),
                    1 / ITEMS,
                    *users,
                    *affinities,
                ]
            )


@pytest.fixture
def write_logs(tmp_path: Path) -> WriteLogs:
    """Writes made-up logs below a folder of the test and returns it."""

    def write(campaigns: tuple[str, ...] = ("men",), rows: int = 400, seed: int = 1, signal: bool = True) -> Path:
        folder = tmp_path / "logs"
        for place, campaign in enumerate(campaigns):
            write_log(folder, campaign, rows, seed + place, signal)
        return folder

    return write


@pytest.fixture(scope="session")
def settings() -> TrainingSettings:
    """The project's own settings, cut to logs of one section and some thousand rows."""
    own = load_settings(ROOT / "models" / "click" / "training.toml")
    return msgspec.structs.replace(
        own,
        data=msgspec.structs.replace(own.data, sections=("men",)),
        trees=msgspec.structs.replace(
            own.trees, num_iterations=60, learning_rate=0.1, min_data_in_leaf=40, min_data_per_group=40, cat_smooth=5.0
        ),
        evaluation=msgspec.structs.replace(own.evaluation, bootstrap_resamples=200),
    )


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The Open Bandit logs: the folder in HAAT_OPEN_BANDIT, or fetched into var/data."""
    given = os.environ.get("HAAT_OPEN_BANDIT")
    if given:
        return Path(given)
    try:
        return open_bandit.fetch(ROOT / "var" / "data")
    except BackendUnavailable as trouble:
        pytest.skip(f"needs the Open Bandit logs ({trouble}); with a network, `haat train` fetches them")
