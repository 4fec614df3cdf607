"""How is a model with several heads trained? On impressions in the order of time, one forest for each action."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.whole_files import replace_file
from ranking.calibration import UNCALIBRATED
from ranking.calibration_fitting import fit_calibration
from ranking.head_model import MANIFEST_FILE, PLACE, SCHEMA, HeadEntry, HeadManifest, HeadModel
from ranking.settings import Calibrating, EvaluationSettings, Share, TreeSettings

# With fewer actions in either part a head says its rate of everybody.
FEWEST_ACTIONS = 20


class HeadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of models/feed/training.toml; the test part is what remains after the two shares."""

    training_share: Share
    validation_share: Share
    trees: TreeSettings
    calibration: Calibrating
    evaluation: EvaluationSettings


@dataclass(frozen=True, slots=True)
class HeadExamples:
    """n impressions in the order of time. `features` float32 [n, names]; `labels` int8 [heads, n], 1 where the action
    came; `place` int32 from 0; `at_ms` int64; `group` int64: impressions of one group are drawn together (a session).

    `baseline` float64 [heads, n] is the raw score that the model has to beat, higher for more.
    """

    names: tuple[str, ...]
    heads: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    place: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    group: NDArray[np.int64]
    baseline: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at_ms)


@dataclass(frozen=True, slots=True)
class HeadParts:
    """Rows of the three parts, earlier ones first."""

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def split(examples: HeadExamples, settings: HeadSettings) -> HeadParts:
    """Cut by time, at whole moments; InvalidInput when a part would be empty."""
    count = len(examples)
    if (np.diff(examples.at_ms) < 0).any():
        raise ValueError("examples come in the order of time")
    bounds = [settings.training_share, settings.training_share + settings.validation_share]
    cuts = [_cut(examples.at_ms, int(count * share)) for share in bounds]
    rows = np.arange(count)
    parts = HeadParts(rows[: cuts[0]], rows[cuts[0] : cuts[1]], rows[cuts[1] :])
    if not all(map(len, (parts.training, parts.validation, parts.test))):
        remedy = "serve more pages to visitors who agree to personal content, then train again"
        raise InvalidInput([FieldError("feed pages", f"{count} impressions to learn from", remedy)])
    return parts


def train(
    examples: HeadExamples,
    parts: HeadParts,
    worth: Sequence[float],
    features_version: str,
    settings: HeadSettings,
) -> tuple[HeadModel, dict[str, str]]:
    """A model with a head for each label, and the texts of its files; the same examples give the same files."""
    entries, texts = [], {}
    for at, name in enumerate(examples.heads):
        entry, text = _grow(examples, parts, at, worth[at], settings)
        entries.append(entry)
        if text:
            texts[name] = text
    rates = np.array([entry.rate for entry in entries])
    manifest = HeadManifest(
        schema=SCHEMA,
        serving="hand",
        sentence="",
        heads=tuple(entries),
        features=examples.names,
        features_version=features_version,
        # Hides may outweigh the rest in a poor feed; a score has to have a unit all the same.
        reference_value=float(max((rates * np.maximum(worth, 0.0)).sum(), 1e-6)),
        trained_from_ms=int(examples.at_ms[0]),
        validated_from_ms=int(examples.at_ms[parts.validation[0]]),
        trained_until_ms=int(examples.at_ms[parts.test[0]]),
        lightgbm_version=lightgbm.__version__,
    )
    return HeadModel(manifest, [texts.get(name, "") for name in examples.heads]), texts


def write(out: Path, manifest: HeadManifest, texts: dict[str, str], evaluation: bytes) -> None:
    """Write the folder of a model; the manifest comes last, so a reader refuses what is half written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_file(out / f"{name}.txt", text.encode())
        replace_file(out / "evaluation.json", evaluation)
        replace_file(out / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1))
    except OSError as trouble:
        raise BackendUnavailable(f"the model cannot be written to {out}: {trouble.strerror or trouble}") from trouble


def _grow(
    examples: HeadExamples, parts: HeadParts, at: int, worth: float, settings: HeadSettings
) -> tuple[HeadEntry, str]:
    labels, name = examples.labels[at], examples.heads[at]
    rate = float(labels[parts.training].mean())
    learnable = all(
        FEWEST_ACTIONS <= int(labels[rows].sum()) <= len(rows) - FEWEST_ACTIONS
        for rows in (parts.training, parts.validation)
    )
    if not learnable:
        return HeadEntry(name, worth, rate, UNCALIBRATED), ""
    columns = np.column_stack([examples.features, examples.place]).astype(np.float64)
    trees = settings.trees
    parameters = {
        "objective": "binary", "metric": "binary_logloss", "verbosity": -1, "deterministic": True,
        "force_row_wise": True,
        **{
            key: value
            for key, value in msgspec.to_builtins(trees).items()
            if key not in ("num_iterations", "early_stopping_rounds")
        },
    }  # fmt: skip
    learned = lightgbm.Dataset(
        columns[parts.training], labels[parts.training], feature_name=[*examples.names, PLACE], params=parameters
    )
    held_out = lightgbm.Dataset(columns[parts.validation], labels[parts.validation], reference=learned)
    stop: list[Callable[..., Any]] = (
        [lightgbm.early_stopping(trees.early_stopping_rounds, verbose=False)] if trees.early_stopping_rounds else []
    )
    booster = lightgbm.train(parameters, learned, trees.num_iterations, valid_sets=[held_out], callbacks=stop)
    best = booster.best_iteration or booster.current_iteration()
    raw = np.asarray(booster.predict(columns[parts.validation], raw_score=True, num_iteration=best), np.float64)
    calibration = fit_calibration(
        settings.calibration, raw, labels[parts.validation], np.ones(len(parts.validation), np.float64)
    )
    text = booster.model_to_string(num_iteration=best)
    return HeadEntry(name, worth, rate, calibration, hashlib.sha256(text.encode()).hexdigest()), text


def _cut(at_ms: NDArray[np.int64], near: int) -> int:
    """The first row at or after `near` whose time differs from the row before it."""
    if near >= len(at_ms):
        return len(at_ms)
    return int(np.searchsorted(at_ms, at_ms[near], side="left"))
