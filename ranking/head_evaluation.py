"""Does the model with several heads beat the ranking it would replace? Judged on the time after its training.

Two questions. How well does each head foresee its action, beside the old ranking's score made a probability? And what
would visitors have done had the model chosen: for that, some places of each page are drawn evenly out of a short list
that is recorded, so that how often a ranking would have agreed with the draw is known, not guessed (IPS, SNIPS).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.calibration_fitting import fit_calibration
from ranking.head_model import HeadModel, HeadServing
from ranking.heads import FEWEST_ACTIONS, HeadExamples, HeadParts, HeadSettings
from ranking.metrics import Measured, compare, interval_of

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Draws:
    """m places that were drawn, of the test part. `features` float32 [m, most, names] of the short list, the one that
    was shown first; `listed` int64 [m] says how many there are; `baseline` float64 [m, most]; `rewards` float64 [m] in
    clicks; `group` as in examples.
    """

    features: NDArray[np.float32]
    listed: NDArray[np.int64]
    baseline: Values
    rewards: Values
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.listed)


class HeadMeasures(msgspec.Struct, frozen=True):
    """One head on the test part; `difference` is model - baseline. Empty where no forest was grown."""

    impressions: int
    actions: int
    model: dict[str, Measured]
    baseline: dict[str, Measured]
    difference: dict[str, Measured]


class PolicyMeasures(msgspec.Struct, frozen=True):
    """Value per 1,000 impressions, in clicks, of choosing out of each short list.

    `agreed` are the drawn places that the policy agrees with: they carry its estimate.
    """

    ips: Measured
    snips: Measured
    agreed: int


class HeadEvaluation(msgspec.Struct, frozen=True):
    """All figures of the test part. `drawn` is the even draw itself; `ips_gain` and `snips_gain` are model - hand."""

    parts: dict[str, int]
    heads: dict[str, HeadMeasures]
    draws: int
    drawn: Measured | None
    hand: PolicyMeasures | None
    model: PolicyMeasures | None
    ips_gain: Measured | None
    snips_gain: Measured | None
    resamples: int
    serving: HeadServing
    sentence: str


def judge(
    model: HeadModel, examples: HeadExamples, parts: HeadParts, draws: Draws | None, settings: HeadSettings
) -> HeadEvaluation:
    """Measure everything on the test part; the model serves when the whole 95 % interval of its gain is above 0."""
    resamples, seed = settings.evaluation.bootstrap_resamples, settings.evaluation.seed
    heads = {head.name: _measure(model, examples, parts, at, settings) for at, head in enumerate(model.manifest.heads)}
    policies = None if draws is None or not len(draws) else _policies(model, draws, resamples, seed)
    serving, sentence = _decide(policies)
    return HeadEvaluation(
        parts={"training": len(parts.training), "validation": len(parts.validation), "test": len(parts.test)},
        heads=heads,
        draws=0 if draws is None else len(draws),
        drawn=policies and policies[0],
        hand=policies and policies[1],
        model=policies and policies[2],
        ips_gain=policies and policies[3],
        snips_gain=policies and policies[4],
        resamples=resamples,
        serving=serving,
        sentence=sentence,
    )


def _measure(
    model: HeadModel, examples: HeadExamples, parts: HeadParts, at: int, settings: HeadSettings
) -> HeadMeasures:
    labels = examples.labels[at]
    test = parts.test
    actions = int(labels[test].sum())
    if not model.manifest.heads[at].sha256 or not FEWEST_ACTIONS <= actions <= len(test) - FEWEST_ACTIONS:
        return HeadMeasures(len(test), actions, {}, {}, {})
    # Both are scores that know nothing of the place where a post stood, made probabilities on the same part.
    chances = _as_chances(_log_odds(model.chances(examples.features)[at]), labels, parts)
    baseline = _as_chances(examples.baseline[at], labels, parts)
    of_model, of_baseline, difference = compare(
        labels[test], chances, baseline, np.ones(len(test)),
        settings.evaluation.bootstrap_resamples, settings.evaluation.seed, examples.group[test],
    )  # fmt: skip
    return HeadMeasures(len(test), actions, of_model, of_baseline, difference)


def _as_chances(scores: Values, labels: NDArray[np.int8], parts: HeadParts) -> Values:
    """Probabilities on the test part, calibrated on the validation part."""
    rows = parts.validation
    return fit_calibration("platt", scores[rows], labels[rows], np.ones(len(rows))).apply(scores[parts.test])


def _log_odds(chances: Values) -> Values:
    return np.log(chances) - np.log1p(-chances)


_Policies = tuple[Measured, PolicyMeasures, PolicyMeasures, Measured, Measured]


def _policies(model: HeadModel, draws: Draws, resamples: int, seed: int) -> _Policies:
    most = draws.features.shape[1]
    values = model.values(draws.features.reshape(-1, draws.features.shape[2])).sum(axis=0).reshape(-1, most)
    weights = [_weights(scores, draws.listed) for scores in (draws.baseline, values)]
    names, group = np.unique(draws.group, return_inverse=True)
    sums = [np.bincount(group, of, len(names)) for of in (np.ones(len(draws)), draws.rewards)]
    for weight in weights:
        sums += [np.bincount(group, weight, len(names)), np.bincount(group, weight * draws.rewards, len(names))]
    table = np.array(sums)
    chance = np.random.default_rng(seed)
    drawn = np.array([_estimates(table @ _drawn_again(len(names), chance)) for _ in range(resamples)])
    point = _estimates(table.sum(axis=1))
    figure = [Measured(1000 * float(point[at]), *(1000 * end for end in interval_of(drawn[:, at]))) for at in range(7)]
    agreed = [int((weight > 0).sum()) for weight in weights]
    return (
        figure[0],
        PolicyMeasures(figure[1], figure[2], agreed[0]),
        PolicyMeasures(figure[3], figure[4], agreed[1]),
        figure[5],
        figure[6],
    )


def _drawn_again(count: int, chance: np.random.Generator) -> Values:
    """How often each of `count` groups is in one resample."""
    return np.bincount(chance.integers(0, count, count), minlength=count).astype(np.float64)


def _weights(scores: Values, listed: NDArray[np.int64]) -> Values:
    """The inverse propensity where the best of the short list is the one that was shown; equal ones share it."""
    inside = np.arange(scores.shape[1])[None, :] < listed[:, None]
    best = np.where(inside, scores, -np.inf).max(axis=1)
    ties = (inside & (scores == best[:, None])).sum(axis=1)
    weights: Values = np.where(scores[:, 0] == best, listed / ties, 0.0)
    return weights


def _estimates(sums: Values) -> Values:
    """drawn, hand IPS and SNIPS, model IPS and SNIPS, the two gains."""
    count, reward, hand_weight, hand_reward, model_weight, model_reward = sums
    hand_snips = hand_reward / hand_weight if hand_weight > 0 else np.nan
    model_snips = model_reward / model_weight if model_weight > 0 else np.nan
    return np.array(
        [
            reward / count, hand_reward / count, hand_snips, model_reward / count, model_snips,
            (model_reward - hand_reward) / count, model_snips - hand_snips,
        ]
    )  # fmt: skip


def _decide(policies: _Policies | None) -> tuple[HeadServing, str]:
    if policies is None:
        return "hand", "The hand-weighted ranking serves: no drawn places were recorded to judge the model on."
    gain = policies[4]
    interval = f"{gain.value:+.2f} clicks per 1,000 by SNIPS, 95 % interval {gain.low:+.2f} to {gain.high:+.2f}"
    if gain.low > 0.0:
        return "model", f"The model serves: it earns more than the hand-weighted ranking ({interval})."
    if gain.high < 0.0:
        return "hand", f"The hand-weighted ranking serves: the model earns less ({interval})."
    return (
        "hand",
        f"The hand-weighted ranking serves: the test part does not show that the model beats it ({interval}).",
    )


def written(evaluation: HeadEvaluation) -> bytes:
    """The text of evaluation.json."""
    return msgspec.json.format(msgspec.json.encode(evaluation, order="sorted"), indent=1) + b"\n"
