"""How are the classifiers of texts trained? The settings of models/moderation/training.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from common.errors import FieldError, InvalidInput, NotFound
from feed.verdict import Label
from ranking.settings import Calibrating

Share = Annotated[float, Meta(gt=0.0, lt=1.0)]


class LabelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`precision` is what the threshold is set for, on the validation part, where `base_rate` of texts have the label.

    `base_rate` 0 takes the share that the labelled data has. `strength` is scikit-learn's C: more trusts the data more.
    """

    strength: Annotated[float, Meta(gt=0.0, le=1e4)]
    precision: Share
    base_rate: Annotated[float, Meta(ge=0.0, lt=1.0)]
    # Of texts that nobody judged for this label and that are presumed to be without it.
    presumed_weight: Annotated[float, Meta(gt=0.0, le=1.0)]
    calibration: Calibrating


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of training.toml; the test part is what the two shares leave."""

    training_share: Share
    validation_share: Share
    # Sentences of our own, for each template.
    ordinary_each: Annotated[int, Meta(ge=1, le=1_000)]
    about_groups_each: Annotated[int, Meta(ge=1, le=1_000)]
    bootstrap_resamples: Annotated[int, Meta(ge=50, le=10_000)]
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    labels: dict[Label, LabelSettings]


def load_settings(path: Path) -> TrainingSettings:
    """Read training.toml; NotFound or InvalidInput names what is wrong."""
    try:
        text = path.read_text("utf-8")
    except OSError as trouble:
        raise NotFound(f"no training settings at {path}; models/moderation/training.toml is the example") from trouble
    try:
        settings = msgspec.convert(tomllib.loads(text), TrainingSettings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as trouble:
        remedy = "see the comments in models/moderation/training.toml"
        raise InvalidInput([FieldError(path.name, str(trouble), remedy)]) from trouble
    if settings.training_share + settings.validation_share >= 1.0:
        remedy = "together with training_share below 1: the rest is the test part"
        raise InvalidInput([FieldError("validation_share", str(settings.validation_share), remedy)])
    from feed.moderation.training_data import LABELS

    if missing := [label for label in LABELS if label not in settings.labels]:
        raise InvalidInput([FieldError("labels", f"without {', '.join(missing)}", "give a table for each label")])
    return settings
