"""How is the recommender trained? The settings of models/recommender/training.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from common.errors import FieldError, InvalidInput, NotFound

Days = Annotated[float, Meta(gt=0.0, le=3_650.0)]
Weight = Annotated[float, Meta(ge=-100.0, le=100.0)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Amount = Annotated[float, Meta(ge=0.0, le=1e6)]
Rate = Annotated[float, Meta(gt=0.0, le=1.0)]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of training.toml: every field is given, and no other."""


class Feedback(Strict, frozen=True):
    """What each kind of feedback says for its item, below 0 against it."""

    view: Weight
    click: Weight
    like: Weight
    save: Weight
    buy: Weight
    hide: Weight
    report: Weight
    dislike_half_life_days: Days
    # What a fresh "hide" takes off a score (log-odds), of the item and by similarity of others.
    dislike_strength: Amount


class Ease(Strict, frozen=True):
    """EASE over items with `least_choices`; choices halve in `half_life_days`; `neighbours` of each item are kept."""

    regularisation: Annotated[float, Meta(gt=0.0, le=1e6)]
    half_life_days: Days
    least_choices: Count
    neighbours: Count


class Als(Strict, frozen=True):
    """Implicit ALS."""

    factors: Annotated[int, Meta(ge=1, le=512)]
    rounds: Annotated[int, Meta(ge=1, le=200)]
    regularisation: Annotated[float, Meta(gt=0.0, le=1e6)]
    alpha: Annotated[float, Meta(gt=0.0, le=1e4)]
    half_life_days: Days


class ItemToItem(Strict, frozen=True):
    """Co-occurrence."""

    half_life_days: Days
    shrinkage: Amount
    neighbours: Count


class Content(Strict, frozen=True):
    """Text, category, price and image: what each block counts in the similarity of two items."""

    text: Amount
    category: Amount
    price: Amount
    image: Amount
    words_at_most: Count
    neighbours: Count


class Recency(Strict, frozen=True):
    """Popularity, own history and session: half-lives."""

    popularity_days: tuple[Days, Days, Days]
    own_days: Days
    session_baskets: Annotated[float, Meta(gt=0.0, le=1_000.0)]


class Blend(Strict, frozen=True):
    """The trees that weigh the parts."""

    window_days: Days
    # Of a visitor's own events in a window, the share that is known before the rest is foreseen.
    revealed_share: Annotated[float, Meta(ge=0.0, lt=1.0)]
    windows: Annotated[int, Meta(ge=1, le=24)]
    candidates: Annotated[int, Meta(ge=10, le=5_000)]
    negatives_per_visitor: Count
    trees: Annotated[int, Meta(ge=1, le=2_000)]
    learning_rate: Rate
    leaves: Annotated[int, Meta(ge=2, le=64)]
    min_data_in_leaf: Count
    lambda_l2: Amount
    feature_fraction: Rate
    seed: Seed
    threads: Annotated[int, Meta(ge=1, le=64)]


class Judging(Strict, frozen=True):
    """How sure we want to be of the figures, and how many visitors are asked at most."""

    resamples: Annotated[int, Meta(ge=50, le=100_000)]
    visitors_at_most: Count
    seed: Seed


class Training(Strict, frozen=True):
    """All of training.toml."""

    feedback: Feedback
    ease: Ease
    als: Als
    item_to_item: ItemToItem
    content: Content
    recency: Recency
    blend: Blend
    judging: Judging


def load_training(path: Path, over: Path | None = None) -> Training:
    """Read training.toml, with fields of `over` in place of its own; NotFound or InvalidInput names what is wrong."""
    tables = _tables(path)
    for name, fields in (_tables(over) if over else {}).items():
        tables[name] = {**tables.get(name, {}), **fields}
    try:
        return msgspec.convert(tables, Training)
    except msgspec.ValidationError as trouble:
        named = (over or path).name
        raise InvalidInput([FieldError(named, str(trouble), "see the comments in models/recommender/")]) from trouble


def _tables(path: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as trouble:
        raise NotFound(f"no training settings at {path}; models/recommender/training.toml is the example") from trouble
    except tomllib.TOMLDecodeError as trouble:
        raise InvalidInput(
            [FieldError(path.name, str(trouble), "see the comments in models/recommender/")]
        ) from trouble
