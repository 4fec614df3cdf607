"""How likely is each label, going by the text alone? Linear classifiers over hashed TF-IDF, evaluated in NumPy.

The artefact is two files without code in them: weights.npz (float32 arrays `idf` [places] and `weights`
[places, labels]) and manifest.json (intercepts, calibration, thresholds, and what the weights were learned from). What
comes out equals scikit-learn's TfidfTransformer(sublinear_tf=True) and LogisticRegression, which `training.py` uses.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import HaatError
from feed.moderation import confusables, features, identity_terms, words
from feed.moderation.text import NormalisedText, normalise
from feed.moderation.training_settings import TrainingSettings
from feed.verdict import Label
from ranking.calibration import Calibration, apply_each

SCHEMA: Final = 1
WEIGHTS_FILE, MANIFEST_FILE, EVALUATION_FILE = "weights.npz", "manifest.json", "evaluation.json"
_MOST_BYTES: Final = 64 << 20
_AROUND: Final = 3


class ClassifiersRefused(HaatError):
    """The files in the folder are not classifiers that this version can serve; the sentence says why."""


class LabelEntry(msgspec.Struct, frozen=True):
    """One classifier: probability = calibration(weights · features + intercept); it speaks up from `threshold` on."""

    label: Label
    intercept: float
    calibration: Calibration
    threshold: float


class Manifest(msgspec.Struct, frozen=True):
    """All of manifest.json. `data_sha256` names every file that was learned from, `licences` what allows it."""

    schema: int
    weights_sha256: str
    feature_fingerprint: str
    labels: tuple[LabelEntry, ...]
    data_sha256: dict[str, str]
    licences: dict[str, str]
    settings: TrainingSettings
    sklearn_version: str


@dataclass(frozen=True, slots=True)
class TextClassifiers:
    """All classifiers at once: `weights` float32 [places, labels], `idf` float32 [places]."""

    version: str
    labels: tuple[Label, ...]
    thresholds: tuple[float, ...]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    calibrations: tuple[Calibration, ...]

    def raw_scores(self, shaped: str) -> NDArray[np.float64]:
        """Log-odds before calibration, float64 [labels], of a text as `features.shaped` leaves it."""
        places, times = features.counts(shaped)
        if not len(places):
            return self.intercepts.copy()
        values = (1.0 + np.log(times)) * self.idf[places]
        return np.asarray(values @ self.weights[places] / np.sqrt(values @ values) + self.intercepts, np.float64)

    def probabilities(self, text: NormalisedText) -> NDArray[np.float64]:
        """Calibrated, float64 [labels], each within 0 to 1. A text without a word is innocent."""
        return self.of_shaped(features.shaped(text.folded.text))

    def of_shaped(self, shaped: str) -> NDArray[np.float64]:
        """As `probabilities`, of a text as `features.shaped` leaves it."""
        if not shaped:
            return np.zeros(len(self.labels))
        return apply_each(self.calibrations, self.raw_scores(shaped))

    def evidence(self, text: NormalisedText, label: Label) -> str:
        """What was written around the word that weighs most for `label`, at most 80 characters of it."""
        spans = _spans(text.folded.text)
        if not spans:
            return ""
        column = self.labels.index(label)
        weighed = [self._weight(text.folded.text[start:end], column) for start, end in spans]
        at = int(np.argmax(weighed))
        first, last = max(0, at - _AROUND), min(len(spans) - 1, at + _AROUND)
        return text.quote(text.folded, spans[first][0], spans[last][1])

    def _weight(self, word: str, column: int) -> float:
        places, times = features.counts(features.shaped(word))
        return float((times * self.idf[places] * self.weights[places, column]).sum()) if len(places) else -np.inf


def _spans(text: str, most: int = 400) -> list[tuple[int, int]]:
    spans = []
    at = 0
    for word in text.split(" "):
        if word:
            spans.append((at, at + len(word)))
        at += len(word) + 1
    return spans[:most]


def fingerprint() -> str:
    """A digest of how features are made: of what some sentences come to, and of the lists that go into it."""
    digest = hashlib.sha256(f"{features.VERSION},{features.PLACES_BITS}".encode())
    for listed in (words.COARSE, identity_terms.KNOWN, confusables.AMONG_LATIN, confusables.ANYWHERE):
        digest.update("\n".join(sorted(listed)).encode())
    for probe in ("Wr1te to m€ at www.example.com!", "f.r.e.e \u0455ocks, 50 % off @home", "A deaf woman sings"):
        places, times = features.counts(features.shaped(normalise(probe).folded.text))
        digest.update(places.tobytes() + times.tobytes())
    return digest.hexdigest()


def load(folder: Path) -> TextClassifiers:
    """The classifiers in `folder`. ClassifiersRefused when a file is missing, broken, or does not fit."""
    manifest = load_manifest(folder)
    if manifest.schema != SCHEMA:
        raise ClassifiersRefused(
            f"{folder / MANIFEST_FILE} has the schema {manifest.schema}, this version reads {SCHEMA}; "
            "run `haat train moderation`"
        )
    if manifest.feature_fingerprint != fingerprint():
        raise ClassifiersRefused(
            f"the classifiers in {folder} were trained with other features or word lists; run `haat train moderation`"
        )
    return build(manifest, _content(folder / WEIGHTS_FILE))


def load_manifest(folder: Path) -> Manifest:
    """What belongs to the weights in `folder`; they may not fit it. ClassifiersRefused when it cannot be read."""
    try:
        return msgspec.json.decode(_content(folder / MANIFEST_FILE), type=Manifest)
    except msgspec.MsgspecError as trouble:
        raise ClassifiersRefused(
            f"{folder / MANIFEST_FILE} is broken ({trouble}); run `haat train moderation`"
        ) from trouble


def build(manifest: Manifest, content: bytes) -> TextClassifiers:
    """Classifiers from a manifest and the bytes of its weights.npz; ClassifiersRefused when they are not its own."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.weights_sha256:
        raise ClassifiersRefused(
            f"weights.npz is not the file that manifest.json belongs to (SHA-256 {digest[:12]}…, expected "
            f"{manifest.weights_sha256[:12]}…); restore both or run `haat train moderation`"
        )
    idf, weights = _arrays(content)
    shape = (features.PLACES, len(manifest.labels))
    if idf.shape != shape[:1] or weights.shape != shape or not (np.isfinite(idf).all() and np.isfinite(weights).all()):
        raise ClassifiersRefused(f"weights.npz does not hold finite numbers of the shape {shape}; train again")
    if not all(entry.calibration.is_monotone() for entry in manifest.labels):
        raise ClassifiersRefused("a calibration in manifest.json is no rising curve; run `haat train moderation`")
    return TextClassifiers(
        version=manifest.weights_sha256[:12],
        labels=tuple(entry.label for entry in manifest.labels),
        thresholds=tuple(entry.threshold for entry in manifest.labels),
        idf=idf,
        weights=weights,
        intercepts=np.array([entry.intercept for entry in manifest.labels], np.float64),
        calibrations=tuple(entry.calibration for entry in manifest.labels),
    )


def packed(idf: NDArray[np.float32], weights: NDArray[np.float32]) -> bytes:
    """The bytes of weights.npz; the same arrays make the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("idf", idf), ("weights", weights)):
            held = io.BytesIO()
            np.lib.format.write_array(held, np.ascontiguousarray(array, np.float32), allow_pickle=False)
            # A fixed date, so that training twice gives the same file.
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (2026, 1, 1, 0, 0, 0)), held.getvalue(), zipfile.ZIP_DEFLATED
            )
    return out.getvalue()


def _arrays(content: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return archive["idf"].astype(np.float32), archive["weights"].astype(np.float32)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as trouble:
        raise ClassifiersRefused(f"weights.npz cannot be read ({trouble}); run `haat train moderation`") from trouble


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ClassifiersRefused(f"{path} is larger than {_MOST_BYTES >> 20} MiB; run `haat train moderation`")
        return path.read_bytes()
    except OSError as trouble:
        raise ClassifiersRefused(
            f"{path} cannot be read ({trouble.strerror}); run `haat train moderation`"
        ) from trouble
