"""How are the classifiers of texts made from labelled ones? The same data and settings give the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from common.errors import FieldError, InvalidInput
from feed.moderation import counter_examples as own
from feed.moderation import features, ordinary_posts
from feed.moderation.classifiers import SCHEMA, LabelEntry, Manifest, TextClassifiers, build, fingerprint, packed
from feed.moderation.text import normalise
from feed.moderation.training_data import COLLECTIONS, LABELS, Corpus, Example, part_of
from feed.moderation.training_settings import LabelSettings, TrainingSettings
from feed.verdict import Label
from ranking.calibration import Calibration
from ranking.calibration_fitting import fit_calibration

_ITERATIONS: Final = 300
_LEAST_OF_EACH: Final = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts made ready: `shaped` as they are counted, `known` int8 [texts, labels] with -1 where nobody judged."""

    shaped: tuple[str, ...]
    known: NDArray[np.int8]

    def of(self, label: Label) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
        """Rows for which the label is known, and what is known."""
        column = self.known[:, LABELS.index(label)]
        rows = np.flatnonzero(column >= 0)
        return rows, column[rows]

    def with_(self, more: Rows) -> Rows:
        """These and then those."""
        return Rows(self.shaped + more.shaped, np.concatenate([self.known, more.known]))


@dataclass(frozen=True, slots=True)
class Trained:
    """The artefact's parts."""

    manifest: Manifest
    weights: bytes

    @property
    def classifiers(self) -> TextClassifiers:
        """As they are served."""
        return build(self.manifest, self.weights)


def train(corpus: Corpus, settings: TrainingSettings, *, naive: bool = False) -> Trained:
    """Fit on the training part, calibrate and set thresholds on the validation part; the test part is not touched.

    `naive` leaves out all that is done for fairness: terms stay as they are, and only the labelled data speaks.
    InvalidInput when a part has too few texts with or without a label.
    """
    parts = parts_of(corpus, settings)
    training = rows_of(parts["training"], neutral=not naive)
    validation = rows_of(parts["validation"], neutral=not naive)
    _check("training", training)
    _check("validation", validation)
    judged = len(training.shaped)
    presumed = Rows((), np.zeros((0, len(LABELS)), np.int8))
    if not naive:
        sentences = rows_of(_sentences(settings))
        training = training.with_(sentences).with_(_presumed(parts["training"], training))
        judged += len(sentences.shaped)
        presumed = _presumed(parts["validation"], validation)
    counted = matrix(training.shaped)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counted)
    weighed = tfidf.transform(counted)
    held_out, harmless = matrix(validation.shaped), matrix(presumed.shaped)
    # What is written is float32; everything after the fit sees what is written.
    idf = tfidf.idf_.astype(np.float32)
    weights = np.zeros((features.PLACES, len(LABELS)), np.float32)
    entries = []
    for column, label in enumerate(LABELS):
        chosen = settings.labels[label]
        at, known = training.of(label)
        importance = np.where(at < judged, 1.0, chosen.presumed_weight)
        weights[:, column], intercept = fit(weighed[at], known, importance, chosen)

        at, known = validation.of(label)
        raw = raw_scores(held_out[at], idf, weights[:, column], intercept)
        calibration = fit_calibration(chosen.calibration, raw, known, np.ones(len(raw)))
        chances = calibration.apply(raw)
        everyday, _ = presumed.of(label)
        others = calibration.apply(raw_scores(harmless[everyday], idf, weights[:, column], intercept))
        threshold = threshold_for(chances, known, others, chosen)
        entries.append(LabelEntry(label, intercept, calibration, threshold))
    content = packed(idf, weights)
    manifest = Manifest(
        schema=SCHEMA,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        feature_fingerprint=fingerprint(),
        labels=tuple(entries),
        data_sha256=dict(corpus.sha256),
        licences={one.name: f"{one.licence}; {one.credit}" for one in COLLECTIONS},
        settings=settings,
        sklearn_version=sklearn.__version__,
    )
    return Trained(manifest, content)


@dataclass(frozen=True, slots=True)
class OneLabel:
    """One classifier by itself, to measure by: fitted on labelled texts alone."""

    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercept: float
    calibration: Calibration
    threshold: float

    def apply(self, rows: Rows) -> NDArray[np.float64]:
        """Calibrated chances, float64 [texts]."""
        return self.calibration.apply(raw_scores(matrix(rows.shaped), self.idf, self.weights, self.intercept))


def train_one(corpus: Corpus, settings: TrainingSettings, label: Label) -> OneLabel:
    """Fit one label on the training part of a corpus, calibrated on its validation part."""
    parts, chosen = parts_of(corpus, settings), settings.labels[label]
    training, validation = rows_of(parts["training"]), rows_of(parts["validation"])
    counted = matrix(training.shaped)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counted)
    at, known = training.of(label)
    idf = tfidf.idf_.astype(np.float32)
    weights, intercept = fit(tfidf.transform(counted)[at], known, np.ones(len(at)), chosen)
    at, known = validation.of(label)
    raw = raw_scores(matrix(validation.shaped)[at], idf, weights, intercept)
    calibration = fit_calibration(chosen.calibration, raw, known, np.ones(len(raw)))
    threshold = threshold_for(calibration.apply(raw), known, np.zeros(0), chosen)
    return OneLabel(idf, weights, intercept, calibration, threshold)


def parts_of(corpus: Corpus, settings: TrainingSettings) -> dict[str, list[Example]]:
    """The labelled texts by part."""
    shares = (settings.training_share, settings.validation_share)
    parts: dict[str, list[Example]] = {"training": [], "validation": [], "test": []}
    for examples in corpus.examples.values():
        for example in examples:
            parts[part_of(example.text, shares)].append(example)
    return parts


def _sentences(settings: TrainingSettings) -> list[Example]:
    """Sentences of our own that training adds to the labelled texts."""
    nothing = dict.fromkeys(LABELS, 0)
    hateful = {**nothing, Label.HATE: 1, Label.OFFENSIVE: 1}
    seed, each = settings.seed, settings.about_groups_each
    return [
        *(
            Example(text, nothing)
            for text in ordinary_posts.ordinary(ordinary_posts.ORDINARY, seed, settings.ordinary_each)
        ),
        *(Example(text, nothing) for text in own.about_groups(own.HARMLESS, seed, each)),
        *(Example(text, hateful) for text in own.about_groups(own.HATEFUL, seed, each)),
    ]


def _presumed(examples: Sequence[Example], rows: Rows) -> Rows:
    """The rows for which something may be presumed beyond their labels, with what is presumed alone."""
    known = np.full_like(rows.known, -1)
    without: set[Label]
    for at, example in enumerate(examples):
        if example.is_.get(Label.CLICKBAIT) == 0:
            # Headlines of newspapers speak of groups without offence, and none is spam.
            without = {Label.HATE, Label.OFFENSIVE, Label.SPAM, Label.SCAM_LINK}
        elif example.is_.get(Label.SPAM) == 0:
            without = {Label.CLICKBAIT}
        elif example.is_.get(Label.OFFENSIVE) == 0:
            without = {Label.SPAM, Label.SCAM_LINK, Label.CLICKBAIT}
        else:
            continue
        known[at, [LABELS.index(label) for label in without]] = 0
    some = np.flatnonzero((known >= 0).any(axis=1))
    return Rows(tuple(rows.shaped[at] for at in some), known[some])


def rows_of(examples: Sequence[Example], *, neutral: bool = True) -> Rows:
    """Examples normalised and shaped."""
    known = np.array([[example.is_.get(label, -1) for label in LABELS] for example in examples], np.int8)
    shaped = tuple(features.shaped(normalise(example.text).folded.text, neutral=neutral) for example in examples)
    return Rows(shaped, known)


def matrix(shaped: Sequence[str]) -> csr_matrix:
    """Counts of features, float64 [texts, places]."""
    counted = [features.counts(text) for text in shaped]
    starts = np.concatenate([[0], np.cumsum([len(places) for places, _ in counted])])
    places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in counted)])
    times = np.concatenate([np.zeros(0), *(times for _, times in counted)])
    return csr_matrix((times, places, starts), shape=(len(shaped), features.PLACES))


def fit(
    weighed: Any, known: NDArray[np.int8], importance: NDArray[np.float64], settings: LabelSettings
) -> tuple[NDArray[np.float32], float]:
    """Coefficients, float32 [places], and intercept of one logistic regression."""
    # liblinear takes one path to its optimum: the same on every machine.
    model = LogisticRegression(C=settings.strength, solver="liblinear", max_iter=_ITERATIONS, random_state=0)
    model.fit(weighed, known, sample_weight=importance)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def raw_scores(
    counted: csr_matrix, idf: NDArray[np.float32], weights: NDArray[np.float32], intercept: float
) -> NDArray[np.float64]:
    """Log-odds of many texts, float64 [texts]; `counted` comes from `matrix`."""
    values = counted.copy()
    values.data = (1.0 + np.log(values.data)) * idf.astype(np.float64)[values.indices]
    norms = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    scores = values @ weights.astype(np.float64)
    return np.asarray(scores / np.where(norms > 0, norms, 1.0) + intercept, np.float64)


def threshold_for(
    chances: NDArray[np.float64], known: NDArray[np.int8], everyday: NDArray[np.float64], settings: LabelSettings
) -> float:
    """The least probability from which on the stated precision holds at the stated base rate.

    It holds beside the texts labelled as innocent, and beside the chances of `everyday` texts, if there are any.
    """
    hit = known > 0
    rate = settings.base_rate or float(hit.mean())
    threshold = _least_threshold(chances[hit], chances[~hit], rate, settings.precision)
    if len(everyday):
        threshold = max(threshold, _least_threshold(chances[hit], everyday, rate, settings.precision))
    return threshold


def _least_threshold(with_it: NDArray[np.float64], without: NDArray[np.float64], rate: float, wanted: float) -> float:
    """Half way between the best and 1 where no threshold reaches the wanted precision."""
    both = np.concatenate([with_it, without])
    order = np.argsort(-both, kind="stable")
    at, hit = both[order], order < len(with_it)
    found, wrong = np.cumsum(hit) / len(with_it), np.cumsum(~hit) / len(without)
    precision = rate * found / np.maximum(rate * found + (1.0 - rate) * wrong, 1e-12)
    last_of_its_chance = np.r_[np.diff(at) != 0.0, True]
    enough = np.flatnonzero(last_of_its_chance & (precision >= wanted))
    return float(at[enough[-1]]) if len(enough) else (1.0 + float(at[0])) / 2.0


def _check(part: str, rows: Rows) -> None:
    few = []
    for label in LABELS:
        _, known = rows.of(label)
        with_it, without = int((known == 1).sum()), int((known == 0).sum())
        if min(with_it, without) < _LEAST_OF_EACH:
            value = f"{with_it} texts with and {without} without the label {label} in the {part} part"
            few.append(FieldError("--data", value, f"give at least {_LEAST_OF_EACH} of each, or larger shares"))
    if few:
        raise InvalidInput(few)
