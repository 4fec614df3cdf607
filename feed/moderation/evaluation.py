"""How good are the classifiers of texts, on texts that they never saw? Every figure with its interval and baseline."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.moderation import fairness as fairness_measure
from feed.moderation import robustness as robustness_measure
from feed.moderation import training
from feed.moderation.classifiers import TextClassifiers
from feed.moderation.fairness import FairnessFigures
from feed.moderation.features import COARSE_WORD
from feed.moderation.robustness import VariantFigures
from feed.moderation.training_data import LABELS, Corpus, Example
from feed.moderation.training_settings import TrainingSettings
from feed.verdict import Label
from ranking.metrics import Measured, interval_of, measure

_AREAS: Final = {"roc_auc": "roc_auc", "pr_auc": "pr_auc", "calibration_error": "calibration_error"}
MEASURES: Final = ("precision", "recall", "f1", "false_positive_rate", *_AREAS)


class LabelFigures(msgspec.Struct, frozen=True):
    """Figures of one label on the test part, at its threshold, with 95 % intervals."""

    texts: int
    with_label: int
    threshold: float
    model: dict[str, Measured]
    # Without anything that is done for fairness, at a threshold found in the same way.
    naive: dict[str, Measured]
    # A base that knows the list of coarse words alone, for the labels that it could speak to.
    word_list: dict[str, Measured] | None = None


class CheckTimes(msgspec.Struct, frozen=True):
    """CPU time of checking one post, in ms, over `posts` of them; `picture` is what each picture adds."""

    posts: int
    classifiers_ms_p50: float
    classifiers_ms_p99: float
    check_ms_p50: float
    check_ms_p99: float
    picture_ms_p50: float
    picture_ms_p99: float
    longest_text_ms: float


class Evaluation(msgspec.Struct, frozen=True):
    """All of evaluation.json. `three_classes` is of hate, offensive and neither, each text in its likeliest one.

    `unseen_video`: figures of spam under a video whose comments were all left out of training, by video.
    """

    data: dict[str, int]
    trained_on_these: bool
    labels: dict[Label, LabelFigures]
    three_classes: dict[str, float]
    # Of texts labelled as hate, the share that is found as hate or as offensive.
    hate_found_as_either: float
    unseen_video: dict[str, dict[str, float]]
    fairness: FairnessFigures
    fairness_naive: FairnessFigures
    fairness_naive_at_half: FairnessFigures
    robustness: tuple[VariantFigures, ...]
    times: CheckTimes
    resamples: int


def evaluate(
    classifiers: TextClassifiers,
    corpus: Corpus,
    settings: TrainingSettings,
    *,
    trained_on_these: bool,
    times: CheckTimes,
) -> Evaluation:
    """Judge on the test part; on all texts when the files are others than those of the training.

    The naive baseline and the models of unseen videos are trained here, when the data is that of the training.
    """
    parts = training.parts_of(corpus, settings)
    test = parts["test"] if trained_on_these else [one for part in parts.values() for one in part]
    naive = training.train(corpus, settings, naive=True).classifiers
    rows, naive_rows = training.rows_of(test), training.rows_of(test, neutral=False)
    chances, naive_chances = _chances(classifiers, rows), _chances(naive, naive_rows)
    labels = {}
    for column, label in enumerate(LABELS):
        at, known = rows.of(label)
        if not 0 < int(known.sum()) < len(known):
            continue
        draw = _Draws(known, settings.bootstrap_resamples, settings.seed)
        threshold = classifiers.thresholds[column]
        labels[label] = LabelFigures(
            texts=len(known),
            with_label=int(known.sum()),
            threshold=threshold,
            model=draw.figures(chances[at, column], threshold),
            naive=draw.figures(naive_chances[at, column], naive.thresholds[column]),
            word_list=_by_list(draw, rows, at) if label in (Label.HATE, Label.OFFENSIVE) else None,
        )
    return Evaluation(
        data={name: len(examples) for name, examples in corpus.examples.items()},
        trained_on_these=trained_on_these,
        labels=labels,
        three_classes=_three_classes(rows, chances),
        hate_found_as_either=_either(classifiers, rows, chances),
        unseen_video=_unseen_videos(corpus, parts, settings) if trained_on_these else {},
        fairness=fairness_measure.measure(classifiers),
        fairness_naive=fairness_measure.measure(naive, neutral=False),
        fairness_naive_at_half=fairness_measure.measure(naive, neutral=False, thresholds=[0.5] * len(LABELS)),
        robustness=robustness_measure.measure(classifiers, _with_label(test), seed=settings.seed),
        times=times,
        resamples=settings.bootstrap_resamples,
    )


def _chances(classifiers: TextClassifiers, rows: training.Rows) -> NDArray[np.float64]:
    return np.array([classifiers.of_shaped(text) for text in rows.shaped])


def _with_label(test: Sequence[Example]) -> dict[Label, Sequence[str]]:
    return {label: [one.text for one in test if one.is_.get(label) == 1] for label in (Label.OFFENSIVE, Label.SPAM)}


class _Draws:
    """The texts drawn anew with replacement, the same way for every model."""

    def __init__(self, known: NDArray[np.int8], resamples: int, seed: int) -> None:
        self._known = known
        chance = np.random.default_rng(seed)
        size = len(known)
        self._times = [np.bincount(chance.integers(0, size, size), minlength=size) for _ in range(resamples)]

    def figures(self, chances: NDArray[np.float64], threshold: float) -> dict[str, Measured]:
        """MEASURES with their intervals."""
        chances = np.clip(chances, 1e-6, 1.0 - 1e-6)
        value = self._measure(chances, threshold, np.ones(len(chances)))
        draws = np.array([self._measure(chances, threshold, times.astype(np.float64)) for times in self._times])
        return {name: Measured(value[at], *interval_of(draws[:, at])) for at, name in enumerate(MEASURES)}

    def _measure(self, chances: NDArray[np.float64], threshold: float, weights: NDArray[np.float64]) -> list[float]:
        hit, said = self._known > 0, chances >= threshold
        right, spoken = float(weights[hit & said].sum()), float(weights[said].sum())
        with_it, without = float(weights[hit].sum()), float(weights[~hit].sum())
        precision = right / spoken if spoken else math.nan
        recall = right / with_it if with_it else math.nan
        f1 = 2 * right / (spoken + with_it) if spoken + with_it else math.nan
        areas = measure(self._known, chances, weights)
        return [precision, recall, f1, (spoken - right) / without if without else math.nan, *(areas[a] for a in _AREAS)]


def _by_list(draw: _Draws, rows: training.Rows, at: NDArray[np.intp]) -> dict[str, Measured]:
    listed = np.array([min(0.9, 0.3 * rows.shaped[row].split(" ").count(COARSE_WORD)) for row in at])
    return draw.figures(listed, 0.3)


def _three_classes(rows: training.Rows, chances: NDArray[np.float64]) -> dict[str, float]:
    """As Davidson et al. report: weighted precision, recall and F1; hate where its chance is above a half."""
    from sklearn.metrics import precision_recall_fscore_support

    hate, offensive = LABELS.index(Label.HATE), LABELS.index(Label.OFFENSIVE)
    at, _ = rows.of(Label.HATE)
    if not len(at):
        return {}
    truth = np.where(rows.known[at, hate] == 1, 0, np.where(rows.known[at, offensive] == 1, 1, 2))
    said = np.where(chances[at, hate] >= 0.5, 0, np.where(chances[at, offensive] >= 0.5, 1, 2))
    each = precision_recall_fscore_support(truth, said, labels=[0, 1, 2], zero_division=0.0)
    weighted = precision_recall_fscore_support(truth, said, average="weighted", zero_division=0.0)
    return {
        "weighted_precision": float(weighted[0]),
        "weighted_recall": float(weighted[1]),
        "weighted_f1": float(weighted[2]),
        "hate_precision": float(each[0][0]),
        "hate_recall": float(each[1][0]),
    }


def _either(classifiers: TextClassifiers, rows: training.Rows, chances: NDArray[np.float64]) -> float:
    columns = [LABELS.index(label) for label in (Label.HATE, Label.OFFENSIVE)]
    hateful = chances[rows.known[:, columns[0]] == 1]
    if not len(hateful):
        return math.nan
    return float((hateful >= np.array(classifiers.thresholds))[:, columns].any(axis=1).mean())


def _unseen_videos(
    corpus: Corpus, parts: dict[str, list[Example]], settings: TrainingSettings
) -> dict[str, dict[str, float]]:
    column = LABELS.index(Label.SPAM)
    videos = sorted({one.page for examples in corpus.examples.values() for one in examples if one.page})
    figures = {}
    for video in videos:
        left = {
            name: tuple(one for one in examples if one.page != video and Label.SPAM in one.is_)
            for name, examples in corpus.examples.items()
        }
        one_label = training.train_one(Corpus(left, corpus.sha256), settings, Label.SPAM)
        rows = training.rows_of([one for part in parts.values() for one in part if one.page == video])
        chances = one_label.apply(rows)
        known = rows.known[:, column]
        areas = measure(known, np.clip(chances, 1e-6, 1 - 1e-6), np.ones(len(known)))
        said = chances >= one_label.threshold
        figures[video] = {
            "texts": float(len(known)),
            "accuracy": float((said == (known > 0)).mean()),
            "precision": float(known[said].mean()) if said.any() else math.nan,
            "recall": float(said[known > 0].mean()),
            "roc_auc": areas["roc_auc"],
        }
    return figures


def times_of(
    *, classifiers: Sequence[float], check: Sequence[float], picture: Sequence[float], longest: float
) -> CheckTimes:
    """Durations in seconds as figures."""

    def at(durations: Sequence[float], percentile: float) -> float:
        return float(np.percentile(durations, percentile)) * 1e3

    return CheckTimes(
        posts=len(check),
        classifiers_ms_p50=at(classifiers, 50),
        classifiers_ms_p99=at(classifiers, 99),
        check_ms_p50=at(check, 50),
        check_ms_p99=at(check, 99),
        picture_ms_p50=at(picture, 50),
        picture_ms_p99=at(picture, 99),
        longest_text_ms=longest * 1e3,
    )


def timed(act: Any, inputs: Sequence[Any]) -> list[float]:
    """The CPU time of `act` for each input, in seconds: nothing in it waits, so an idle machine takes as long."""
    durations = []
    for one in inputs:
        start = time.thread_time()
        act(one)
        durations.append(time.thread_time() - start)
    return durations


def written(evaluation: Evaluation) -> bytes:
    """The text of evaluation.json, four digits."""
    return msgspec.json.format(msgspec.json.encode(_rounded(msgspec.to_builtins(evaluation))), indent=1) + b"\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(part) for part in value]
    return value
