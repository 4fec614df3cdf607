"""Is this trained model one that we can serve? Loads a model folder or says in a sentence why not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.calibration import Calibration
from ranking.evaluation import Evaluation, Serving, read_evaluation
from ranking.evaluator import Evaluator, Masks, compile_forest
from ranking.features import columns
from ranking.features.context import place
from ranking.features.feature import Attributes, FeatureState, Pages
from ranking.forest import ModelRefused, parse_forest
from ranking.manifest import EVALUATION_FILE, MANIFEST_FILE, MODEL_FILE, Manifest, faults, prior_faults
from ranking.prior import PLACES, PriorRates

__all__ = ["ClickModel", "ModelRefused", "load", "load_evaluation", "load_manifest", "load_prior"]

_MAX_FILE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class ClickModel:
    """A forest ready to be evaluated, with all that turns its sums into probabilities.

    `serving` is what its evaluation found to be the better one; `version` begins the SHA-256 of model.txt.
    """

    version: str
    serving: Serving
    evaluator: Evaluator
    state: FeatureState
    calibration: Calibration
    prior: PriorRates
    positions: Masks

    def product_masks(self, product_ids: Sequence[str], attributes: Sequence[Attributes | None]) -> Masks:
        """What the products alone decide, uint64 [products, trees]."""
        return self.evaluator.masks("product", columns.of_products(product_ids, attributes, self.state))

    def raw_scores(
        self,
        products: Masks,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: Pages,
    ) -> NDArray[np.float64]:
        """Log-odds before calibration, float64 [rows]: those of LightGBM's predict(raw_score=True)."""
        return self.evaluator.raw_scores(
            products,
            self.evaluator.masks("page", columns.of_pages(pages, self.state)),
            self.positions,
            product_rows,
            page_rows,
            place(positions),
            columns.of_pairs(affinities),
        )


def load(folder: Path) -> ClickModel:
    """Load `folder` (model.txt, manifest.json). ModelRefused when anything is missing, broken or does not match."""
    manifest = load_manifest(folder)
    if found := faults(manifest):
        raise ModelRefused(f"the model in {folder} is refused: {'; '.join(found)}")
    content = _content(folder / MODEL_FILE)
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.model_sha256:
        raise ModelRefused(
            f"{folder / MODEL_FILE} is not the file that manifest.json belongs to "
            f"(SHA-256 {digest[:12]}…, expected {manifest.model_sha256[:12]}…); train again or restore both"
        )
    return build(manifest, content)


def build(manifest: Manifest, content: bytes) -> ClickModel:
    """A ClickModel from a manifest that fits and the bytes of its model.txt."""
    try:
        forest = parse_forest(content.decode("utf-8"))
    except UnicodeDecodeError as trouble:
        raise ModelRefused("model.txt is not text; train again") from trouble
    names = tuple(feature.name for feature in columns.FEATURES)
    if forest.feature_names != names:
        raise ModelRefused("the feature names in model.txt are not those of manifest.json; train again")
    evaluator = compile_forest(forest, [feature.scope for feature in columns.FEATURES])
    return ClickModel(
        version=manifest.model_sha256[:12],
        serving=manifest.serving,
        evaluator=evaluator,
        state=manifest.feature_state,
        calibration=manifest.calibration,
        prior=manifest.prior_rates,
        positions=evaluator.masks("position", columns.of_positions(np.arange(PLACES, dtype=np.int32))),
    )


def load_prior(folder: Path) -> PriorRates:
    """The smoothed rates alone, which need no model.txt; ModelRefused when manifest.json cannot be read."""
    manifest = load_manifest(folder)
    if found := prior_faults(manifest):
        raise ModelRefused(f"the prior in {folder} is refused: {'; '.join(found)}")
    return manifest.prior_rates


def load_evaluation(folder: Path) -> Evaluation:
    """The figures that were found in training; ModelRefused when evaluation.json cannot be read."""
    try:
        return read_evaluation(_content(folder / EVALUATION_FILE))
    except msgspec.MsgspecError as trouble:
        raise ModelRefused(f"{folder / EVALUATION_FILE} is broken ({trouble}); train again") from trouble


def load_manifest(folder: Path) -> Manifest:
    """What belongs to the model in `folder`; ModelRefused when it cannot be read. The code may not fit it."""
    try:
        return msgspec.json.decode(_content(folder / MANIFEST_FILE), type=Manifest)
    except msgspec.MsgspecError as trouble:
        raise ModelRefused(f"{folder / MANIFEST_FILE} is broken ({trouble}); train again") from trouble


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ModelRefused(f"{path} is larger than {_MAX_FILE_BYTES >> 20} MiB; it is no model of ours")
        return path.read_bytes()
    except FileNotFoundError as trouble:
        raise ModelRefused(f"there is no {path}; `haat train` makes it") from trouble
    except OSError as trouble:
        raise ModelRefused(f"{path} cannot be read ({trouble.strerror or trouble})") from trouble
