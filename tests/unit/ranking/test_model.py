"""Is a model folder that is not whole refused, in words that say what to do?"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ranking import training
from ranking.features import context
from ranking.manifest import EVALUATION_FILE, MANIFEST_FILE, MODEL_FILE, Manifest, written
from ranking.model import ModelRefused, load, load_evaluation, load_manifest, load_prior
from ranking.settings import TrainingSettings

from .conftest import ROOT, write_log

Change = Callable[[Manifest], Manifest]


@pytest.fixture(scope="module")
def trained(settings: TrainingSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trained")
    write_log(made / "logs", "men", rows=1000, seed=1, signal=True)
    training.train(made / "logs", made / "model", settings)
    return made / "model"


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of one's own, to be broken."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def rewrite(folder: Path, change: Change) -> None:
    (folder / MANIFEST_FILE).write_bytes(written(change(load_manifest(folder))))


def test_the_shipped_model_loads_and_serves_what_its_evaluation_says() -> None:
    shipped = ROOT / "models" / "click"

    model = load(shipped)

    assert model.serving == load_evaluation(shipped).serving
    assert len(model.prior.by_product) == 160
    assert sum(path.stat().st_size for path in shipped.iterdir()) < 1_500_000


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelRefused, match=rf"there is no .*{name}; `haat train` makes it"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"schema": "one"}', b"\xff\xfe", b"\x00" * 50])
def test_a_broken_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_FILE).write_bytes(content)

    for read in (load, load_prior):
        with pytest.raises(ModelRefused, match=r"manifest\.json is broken"):
            read(folder)


def test_a_manifest_cut_anywhere_is_refused(folder: Path) -> None:
    whole = (folder / MANIFEST_FILE).read_bytes()
    for length in range(0, len(whole) - 2, 97):
        (folder / MANIFEST_FILE).write_bytes(whole[:length])
        with pytest.raises(ModelRefused):
            load(folder)


def test_another_model_file_is_refused(folder: Path) -> None:
    text = (folder / MODEL_FILE).read_text()
    (folder / MODEL_FILE).write_text(text.replace("shrinkage=0.1", "shrinkage=0.2", 1))

    with pytest.raises(ModelRefused, match=r"is not the file that manifest\.json belongs to"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: msgspec.structs.replace(m, schema=2), "schema 2"),
        (lambda m: msgspec.structs.replace(m, features=m.features[:-1]), "differ in affinity"),
        (lambda m: msgspec.structs.replace(m, features=m.features[::-1]), "kind, scope or order"),
        (lambda m: msgspec.structs.replace(m, feature_fingerprint="0" * 64), "computed in another way"),
        (
            lambda m: msgspec.structs.replace(m, calibration=msgspec.structs.replace(m.calibration, slope=-1.0)),
            "not a rising curve",
        ),
        (
            lambda m: msgspec.structs.replace(m, prior=msgspec.structs.replace(m.prior, by_position=(0.1, 0.1))),
            "4 rates between 0 and 1",
        ),
        (
            lambda m: msgspec.structs.replace(m, prior=msgspec.structs.replace(m.prior, by_position=(0.0,) * 4)),
            "4 rates between 0 and 1",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, change: Change, reason: str) -> None:
    rewrite(folder, change)

    with pytest.raises(ModelRefused, match=reason):
        load(folder)


def test_a_model_from_before_a_feature_changed_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_FIRST_WEEKDAY", 0)

    with pytest.raises(ModelRefused, match="the features are computed in another way"):
        load(folder)


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("affinity\n", "affinety\n", "feature names"),
        ("objective=binary sigmoid:1", "objective=regression", "objective"),
    ],
)
def test_a_model_file_of_another_kind_is_refused_even_with_its_own_hash(
    folder: Path, good: str, bad: str, reason: str
) -> None:
    text = (folder / MODEL_FILE).read_text()
    assert good in text
    content = text.replace(good, bad, 1).encode()
    (folder / MODEL_FILE).write_bytes(content)
    rewrite(folder, lambda m: msgspec.structs.replace(m, model_sha256=hashlib.sha256(content).hexdigest()))

    with pytest.raises(ModelRefused, match=reason):
        load(folder)


def test_the_prior_needs_no_model_file(folder: Path) -> None:
    expected = load(folder).prior
    (folder / MODEL_FILE).unlink()

    assert load_prior(folder) == expected


def test_a_broken_evaluation_is_refused(folder: Path) -> None:
    (folder / EVALUATION_FILE).write_text("{}")

    with pytest.raises(ModelRefused, match=r"evaluation\.json is broken"):
        load_evaluation(folder)
