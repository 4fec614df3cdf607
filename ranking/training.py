"""How is a click model made from logged impressions? The same logs and settings give the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.whole_files import replace_files
from ranking import open_bandit
from ranking.calibration import UNCALIBRATED, Calibration
from ranking.calibration_fitting import fit_calibration
from ranking.evaluation import Evaluation, PartCount, judge, written
from ranking.examples import Examples, Parts, columns_of, read_examples, split_by_time, vocabularies_of
from ranking.features import columns
from ranking.features.feature import FeatureState
from ranking.manifest import EVALUATION_FILE, MANIFEST_FILE, MODEL_FILE, SCHEMA, Manifest, feature_entries, prior_tables
from ranking.manifest import written as written_manifest
from ranking.model import ClickModel, build, load_manifest
from ranking.model import load as load_model
from ranking.prior import PriorRates, fit_prior
from ranking.settings import TrainingSettings, TreeSettings

_ITEM_RATE = next(at for at, feature in enumerate(columns.FEATURES) if feature.name == "item_prior_rate")
# What the benchmark wants: a forest of the size that the performance targets speak of.
_BENCH_TREES, _BENCH_LEAVES = 200, 31


@dataclass(frozen=True, slots=True)
class _Fit:
    text: str
    trees: int
    state: FeatureState
    calibration: Calibration


def train(folder: Path, out: Path, settings: TrainingSettings, *, forced: bool = False) -> Evaluation:
    """Train on the logs below `folder` (as `open_bandit.fetch` returns it) and write the artefact into `out`.

    `forced` makes the model serve whatever its quality, uncalibrated. InvalidInput when the logs cannot be used.
    """
    examples = read_examples(folder, settings.data.sections)
    parts = split_by_time(examples, settings.data.training_share, settings.data.validation_share)
    _check_clicks(examples, parts)
    fitted = _fit(examples, parts, settings, forced)
    # The prior may know all that came before the test part, as the model does through its calibration.
    prior = _prior_of(examples, np.concatenate([parts.training, parts.validation]))
    content = fitted.text.encode()
    manifest = Manifest(
        schema=SCHEMA,
        serving="model",
        model_sha256=hashlib.sha256(content).hexdigest(),
        features=feature_entries(fitted.state.vocabularies),
        feature_fingerprint=columns.fingerprint(),
        calibration=fitted.calibration,
        prior=prior_tables(prior),
        item_rates=dict(fitted.state.item_rates),
        part_bounds_ms=dict(parts.bounds_ms),
        data_sha256=_data_sha256(folder, settings),
        settings=settings,
        lightgbm_version=lightgbm.__version__,
        credit=open_bandit.CREDIT,
    )
    evaluation = _judge(build(manifest, content), examples, parts, fitted.trees, settings, forced)
    manifest = msgspec.structs.replace(manifest, serving=evaluation.serving)
    # The manifest comes last: until it is there, a reader sees the old one and refuses the new model.
    _write(out, {MODEL_FILE: content, EVALUATION_FILE: written(evaluation), MANIFEST_FILE: written_manifest(manifest)})
    return evaluation


def evaluate(folder: Path, model_folder: Path) -> Evaluation:
    """Judge a stored model again, on the test part of the logs below `folder` that it was trained on.

    ModelRefused when the model cannot be loaded; InvalidInput when the logs are others.
    """
    model, manifest = load_model(model_folder), load_manifest(model_folder)
    settings = manifest.settings
    if _data_sha256(folder, settings) != manifest.data_sha256:
        remedy = "train again: with other logs nobody knows which impressions the model has seen"
        raise InvalidInput([FieldError("logs", f"{folder} does not hold the logs of this model", remedy)])
    examples = read_examples(folder, settings.data.sections)
    parts = split_by_time(examples, settings.data.training_share, settings.data.validation_share)
    return _judge(model, examples, parts, model.evaluator.trees, settings, forced=False)


def train_bench_model(folder: Path, out: Path, settings: TrainingSettings) -> Evaluation:
    """A model of exactly 200 trees of 31 leaves that serves whatever its quality: to measure speed, never for ads."""
    trees = msgspec.structs.replace(
        settings.trees,
        num_iterations=_BENCH_TREES,
        early_stopping_rounds=0,
        num_leaves=_BENCH_LEAVES,
        min_data_in_leaf=5,
        min_sum_hessian_in_leaf=0.0,
        lambda_l2=0.0,
        learning_rate=0.02,
        min_data_per_group=5,
    )
    return train(folder, out, msgspec.structs.replace(settings, trees=trees), forced=True)


def _data_sha256(folder: Path, settings: TrainingSettings) -> dict[str, str]:
    return open_bandit.sha256_of(folder, settings.data.sections)


def _fit(examples: Examples, parts: Parts, settings: TrainingSettings, forced: bool) -> _Fit:
    vocabularies = vocabularies_of(examples, parts.training)
    state = FeatureState(vocabularies, _item_rates(_prior_of(examples, parts.training)))
    training = columns_of(examples, parts.training, state)
    training[:, _ITEM_RATE] = _rates_out_of_fold(examples, parts.training, settings.prior_folds)
    validation = columns_of(examples, parts.validation, state)
    booster = _grow(examples, parts, training, validation, settings.trees)
    trees = booster.best_iteration or booster.current_iteration()
    if forced:
        # A forest that ranks no better than chance would be calibrated to one chance for all, and measure nothing.
        calibration = UNCALIBRATED
    else:
        raw = np.asarray(booster.predict(validation, raw_score=True, num_iteration=trees), np.float64)
        clicks, weights = examples.click[parts.validation], examples.weight[parts.validation]
        calibration = fit_calibration(settings.calibration, raw, clicks, weights)
    return _Fit(booster.model_to_string(num_iteration=trees), trees, state, calibration)


def _grow(
    examples: Examples,
    parts: Parts,
    training: NDArray[np.float64],
    validation: NDArray[np.float64],
    trees: TreeSettings,
) -> lightgbm.Booster:
    parameters = {
        "objective": "binary",
        "metric": "binary_logloss",
        "verbosity": -1,
        # The same trees on every run: sums in a fixed order, every choice from the seed.
        "deterministic": True,
        "force_row_wise": True,
        **{
            name: value
            for name, value in msgspec.to_builtins(trees).items()
            if name not in ("num_iterations", "early_stopping_rounds")
        },
    }
    names = [feature.name for feature in columns.FEATURES]
    learned = lightgbm.Dataset(
        training,
        examples.click[parts.training],
        weight=examples.weight[parts.training],
        feature_name=names,
        categorical_feature=list(columns.CATEGORICAL),
        params=parameters,
    )
    held_out = lightgbm.Dataset(
        validation, examples.click[parts.validation], weight=examples.weight[parts.validation], reference=learned
    )
    stop: list[Callable[..., Any]] = (
        [lightgbm.early_stopping(trees.early_stopping_rounds, verbose=False)] if trees.early_stopping_rounds else []
    )
    return lightgbm.train(parameters, learned, trees.num_iterations, valid_sets=[held_out], callbacks=stop)


def _prior_of(examples: Examples, rows: NDArray[np.intp]) -> PriorRates:
    return fit_prior(
        examples.product_ids,
        examples.product[rows],
        examples.position[rows],
        examples.click[rows],
        examples.weight[rows],
    )


def _item_rates(rates: PriorRates) -> dict[str, float]:
    return {product_id: float(f"{row[0]:.10g}") for product_id, row in rates.by_product.items()}


def _rates_out_of_fold(examples: Examples, rows: NDArray[np.intp], folds: int) -> NDArray[np.float64]:
    """The rate of each impression's product over the other folds, so that no impression sees its own click."""
    fold = np.arange(len(rows)) % folds
    rates = np.empty(len(rows), np.float64)
    for number in range(folds):
        others = _prior_of(examples, rows[fold != number]).table(examples.product_ids)[:, 0]
        rates[fold == number] = others[examples.product[rows[fold == number]]]
    return rates


def _judge(
    model: ClickModel, examples: Examples, parts: Parts, trees: int, settings: TrainingSettings, forced: bool
) -> Evaluation:
    rows = parts.test
    counts = {
        name: PartCount(len(part), int(examples.click[part].sum()))
        for name, part in (("training", parts.training), ("validation", parts.validation), ("test", parts.test))
    }
    by_model = chances_of_all_products(model, examples, rows)
    by_prior = model.prior.table(examples.product_ids)[:, examples.position[rows]].T
    return judge(examples, rows, counts, trees, by_model, by_prior, settings.evaluation, forced)


def chances_of_all_products(model: ClickModel, examples: Examples, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """The model's calibrated chance of every product at each of `rows`, float64 [rows, products]; as it is served."""
    products = len(examples.product_ids)
    attributes = [examples.attributes.get(product_id) for product_id in examples.product_ids]
    masks = model.product_masks(examples.product_ids, attributes)
    chances = np.empty((len(rows), products), np.float64)
    # In blocks, so that the masks of a block stay in the cache.
    for start in range(0, len(rows), 64):
        block = rows[start : start + 64]
        raw = model.raw_scores(
            masks,
            np.tile(np.arange(products, dtype=np.int32), len(block)),
            np.repeat(np.arange(len(block), dtype=np.int32), products),
            np.repeat(examples.position[block], products),
            examples.affinity[block].reshape(-1),
            examples.pages[block],
        )
        chances[start : start + 64] = model.calibration.apply(raw).reshape(len(block), products)
    return chances


def _check_clicks(examples: Examples, parts: Parts) -> None:
    for name, rows in (("training", parts.training), ("validation", parts.validation), ("test", parts.test)):
        clicks = int(examples.click[rows].sum())
        if not 0 < clicks < len(rows):
            remedy = "there must be some and not all: use longer logs or other shares"
            raise InvalidInput([FieldError(f"{name} part", f"{clicks} clicks of {len(rows)}", remedy)])


def _write(out: Path, files: dict[str, bytes]) -> None:
    try:
        replace_files(out, files)
    except OSError as trouble:
        raise BackendUnavailable(
            f"the model cannot be written to {out} ({trouble.strerror or trouble}); free the disk or choose another"
        ) from trouble
