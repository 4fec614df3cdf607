"""What belongs to a model file? All that is needed to serve it, and to refuse a wrong one, as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ranking.calibration import Calibration
from ranking.evaluation import Serving
from ranking.features import columns
from ranking.features.feature import FeatureState, Kind, Scope
from ranking.prior import PLACES, PriorRates
from ranking.settings import TrainingSettings

SCHEMA = 1
MODEL_FILE, MANIFEST_FILE, EVALUATION_FILE = "model.txt", "manifest.json", "evaluation.json"


class FeatureEntry(msgspec.Struct, frozen=True):
    """One column of model.txt; `vocabulary` is given for categories that are texts: the code is the place."""

    name: str
    kind: Kind
    scope: Scope
    vocabulary: tuple[str, ...] | None


class PriorTables(msgspec.Struct, frozen=True):
    """Smoothed rates by position (unknown, 1, 2, 3 and beyond); see PriorRates."""

    by_position: tuple[float, ...]
    by_product: dict[str, tuple[float, ...]]
    position_strength: float
    product_strength: float
    cell_strength: float


class Manifest(msgspec.Struct, frozen=True):
    """All of manifest.json. `part_bounds_ms` and `data_sha256` tell what was learned from, by section and by file."""

    schema: int
    serving: Serving
    model_sha256: str
    features: tuple[FeatureEntry, ...]
    feature_fingerprint: str
    calibration: Calibration
    prior: PriorTables
    # Product rates of the training part alone: the feature item_prior_rate.
    item_rates: dict[str, float]
    part_bounds_ms: dict[str, tuple[int, ...]]
    data_sha256: dict[str, str]
    settings: TrainingSettings
    lightgbm_version: str
    credit: str

    @property
    def feature_state(self) -> FeatureState:
        """What the features remember."""
        known = {entry.name: entry.vocabulary for entry in self.features if entry.vocabulary is not None}
        return FeatureState(known, self.item_rates)

    @property
    def prior_rates(self) -> PriorRates:
        """The smoothed rates."""
        prior = self.prior
        return PriorRates(
            prior.by_product, prior.by_position, prior.position_strength, prior.product_strength, prior.cell_strength
        )


def feature_entries(vocabularies: Mapping[str, tuple[str, ...]]) -> tuple[FeatureEntry, ...]:
    """The features of the code, with what was learned of their categories."""
    return tuple(
        FeatureEntry(f.name, f.kind, f.scope, vocabularies.get(f.name, ()) if f.spelled else None)
        for f in columns.FEATURES
    )


def prior_tables(rates: PriorRates) -> PriorTables:
    """Rates as they are written; ten digits."""
    return PriorTables(
        _short(rates.by_position),
        {name: _short(row) for name, row in rates.by_product.items()},
        _short([rates.position_strength])[0],
        _short([rates.product_strength])[0],
        _short([rates.cell_strength])[0],
    )


def faults(manifest: Manifest) -> list[str]:
    """What in a manifest does not fit this version of the code, one sentence each; none when it can serve."""
    found = []
    if manifest.schema != SCHEMA:
        return [f"manifest.json has the schema {manifest.schema}, this version reads {SCHEMA}; train again"]
    expected = tuple((f.name, f.kind, f.scope, f.spelled) for f in columns.FEATURES)
    given = tuple((f.name, f.kind, f.scope, f.vocabulary is not None) for f in manifest.features)
    if given != expected:
        names = sorted({f[0] for f in given} ^ {f[0] for f in expected})
        what = f"differ in {', '.join(names)[:200]}" if names else "differ in kind, scope or order"
        found.append(f"the model's features {what} from those of this version; train again")
    elif manifest.feature_fingerprint != columns.fingerprint():
        found.append("the features are computed in another way than when the model was trained; train again")
    if not manifest.calibration.is_monotone():
        found.append("the calibration in manifest.json is not a rising curve; train again")
    return found + prior_faults(manifest)


def prior_faults(manifest: Manifest) -> list[str]:
    """What is wrong with the smoothed rates."""
    rows = [manifest.prior.by_position, *manifest.prior.by_product.values()]
    if any(len(row) != PLACES or not all(0.0 < rate < 1.0 for rate in row) for row in rows):
        return [f"the prior in manifest.json does not have {PLACES} rates between 0 and 1 in every row; train again"]
    return []


def written(manifest: Manifest) -> bytes:
    """The text of manifest.json."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def _short(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{value:.10g}") for value in values)
