"""What does a post stand to get: a click, a save, a purchase, a hide? One forest for each, served together.

The folder of such a model holds `<head>.txt` for each head and `manifest.json`; anything that does not match is refused
in a sentence, and then the caller ranks without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.calibration import Calibration
from ranking.evaluator import Evaluator, Masks, compile_forest
from ranking.features.feature import Scope
from ranking.forest import ModelRefused, parse_forest

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
# Where on the page a post stood. In training it takes the blame for what nobody scrolled to; serving asks for place 0.
PLACE = "place"
_MAX_FILE_BYTES = 64 << 20
_NOTHING = np.zeros((1, 0), np.float64)

HeadServing = Literal["model", "hand"]


class HeadEntry(msgspec.Struct, frozen=True):
    """One head. `worth` is what one such action counts, in clicks; `rate` is how often it came in the training part.

    `sha256` is that of `<name>.txt`, "" for a head with too few actions to learn from: it says its rate of everybody.
    """

    name: str
    worth: float
    rate: float
    calibration: Calibration
    sha256: str = ""


class HeadManifest(msgspec.Struct, frozen=True):
    """All of manifest.json. `reference_value` is the mean value of an impression: a score of 1.

    `trained_until_ms` is where the training and validation parts end: what came later was not seen.
    """

    schema: int
    serving: HeadServing
    sentence: str
    heads: tuple[HeadEntry, ...]
    features: tuple[str, ...]
    features_version: str
    reference_value: float
    trained_from_ms: int
    validated_from_ms: int
    trained_until_ms: int
    lightgbm_version: str


@dataclass(frozen=True, slots=True)
class _Forest:
    evaluator: Evaluator
    # Masks of what is the same for every row: no product and page columns, and place 0.
    constant: Masks
    first_place: Masks

    def raw(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        none = np.zeros(len(columns), np.int32)
        return self.evaluator.raw_scores(self.constant, self.constant, self.first_place, none, none, none, columns)


class HeadModel:
    """Forests ready to be evaluated, bit-equal to LightGBM's own predict."""

    def __init__(self, manifest: HeadManifest, texts: Sequence[str]) -> None:
        self.manifest = manifest
        self.version = (
            f"heads-{hashlib.sha256(''.join(head.sha256 for head in manifest.heads).encode()).hexdigest()[:12]}"
        )
        self._forests = [
            _compile(text, manifest.features) if head.sha256 else None
            for head, text in zip(manifest.heads, texts, strict=True)
        ]

    def chances(self, columns: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities of each action at the first place, float64 [heads, rows].

        A row's probabilities do not depend on the other rows.
        """
        assert columns.shape[1] == len(self.manifest.features), "one column for each feature of the manifest"
        wide = columns.astype(np.float64)
        found = np.empty((len(self.manifest.heads), len(columns)))
        for at, (head, forest) in enumerate(zip(self.manifest.heads, self._forests, strict=True)):
            found[at] = head.rate if forest is None else head.calibration.apply(forest.raw(wide))
        return found

    def values(self, columns: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each head adds to a row's value, in shares of the mean value, float64 [heads, rows]."""
        worth = np.array([head.worth for head in self.manifest.heads])
        return self.chances(columns) * (worth / self.manifest.reference_value)[:, None]

    def warm(self) -> None:
        """Compile what compiles on first use."""
        self.chances(np.zeros((1, len(self.manifest.features)), np.float32))


def load(folder: Path, features: Sequence[str], features_version: str) -> HeadModel:
    """Load `folder`; ModelRefused when it is missing, broken, or was trained with other features."""
    try:
        manifest = msgspec.json.decode(_read(folder / MANIFEST_FILE), type=HeadManifest)
    except msgspec.DecodeError as trouble:
        raise ModelRefused(f"{folder / MANIFEST_FILE} cannot be read ({trouble}); train again") from trouble
    if manifest.schema != SCHEMA:
        raise ModelRefused(f"manifest.json has the schema {manifest.schema}, this version reads {SCHEMA}; train again")
    if (manifest.features, manifest.features_version) != (tuple(features), features_version):
        raise ModelRefused("the model's features are not those of this version; train again")
    if not manifest.heads or not manifest.reference_value > 0:
        raise ModelRefused("manifest.json names no head, or no mean value; train again")
    texts = []
    for head in manifest.heads:
        if not head.name.isidentifier() or not head.calibration.is_monotone() or not 0.0 <= head.rate <= 1.0:
            raise ModelRefused(f"manifest.json says of the head {head.name[:40]!r} what cannot be; train again")
        content = _read(folder / f"{head.name}.txt") if head.sha256 else b""
        if head.sha256 and hashlib.sha256(content).hexdigest() != head.sha256:
            raise ModelRefused(f"{head.name}.txt is not the file that manifest.json belongs to; train again")
        texts.append(content.decode("utf-8", "replace"))
    return HeadModel(manifest, texts)


def _compile(text: str, features: Sequence[str]) -> _Forest:
    forest = parse_forest(text)
    if forest.feature_names != (*features, PLACE):
        raise ModelRefused("the feature names of a head are not those of manifest.json; train again")
    scopes: list[Scope] = ["pair"] * len(features)
    evaluator = compile_forest(forest, [*scopes, "position"])
    return _Forest(evaluator, evaluator.masks("product", _NOTHING), evaluator.masks("position", np.zeros((1, 1))))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ModelRefused(f"{path} is larger than {_MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as trouble:
        raise ModelRefused(f"there is no {path} ({trouble.strerror}); `haat train feed` makes one") from trouble
