"""Does the model beat the smoothed rate, and which of the two shall serve? Judged on what neither has seen."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.examples import Examples
from ranking.metrics import Measured, compare
from ranking.off_policy import PolicyValue, logged_value, policy_value
from ranking.settings import EvaluationSettings

Serving = Literal["model", "prior"]


class PartCount(msgspec.Struct, frozen=True):
    """How much a part of the logs holds."""

    impressions: int
    clicks: int


class Evaluation(msgspec.Struct, frozen=True):
    """All figures of the test part. `difference` is model - prior; `sentence` says which serves, and why."""

    parts: dict[str, PartCount]
    trees: int
    model: dict[str, Measured]
    prior: dict[str, Measured]
    difference: dict[str, Measured]
    clicks_per_mille_logged: Measured
    clicks_per_mille_model: PolicyValue
    clicks_per_mille_prior: PolicyValue
    resamples: int
    serving: Serving
    forced: bool
    sentence: str


def judge(
    examples: Examples,
    rows: NDArray[np.intp],
    parts: dict[str, PartCount],
    trees: int,
    model: NDArray[np.float64],
    prior: NDArray[np.float64],
    settings: EvaluationSettings,
    forced: bool = False,
) -> Evaluation:
    """Measure both on `rows`; `model` and `prior` are chances of every product there, float64 [rows, products].

    The model serves when the whole 95 % interval of the difference in log loss is on its side, or when it is forced.
    """
    clicks, weights, shown = examples.click[rows], examples.weight[rows], examples.product[rows]
    at = np.arange(len(rows))
    resamples, seed = settings.bootstrap_resamples, settings.seed
    of_model, of_prior, difference = compare(clicks, model[at, shown], prior[at, shown], weights, resamples, seed)

    values = [
        policy_value(clicks, examples.propensity[rows], _choice(examples, rows, chances) == shown, resamples, seed)
        for chances in (model, prior)
    ]
    serving, sentence = decide(difference["log_loss"], forced)
    return Evaluation(
        parts=parts,
        trees=trees,
        model=of_model,
        prior=of_prior,
        difference=difference,
        clicks_per_mille_logged=logged_value(clicks, resamples, seed),
        clicks_per_mille_model=values[0],
        clicks_per_mille_prior=values[1],
        resamples=resamples,
        serving=serving,
        forced=forced,
        sentence=sentence,
    )


def decide(difference: Measured, forced: bool = False) -> tuple[Serving, str]:
    """Which serves, and the sentence that says why; `difference` is the model's log loss minus the prior's."""
    interval = f"{difference.value:+.6f}, 95 % interval {difference.low:+.6f} to {difference.high:+.6f}"
    if forced:
        return (
            "model",
            f"The model serves because it was told to, whatever its quality (log loss against the prior {interval}).",
        )
    if difference.high < 0.0:
        return "model", f"The model serves: its log loss is below the smoothed rate's ({interval})."
    if difference.low > 0.0:
        return "prior", f"The smoothed rate serves: the model's log loss is above its own ({interval})."
    return (
        "prior",
        f"The smoothed rate serves: the test part does not show that the model beats it (log loss {interval}).",
    )


def written(evaluation: Evaluation) -> bytes:
    """The text of evaluation.json; what is not defined is null."""
    return (
        msgspec.json.format(msgspec.json.encode(_rounded(msgspec.to_builtins(evaluation)), order="sorted"), indent=2)
        + b"\n"
    )


def read_evaluation(text: bytes) -> Evaluation:
    """The Evaluation of an evaluation.json; msgspec.DecodeError when it is another thing."""
    return msgspec.convert(_with_nan(msgspec.json.decode(text)), Evaluation)


def _choice(examples: Examples, rows: NDArray[np.intp], chances: NDArray[np.float64]) -> NDArray[np.intp]:
    """The product of highest chance within the section of each row; the first of equal ones."""
    outside = examples.section[rows][:, None] != examples.section_of_product[None, :]
    best: NDArray[np.intp] = np.argmax(np.where(outside, -1.0, chances), axis=1)
    return best


def _rounded(value: Any) -> Any:
    """Ten digits are more than the intervals leave certain, and read better."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(inner) for key, inner in value.items()}
    return math.nan if value is None else value
