"""Does training find a signal where there is one, admit it where there is none, and give the same files twice?"""

from __future__ import annotations

from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import pytest

from common.errors import BackendUnavailable, InvalidInput, NotFound
from ranking import training
from ranking.evaluation import read_evaluation
from ranking.examples import columns_of, read_examples, split_by_time
from ranking.forest import parse_forest
from ranking.manifest import EVALUATION_FILE, MANIFEST_FILE, MODEL_FILE
from ranking.model import load, load_evaluation, load_manifest
from ranking.prior import fit_prior
from ranking.settings import TrainingSettings, load_settings

from .conftest import ITEMS, ROOT, WriteLogs

pytestmark = pytest.mark.slow

FILES = (MODEL_FILE, MANIFEST_FILE, EVALUATION_FILE)
SHIPPED = ROOT / "models" / "click"


def test_a_signal_ends_in_a_model_that_serves(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    found = training.train(write_logs(rows=4000), tmp_path / "out", settings)

    assert found.serving == "model"
    assert found.difference["log_loss"].high < 0.0
    assert found.model["roc_auc"].value > found.prior["roc_auc"].high
    assert 0.7 < found.model["calibration_ratio"].value < 1.4
    assert found.clicks_per_mille_model.snips.value > found.clicks_per_mille_logged.value
    assert load(tmp_path / "out").serving == "model"
    assert load_evaluation(tmp_path / "out") == read_evaluation((tmp_path / "out" / EVALUATION_FILE).read_bytes())


def test_pure_noise_ends_in_the_prior(write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path) -> None:
    found = training.train(write_logs(rows=4000, signal=False), tmp_path / "out", settings)

    assert found.serving == "prior"
    assert found.sentence.startswith("The smoothed rate serves")
    assert load(tmp_path / "out").serving == "prior"


@pytest.mark.parametrize("calibration", ["platt", "isotonic"])
def test_the_same_logs_give_the_same_files(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path, calibration: str
) -> None:
    own = msgspec.convert({**msgspec.to_builtins(settings), "calibration": calibration}, TrainingSettings)
    folder = write_logs(rows=1500)

    for out in ("first", "again"):
        training.train(folder, tmp_path / out, own)

    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == sorted(FILES)


def test_the_served_chances_are_those_of_lightgbm_calibrated(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    folder = write_logs(rows=1500)
    training.train(folder, tmp_path / "out", settings)
    model = load(tmp_path / "out")
    examples = read_examples(folder, ("men",))
    rows = np.arange(0, 1500, 3)

    served = training.chances_of_all_products(model, examples, rows)

    booster = lightgbm.Booster(model_file=str(tmp_path / "out" / MODEL_FILE))
    raw = np.asarray(booster.predict(columns_of(examples, rows, model.state), raw_score=True), np.float64)
    assert np.array_equal(served[np.arange(len(rows)), examples.product[rows]], model.calibration.apply(raw))
    assert served.shape == (500, ITEMS)


def test_nothing_is_learned_from_the_test_part(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    folder = write_logs(rows=1500)
    training.train(folder, tmp_path / "out", settings)
    log = folder / "men" / "men.csv"
    lines = log.read_text().splitlines()
    # Every click of the last fifth is turned round, and its visitors become strangers.
    for at in range(1 + 1250, len(lines)):
        cells = lines[at].split(",")
        cells[4] = str(1 - int(cells[4]))
        cells[6] = "stranger"
        lines[at] = ",".join(cells)
    log.write_text("\n".join(lines) + "\n")

    training.train(folder, tmp_path / "other", settings)

    assert (tmp_path / "out" / MODEL_FILE).read_bytes() == (tmp_path / "other" / MODEL_FILE).read_bytes()
    first, other = load_manifest(tmp_path / "out"), load_manifest(tmp_path / "other")
    assert first.features == other.features
    assert (first.prior, first.item_rates, first.calibration) == (other.prior, other.item_rates, other.calibration)
    assert first.data_sha256 != other.data_sha256


def test_rates_as_a_feature_come_from_the_training_part_alone(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    folder = write_logs(rows=1500)
    training.train(folder, tmp_path / "out", settings)
    examples = read_examples(folder, ("men",))
    rows = split_by_time(examples, 0.6, 0.2).training

    own = fit_prior(
        examples.product_ids,
        examples.product[rows],
        examples.position[rows],
        examples.click[rows],
        examples.weight[rows],
    )

    manifest = load_manifest(tmp_path / "out")
    assert manifest.item_rates == pytest.approx({name: rates[0] for name, rates in own.by_product.items()})
    assert manifest.part_bounds_ms["men"][:2] == (
        int(examples.pages.viewed_at_ms[rows].min()),
        int(examples.pages.viewed_at_ms[rows].max()),
    )


def test_evaluating_again_finds_the_same(write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path) -> None:
    folder = write_logs(rows=1500)

    found = training.train(folder, tmp_path / "out", settings)

    # The manifest keeps ten digits of a rate.
    again = training.evaluate(folder, tmp_path / "out")
    assert again.serving == found.serving
    assert again.model["log_loss"] == found.model["log_loss"]
    assert again.prior["log_loss"].value == pytest.approx(found.prior["log_loss"].value)


def test_a_model_is_not_evaluated_on_other_logs(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    training.train(write_logs(rows=1500), tmp_path / "out", settings)

    with pytest.raises(InvalidInput, match="does not hold the logs of this model"):
        training.evaluate(write_logs(rows=1500, seed=9), tmp_path / "out")


@pytest.mark.slow
def test_the_bench_model_has_the_size_of_the_targets_and_serves(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    found = training.train_bench_model(write_logs(rows=4000, signal=False), tmp_path / "out", settings)

    trees = parse_forest((tmp_path / "out" / MODEL_FILE).read_text()).trees
    assert [len(tree.leaf_values) for tree in trees] == [31] * 200
    assert found.forced
    assert load(tmp_path / "out").serving == "model"


def test_a_part_without_a_click_is_refused(write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path) -> None:
    folder = write_logs(rows=30)
    log = folder / "men" / "men.csv"
    lines = [line.split(",") for line in log.read_text().splitlines()]
    log.write_text(
        "\n".join(",".join([*cells[:4], "0" if at else cells[4], *cells[5:]]) for at, cells in enumerate(lines))
    )

    with pytest.raises(InvalidInput, match="training part: 0 clicks of 18"):
        training.train(folder, tmp_path / "out", settings)


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    write_logs: WriteLogs, settings: TrainingSettings, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file stands here")

    with pytest.raises(BackendUnavailable, match="the model cannot be written"):
        training.train(write_logs(rows=1500), tmp_path / "out", settings)


def test_settings_of_the_project_are_read() -> None:
    assert load_settings(SHIPPED / "training.toml").data.sections == ("all", "men", "women")


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ("num_leaves = 8", "num_leaves = 65", r"trees\.num_leaves"),
        ("num_leaves = 8", "", "num_leaves"),
        ("prior_folds = 5", "prior_folds = 5\nsurprise = 1", "surprise"),
        ("validation_share = 0.2", "validation_share = 0.4", "training_share below 1"),
        ('calibration = "platt"', 'calibration = "magic"', "calibration"),
        ("[data]", "[data", "line"),
        ('"all", ', '"../all", ', "sections"),
    ],
)
def test_settings_that_cannot_be_taken_are_named(tmp_path: Path, good: str, bad: str, named: str) -> None:
    text = (SHIPPED / "training.toml").read_text()
    assert good in text
    (tmp_path / "training.toml").write_text(text.replace(good, bad, 1))

    with pytest.raises(InvalidInput, match=named):
        load_settings(tmp_path / "training.toml")


def test_missing_settings_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no training settings"):
        load_settings(tmp_path / "training.toml")


@pytest.mark.slow
def test_real_logs_give_the_shipped_evaluation_again(real_logs: Path) -> None:
    shipped = load_evaluation(SHIPPED)

    again = training.evaluate(real_logs, SHIPPED)

    assert again.parts == shipped.parts
    assert again.serving == shipped.serving
    for name, figure in shipped.model.items():
        assert again.model[name].value == pytest.approx(figure.value, rel=1e-6), name
        assert again.prior[name].value == pytest.approx(shipped.prior[name].value, rel=1e-6), name
