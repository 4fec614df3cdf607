"""Does the model serve only when it is surely better, and is that said in words?"""

from __future__ import annotations

import math

import msgspec
import pytest

from ranking.evaluation import Evaluation, PartCount, decide, read_evaluation, written
from ranking.metrics import MEASURES, Measured
from ranking.off_policy import PolicyValue
from ranking.report import summary_lines

VALUE = PolicyValue(Measured(5.0, 1.0, 9.0), Measured(math.nan, math.nan, math.nan), 12, 1)
FIGURES = {name: Measured(0.123456789012, 0.1, 0.2) for name in MEASURES}
EVALUATION = Evaluation(
    parts={"training": PartCount(600, 30), "validation": PartCount(200, 9), "test": PartCount(200, 11)},
    trees=17,
    model=FIGURES,
    prior=FIGURES,
    difference=FIGURES,
    clicks_per_mille_logged=Measured(4.0, 3.0, 5.0),
    clicks_per_mille_model=VALUE,
    clicks_per_mille_prior=VALUE,
    resamples=200,
    serving="prior",
    forced=False,
    sentence="The smoothed rate serves: a reason.",
)


@pytest.mark.parametrize(
    ("difference", "serving", "words"),
    [
        (Measured(-0.02, -0.03, -0.01), "model", "The model serves: its log loss is below"),
        (Measured(-0.02, -0.05, 0.0), "prior", "does not show that the model beats it"),
        (Measured(-0.02, -0.05, 0.01), "prior", "does not show that the model beats it"),
        (Measured(0.02, 0.01, 0.03), "prior", "the model's log loss is above its own"),
        (Measured(math.nan, math.nan, math.nan), "prior", "does not show"),
    ],
)
def test_the_model_serves_only_when_the_whole_interval_is_on_its_side(
    difference: Measured, serving: str, words: str
) -> None:
    chosen, sentence = decide(difference)

    assert chosen == serving
    assert words in sentence


def test_a_forced_model_says_so() -> None:
    chosen, sentence = decide(Measured(0.02, 0.01, 0.03), forced=True)

    assert chosen == "model"
    assert "it was told to" in sentence


def test_an_evaluation_survives_being_written() -> None:
    again = read_evaluation(written(EVALUATION))

    assert again.parts == EVALUATION.parts
    assert again.model["log_loss"].value == 0.1234567890
    assert math.isnan(again.clicks_per_mille_model.snips.value)
    assert written(again) == written(EVALUATION)
    assert b"NaN" not in written(EVALUATION)


def test_something_else_is_no_evaluation() -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_evaluation(b'{"trees": 3}')


def test_the_summary_shows_every_measure_with_its_interval_and_the_sentence() -> None:
    lines = summary_lines(EVALUATION)

    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(MEASURES) + 2
    assert len({len(line) for line in table}) == 1
    assert "log loss (lower)" in table[2]
    assert "0.123457 [0.100000, 0.200000]" in table[2]
    assert "not defined" in table[-1]
    assert lines[0].startswith("Click model of 17 trees; training 600 impressions with 30 clicks")
    assert lines[-1] == EVALUATION.sentence
