"""Are labelled texts read as they are meant, and is a broken file named?"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from common.errors import InvalidInput
from feed.moderation import training, training_data
from feed.moderation.classifiers import load, load_manifest
from feed.moderation.training_data import COLLECTIONS, part_of
from feed.moderation.training_settings import load_settings
from feed.verdict import Label

MODEL = Path(__file__).parents[4] / "models" / "moderation"
ROWS = {
    "moderation_davidson": "class,tweet\n0,A &amp; B\n1,C\n2,D\n7,broken\n",
    "moderation_sms_spam": "label,text\nspam,call 0800123456\nspam,hello\nham,ok\n",
    "moderation_youtube_spam": "CONTENT,CLASS,video\nsee www.x.com,1,Psy\nnice,0,Psy\n",
    "moderation_clickbait": "headline,clickbait\nYou will not believe,1\nCouncil votes,0\n",
}


def a_folder(folder: Path, rows: dict[str, str]) -> Path:
    for name, text in rows.items():
        (folder / name).mkdir()
        (folder / name / "train.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_rows_become_texts_with_what_is_known_of_them(tmp_path: Path) -> None:
    corpus = training_data.read(a_folder(tmp_path, ROWS))

    tweets = corpus.examples["moderation_davidson"]
    assert [(one.text, one.is_[Label.HATE], one.is_[Label.OFFENSIVE]) for one in tweets] == [
        ("A & B", 1, 1),
        ("C", 0, 1),
        ("D", 0, 0),
    ]
    messages = corpus.examples["moderation_sms_spam"]
    assert [(one.is_[Label.SPAM], one.is_[Label.SCAM_LINK]) for one in messages] == [(1, 1), (1, 0), (0, 0)]
    assert corpus.examples["moderation_youtube_spam"][0].page == "Psy"
    assert set(corpus.sha256) == {f"{name}/train.csv.gz" for name in ROWS}


def test_every_missing_collection_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        training_data.read(tmp_path)

    assert len(caught.value.errors) == len(COLLECTIONS)
    assert "MIT" in caught.value.errors[0].remedy


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"\xff\xfe", mtime=0), gzip.compress(b"a,b\n1,2\n", mtime=0), b""]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    a_folder(tmp_path, ROWS)
    (tmp_path / "moderation_davidson" / "train.csv.gz").write_bytes(content)

    with pytest.raises(InvalidInput, match=r"train\.csv\.gz"):
        training_data.read(tmp_path)


def test_too_few_texts_are_refused_by_part_and_label(tmp_path: Path) -> None:
    corpus = training_data.read(a_folder(tmp_path, ROWS))

    with pytest.raises(InvalidInput, match="label hate in the training part"):
        training.train(corpus, load_settings(MODEL / "training.toml"))


def test_copies_of_a_text_lie_in_one_part() -> None:
    shares = (0.5, 0.3)
    texts = [f"a text with the number {number}" for number in range(200)]

    assert {part_of(text, shares) for text in texts} == {"training", "validation", "test"}
    assert all(part_of(text, shares) == part_of(f"  {text.upper()} ", shares) for text in texts)


@pytest.mark.skipif("HAAT_DATA" not in os.environ, reason="needs data: HAAT_DATA=FOLDER pytest tests/unit/feed")
def test_the_committed_model_was_learned_from_this_data_and_finds_what_it_says() -> None:
    corpus = training_data.read(Path(os.environ["HAAT_DATA"]))
    manifest, classifiers = load_manifest(MODEL), load(MODEL)
    rows = training.rows_of(training.parts_of(corpus, manifest.settings)["test"])
    column = training_data.LABELS.index(Label.OFFENSIVE)
    at, known = rows.of(Label.OFFENSIVE)

    found = [classifiers.of_shaped(rows.shaped[row])[column] >= classifiers.thresholds[column] for row in at]

    assert dict(corpus.sha256) == manifest.data_sha256
    assert np.array(found)[known == 1].mean() > 0.8
