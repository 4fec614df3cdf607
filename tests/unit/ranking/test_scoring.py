"""Does a ranker score each finalist as its parts say, and always bring some ranker up?"""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest

from exchange.ports import PageColumns, Ranker
from ranking import training
from ranking.examples import Examples, read_examples
from ranking.manifest import MANIFEST_FILE, MODEL_FILE
from ranking.model import ClickModel, load
from ranking.prior import FLAT, PriorRates
from ranking.scoring import ClickRanker, PriorRanker, open_ranker
from ranking.settings import TrainingSettings

from .conftest import ITEMS, write_log

IDS = [f"men-{item}" for item in range(ITEMS)]
RATES = PriorRates({"men-1": (0.01, 0.02, 0.03, 0.04)}, (0.005, 0.006, 0.007, 0.008), 1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    write_log(folder, "men", rows=1500, seed=1, signal=True)
    return folder


@pytest.fixture(scope="module")
def examples(logs: Path) -> Examples:
    return read_examples(logs, ("men",))


@pytest.fixture(scope="module")
def trained(logs: Path, settings: TrainingSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    training.train(logs, out, settings, forced=True)
    return out


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of one's own, to be broken."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


@pytest.fixture
def model(trained: Path) -> ClickModel:
    return load(trained)


def a_page(segments: tuple[str, ...] = ()) -> PageColumns:
    return PageColumns(
        viewed_at_ms=np.array([1_574_553_634_762], np.int64),
        segments=[segments],
        device_type=np.zeros(1, np.int32),
        affinity_sums=np.zeros(1, np.float32),
    )


def rows(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


@pytest.mark.parametrize("kind", [PriorRanker, ClickRanker])
def test_rankers_have_the_signature_of_the_port(kind: type[PriorRanker]) -> None:
    for method in ("compile_products", "prior", "score"):
        assert list(inspect.signature(getattr(kind, method)).parameters) == list(
            inspect.signature(getattr(Ranker, method)).parameters
        )


def test_the_prior_scores_by_product_and_position() -> None:
    ranker: Ranker = PriorRanker(RATES)
    compiled = ranker.compile_products(["new", "men-1", "new", "men-1"])

    scores = ranker.score(
        compiled,
        rows(0, 1, 2, 3, 3, 3),
        rows(0, 0, 0, 0, 0, 0),
        rows(0, 1, 2, 3, 9, -1),
        np.zeros(6, np.float32),
        a_page(),
    )

    assert scores.tolist() == [0.005, 0.02, 0.007, 0.04, 0.04, 0.01]
    assert ranker.prior(["men-1", "new", "men-1"]).tolist() == [
        [0.01, 0.02, 0.03, 0.04],
        [0.005, 0.006, 0.007, 0.008],
        [0.01, 0.02, 0.03, 0.04],
    ]


def test_the_model_scores_finalists_as_in_evaluation(model: ClickModel, examples: Examples) -> None:
    ranker: Ranker = ClickRanker(model, examples.attributes.get, "model")
    # Line items share products: thirty of them over six.
    compiled = ranker.compile_products([IDS[at % ITEMS] for at in range(30)])
    chance = np.random.default_rng(5)
    views = np.arange(40, 104)
    pages = examples.pages[views]
    product, page = (chance.integers(0, end, 500).astype(np.int32) for end in (30, 64))

    scores = ranker.score(
        compiled,
        product,
        page,
        examples.position[views][page],
        examples.affinity[views[page], product % ITEMS],
        PageColumns(pages.viewed_at_ms, pages.segments, pages.device_type, pages.affinity_sums),
    )

    expected = training.chances_of_all_products(model, examples, views)[page, product % ITEMS]
    assert np.array_equal(scores, expected)
    assert len(np.unique(scores)) > 20


def test_a_product_outside_of_the_catalogue_still_gets_a_chance(model: ClickModel) -> None:
    ranker = ClickRanker(model, lambda product_id: None, "model")

    scores = ranker.score(
        ranker.compile_products(["new"]),
        rows(0, 0),
        rows(0, 0),
        rows(0, 2),
        np.array([np.nan, 1.0], np.float32),
        a_page(),
    )

    assert ((scores > 0.0) & (scores < 1.0)).all()


def test_no_finalists_get_no_scores(model: ClickModel, examples: Examples) -> None:
    for serving in ("model", "prior"):
        ranker = ClickRanker(model, examples.attributes.get, "model" if serving == "model" else "prior")
        nothing = np.empty(0, np.int32)

        scores = ranker.score(
            ranker.compile_products(IDS), nothing, nothing, nothing, np.empty(0, np.float32), a_page()
        )

        assert scores.shape == (0,)
        assert ranker.prior([]).shape == (0, 4)


def test_a_model_that_may_not_serve_leaves_it_to_its_prior(model: ClickModel, examples: Examples) -> None:
    ranker = ClickRanker(model, examples.attributes.get, "prior")

    scores = ranker.score(ranker.compile_products(IDS), rows(1), rows(0), rows(2), np.zeros(1, np.float32), a_page())

    assert scores.tolist() == [model.prior.by_product["men-1"][2]]
    assert ranker.version == f"prior-{model.version}"


def test_scores_do_not_depend_on_what_else_is_in_the_batch(model: ClickModel, examples: Examples) -> None:
    ranker = ClickRanker(model, examples.attributes.get, "model")
    compiled = ranker.compile_products(IDS)
    product, position = np.arange(18, dtype=np.int32) % ITEMS, np.repeat(rows(1, 2, 3), ITEMS)
    page, affinity = np.zeros(18, np.int32), np.zeros(18, np.float32)

    together = ranker.score(compiled, product, page, position, affinity, a_page())

    alone = [
        ranker.score(compiled, product[i : i + 1], page[:1], position[i : i + 1], affinity[:1], a_page())[0]
        for i in range(18)
    ]
    assert together.tolist() == alone


def test_warming_changes_nothing(model: ClickModel) -> None:
    for ranker in (PriorRanker(FLAT), ClickRanker(model, lambda product_id: None, "model")):
        before = ranker.prior(IDS)
        ranker.warm()
        assert np.array_equal(ranker.prior(IDS), before)


def test_a_good_folder_brings_up_the_model(folder: Path) -> None:
    ranker, sentence = open_ranker(folder, lambda product_id: None)

    assert ranker.version.startswith("model-")
    assert sentence == f"The click model {ranker.version} serves."


def test_a_broken_model_leaves_the_prior_and_says_so(folder: Path, model: ClickModel) -> None:
    (folder / MODEL_FILE).write_text("not a model")

    ranker, sentence = open_ranker(folder, lambda product_id: None)

    assert np.array_equal(ranker.prior(IDS), model.prior.table(IDS))
    assert "is not the file that manifest.json belongs to" in sentence
    assert sentence.endswith("The smoothed rates serve without the model.")


def test_a_broken_manifest_leaves_one_flat_rate_and_says_so(folder: Path) -> None:
    (folder / MANIFEST_FILE).write_text("{")

    ranker, sentence = open_ranker(folder, lambda product_id: None)

    assert np.array_equal(ranker.prior(IDS), FLAT.table(IDS))
    assert "manifest.json is broken" in sentence


def test_no_folder_leaves_one_flat_rate_and_says_so(tmp_path: Path) -> None:
    ranker, sentence = open_ranker(tmp_path / "nowhere", lambda product_id: None)

    assert ranker.version == "flat"
    assert "`haat train` makes it" in sentence
