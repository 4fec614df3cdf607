"""How is the click model trained? The settings of models/click/training.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.errors import FieldError, InvalidInput, NotFound

Share = Annotated[float, Meta(gt=0.0, lt=1.0)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Amount = Annotated[float, Meta(ge=0.0, le=1e6)]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Calibrating = Literal["platt", "isotonic"]


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which logs, and how they are cut by time; the test part is what remains."""

    sections: Annotated[tuple[Annotated[str, Meta(pattern="^[a-z0-9_]{1,32}$")], ...], Meta(min_length=1)]
    training_share: Share
    validation_share: Share


class TreeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LightGBM's parameters by their own names; `early_stopping_rounds` 0 grows all `num_iterations` trees."""

    num_iterations: Annotated[int, Meta(ge=1, le=2_000)]
    early_stopping_rounds: Annotated[int, Meta(ge=0, le=2_000)]
    learning_rate: Annotated[float, Meta(gt=0.0, le=1.0)]
    # The evaluator keeps the leaves of a tree in one 64-bit word.
    num_leaves: Annotated[int, Meta(ge=2, le=64)]
    min_data_in_leaf: Count
    min_sum_hessian_in_leaf: Amount
    lambda_l2: Amount
    feature_fraction: Annotated[float, Meta(gt=0.0, le=1.0)]
    max_bin: Annotated[int, Meta(ge=2, le=255)]
    min_data_per_group: Count
    cat_smooth: Amount
    cat_l2: Amount
    seed: Seed
    num_threads: Annotated[int, Meta(ge=1, le=64)]


class EvaluationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How sure we want to be of the figures."""

    bootstrap_resamples: Annotated[int, Meta(ge=50, le=100_000)]
    seed: Seed


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of training.toml."""

    data: DataSettings
    trees: TreeSettings
    # Over the training part, so that an impression does not see its own click in its product's rate.
    prior_folds: Annotated[int, Meta(ge=2, le=50)]
    calibration: Calibrating
    evaluation: EvaluationSettings


def load_settings(path: Path) -> TrainingSettings:
    """Read training.toml; NotFound or InvalidInput names what is wrong."""
    try:
        text = path.read_text("utf-8")
    except OSError as trouble:
        raise NotFound(f"no training settings at {path}; models/click/training.toml is the example") from trouble
    try:
        settings = msgspec.convert(tomllib.loads(text), TrainingSettings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as trouble:
        raise InvalidInput([FieldError(path.name, str(trouble), "see the comments in models/click/")]) from trouble
    if settings.data.training_share + settings.data.validation_share >= 1.0:
        remedy = "together with data.training_share below 1: the rest is the test part"
        raise InvalidInput([FieldError("data.validation_share", str(settings.data.validation_share), remedy)])
    return settings
