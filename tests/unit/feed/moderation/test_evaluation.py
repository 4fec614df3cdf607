"""Are classifiers judged on what they never saw, and does the report say it?"""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from feed.moderation import evaluation, report, training
from feed.moderation.evaluation import CheckTimes, Evaluation
from feed.moderation.training import threshold_for
from feed.verdict import Label
from tests.moderation_texts import a_corpus, quick_settings

TIMES = CheckTimes(10, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 7.0)


@pytest.fixture(scope="module")
def trained() -> training.Trained:
    return training.train(a_corpus(), quick_settings())


def judge(trained: training.Trained, *, trained_on_these: bool) -> Evaluation:
    return evaluation.evaluate(
        trained.classifiers, a_corpus(), quick_settings(), trained_on_these=trained_on_these, times=TIMES
    )


@pytest.mark.slow
def test_the_test_part_alone_is_judged_and_told(trained: training.Trained) -> None:
    found = judge(trained, trained_on_these=True)
    parts = training.parts_of(a_corpus(), quick_settings())

    offensive = found.labels[Label.OFFENSIVE]
    assert offensive.texts == sum(Label.OFFENSIVE in one.is_ for one in parts["test"])
    assert offensive.model["recall"].value > 0.9
    assert offensive.model["precision"].low <= offensive.model["precision"].value <= offensive.model["precision"].high
    assert set(found.unseen_video) == {"page 0", "page 1", "page 2"}
    assert len(found.robustness) == 16
    assert json.loads(evaluation.written(found))["times"]["longest_text_ms"] == 7.0
    words = report.text(trained.manifest, found)
    for heading in ("By label", "Fairness", "By term", "Disguises", "Time"):
        assert f"# {heading}" in words
    assert "| gay | sexuality |" in words


@pytest.mark.slow
def test_texts_that_were_not_trained_on_are_all_judged(trained: training.Trained) -> None:
    found = judge(trained, trained_on_these=False)

    assert found.labels[Label.CLICKBAIT].texts == found.data["moderation_clickbait"]
    assert found.unseen_video == {}
    assert "None of these files was trained on" in report.text(trained.manifest, found)


@pytest.mark.parametrize(("base_rate", "threshold"), [(0.0, 0.6), (0.1, 0.8)])
def test_a_threshold_is_the_lowest_that_keeps_its_precision_at_its_base_rate(
    base_rate: float, threshold: float
) -> None:
    asked = msgspec.structs.replace(quick_settings().labels[Label.SPAM], precision=0.8, base_rate=base_rate)
    chances = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    known = np.array([1, 1, 0, 1, 0, 0, 0, 0], np.int8)

    # At 0.6: 3 of 3 found, 1 of 5 wrong. At the data's rate that is 3 of 4.
    low = msgspec.structs.replace(asked, precision=0.75) if base_rate == 0.0 else asked
    assert threshold_for(chances, known, np.zeros(0), low) == threshold


def test_everyday_texts_raise_a_threshold_and_none_reaches_the_impossible() -> None:
    asked = quick_settings().labels[Label.SPAM]
    chances, known = np.array([0.9, 0.8, 0.1]), np.array([1, 1, 0], np.int8)

    assert threshold_for(chances, known, np.zeros(0), asked) == 0.8
    assert threshold_for(chances, known, np.array([0.85, 0.2]), asked) == 0.9
    assert threshold_for(chances, known, np.array([0.95, 0.2]), asked) == pytest.approx(0.975)
