from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.neighbours_exact import ExactNeighbours
from feed.recommender import artefact
from feed.recommender.artefact import RecommenderRefused
from feed.recommender.serving import ServingRecommender
from tests.recommender_builders import NOW_MS, history, trained


def save(folder: Path, version: str = "1") -> None:
    artefact.save(folder, trained(), version=version, trees=20, learned_events=5, learned_from="shop")


def load(folder: Path, version: str = "1") -> None:
    artefact.load(folder, version, ExactNeighbours())


def test_a_saved_recommender_says_the_same_after_loading(tmp_path: Path) -> None:
    save(tmp_path)

    hybrid, manifest = artefact.load(tmp_path, "1", ExactNeighbours())

    of = [history("mug-3", "lamp-1"), []]
    assert hybrid.recommend(of, 10, NOW_MS) == trained().recommend(of, 10, NOW_MS)
    assert hybrid.alongside(["mug-1"], 5) == trained().alongside(["mug-1"], 5)
    assert manifest.items == 40
    assert artefact.current(tmp_path) == "1"


@pytest.mark.parametrize("name", [artefact.ARRAYS, artefact.TREES, artefact.ITEMS, artefact.WORDS])
def test_a_file_with_one_byte_changed_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    save(tmp_path)
    path = tmp_path / "1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(RecommenderRefused, match=f"{name} of version 1 is not what its manifest says"):
        load(tmp_path)


def test_a_missing_or_cut_off_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "1" / artefact.ARRAYS).write_bytes((tmp_path / "1" / artefact.ARRAYS).read_bytes()[:100])
    with pytest.raises(RecommenderRefused, match="not what its manifest says"):
        load(tmp_path)

    (tmp_path / "1" / artefact.ARRAYS).unlink()
    with pytest.raises(RecommenderRefused, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("schema", 99, "schema 99"), ("features", ["other"], "other features"), ("items", 7, "another catalogue")],
)
def test_a_foreign_manifest_is_refused(tmp_path: Path, field: str, value: object, said: str) -> None:
    save(tmp_path)
    path = tmp_path / "1" / artefact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    with pytest.raises(RecommenderRefused, match=said):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', "\x00\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    save(tmp_path)
    (tmp_path / "1" / artefact.MANIFEST).write_text(text, "latin-1")

    with pytest.raises(RecommenderRefused):
        load(tmp_path)


@pytest.mark.parametrize("said", ["../../etc", "", "1/../2", "x" * 200])
def test_current_may_name_nothing_but_a_version(tmp_path: Path, said: str) -> None:
    (tmp_path / artefact.CURRENT).write_text(said)

    with pytest.raises(RecommenderRefused, match="which is no version"):
        artefact.current(tmp_path)


def test_nothing_serves_until_something_is_trained(tmp_path: Path) -> None:
    serving = ServingRecommender(tmp_path, lambda _: ExactNeighbours())

    assert serving.follow() == ""
    assert serving.current is None

    save(tmp_path)

    assert serving.follow() == ""
    assert serving.version == "1"
    assert serving.current is not None


def test_the_old_one_serves_on_when_the_new_one_is_damaged_and_the_reason_is_said_once(tmp_path: Path) -> None:
    save(tmp_path)
    serving = ServingRecommender(tmp_path, lambda _: ExactNeighbours())
    serving.follow()
    old = serving.current
    save(tmp_path, "2")
    (tmp_path / "2" / artefact.TREES).write_text("tree\n")

    assert "blend.txt of version 2" in serving.follow()
    assert serving.follow() == ""
    assert serving.current is old

    save(tmp_path, "3")

    assert serving.follow() == ""
    assert serving.version == "3"


def test_a_version_that_is_half_written_is_not_current(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / artefact.TREES).write_text("tree\n")

    serving = ServingRecommender(tmp_path, lambda _: ExactNeighbours())
    serving.follow()

    assert serving.version == "1"


def test_old_versions_go_and_the_current_one_never(tmp_path: Path) -> None:
    for version in ("9", "10", "11", "12"):
        save(tmp_path, version)
    (tmp_path / artefact.CURRENT).write_text("9\n")
    (tmp_path / "training.toml").write_text("")

    assert artefact.drop_old(tmp_path, 9) == []
    assert artefact.drop_old(tmp_path, 5) == []
    assert artefact.drop_old(tmp_path, 2) == ["10"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["11", "12", "9", "current", "training.toml"]
