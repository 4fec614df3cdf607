"""Does the hybrid hold on real logs what its report says? Only where HAAT_DATA names a folder that has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends import orders_duckdb
from backends.neighbours_exact import ExactNeighbours
from feed.recommender.evaluation import evaluate
from feed.recommender.feedback import DAY_MS
from feed.recommender.settings import load_training
from feed.recommender.windows import end_of
from tests.recommender_builders import SETTINGS

ORDERS = Path(os.environ.get("HAAT_DATA", "")) / "online_retail" / "year1.parquet"


@pytest.mark.slow
@pytest.mark.skipif(
    not ORDERS.is_file(), reason="run with HAAT_DATA=FOLDER, a folder that holds online_retail/year1.parquet"
)
def test_the_hybrid_beats_every_plain_one_on_a_months_orders() -> None:
    training = load_training(SETTINGS)
    log = orders_duckdb.read([ORDERS])
    now_ms = end_of(log) - round(training.blend.window_days * DAY_MS)

    evaluation = evaluate("orders", log, now_ms, training, ExactNeighbours, lambda _: None)

    for task in evaluation.tasks:
        assert task.ndcg_gain.low > 0, task.sentence
