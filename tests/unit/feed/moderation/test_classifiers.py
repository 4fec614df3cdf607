"""Does our evaluator say what scikit-learn says, and is a wrong artefact refused?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from feed.moderation import features, training
from feed.moderation.classifiers import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    ClassifiersRefused,
    Manifest,
    TextClassifiers,
    load,
    load_manifest,
)
from feed.moderation.text import normalise
from feed.verdict import Label
from tests.moderation_texts import POSTS, a_corpus, quick_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
MODEL = ROOT / "models" / "moderation"


@pytest.fixture(scope="module")
def committed() -> TextClassifiers:
    return load(MODEL)


@pytest.fixture(scope="module")
def trained() -> training.Trained:
    return training.train(a_corpus(), quick_settings())


def write(folder: Path, manifest: Manifest, weights: bytes) -> None:
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    (folder / WEIGHTS_FILE).write_bytes(weights)


@pytest.mark.slow
def test_the_evaluator_equals_scikit_learn() -> None:
    texts = [features.shaped(normalise(post).folded.text) for post in POSTS]
    known = np.arange(len(texts)) % 2
    counted = training.matrix(texts)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counted)
    model = LogisticRegression(C=4.0, solver="liblinear").fit(tfidf.transform(counted), known)
    # The artefact holds float32, so scikit-learn is given the same numbers.
    tfidf.idf_ = tfidf.idf_.astype(np.float32).astype(np.float64)
    model.coef_ = model.coef_.astype(np.float32).astype(np.float64)
    ours = TextClassifiers(
        "v",
        (Label.SPAM,),
        (0.5,),
        tfidf.idf_.astype(np.float32),
        model.coef_.T.astype(np.float32),
        model.intercept_.astype(np.float64),
        (),
    )

    theirs = model.decision_function(tfidf.transform(counted))

    np.testing.assert_allclose([ours.raw_scores(text)[0] for text in texts], theirs, rtol=0, atol=1e-9)


def test_what_is_trained_tells_the_labels_apart(trained: training.Trained) -> None:
    classifiers = trained.classifiers

    def chances(text: str) -> dict[Label, float]:
        return dict(zip(classifiers.labels, classifiers.probabilities(normalise(text)).tolist(), strict=True))

    assert chances("vile rubbish my scarf")[Label.OFFENSIVE] > 0.5 > chances("nice scarf")[Label.OFFENSIVE]
    assert chances("win cash now 0800123456")[Label.SPAM] > 0.5 > chances("ok see you")[Label.SPAM]


@pytest.mark.slow
def test_training_twice_gives_the_same_files(trained: training.Trained) -> None:
    again = training.train(a_corpus(), quick_settings())

    assert again.weights == trained.weights
    assert again.manifest == trained.manifest


def test_a_written_model_is_loaded_as_it_was(trained: training.Trained, tmp_path: Path) -> None:
    write(tmp_path, trained.manifest, trained.weights)

    again = load(tmp_path)

    text = normalise("win cash now")
    assert again.probabilities(text).tolist() == trained.classifiers.probabilities(text).tolist()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClassifiersRefused, match=r"manifest\.json cannot be read.*haat train moderation"):
        load(tmp_path)


def test_weights_of_another_model_are_refused(trained: training.Trained, tmp_path: Path) -> None:
    write(tmp_path, trained.manifest, trained.weights + b"\0")

    with pytest.raises(ClassifiersRefused, match="not the file that"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("schema", 99, "schema"), ("feature_fingerprint", "0", "other features or word lists")],
)
def test_a_manifest_that_does_not_fit_is_refused(
    trained: training.Trained, tmp_path: Path, field: str, value: object, said: str
) -> None:
    changed = msgspec.json.decode(msgspec.json.encode(trained.manifest))
    changed[field] = value
    write(tmp_path, msgspec.convert(changed, Manifest), trained.weights)

    with pytest.raises(ClassifiersRefused, match=said):
        load(tmp_path)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text('{"schema": ')

    with pytest.raises(ClassifiersRefused, match="broken"):
        load(tmp_path)


def test_the_committed_model_fits_this_version_and_names_its_licences(committed: TextClassifiers) -> None:
    manifest = load_manifest(MODEL)

    assert set(manifest.licences) == {name.split("/")[0] for name in manifest.data_sha256}
    assert committed.thresholds == tuple(entry.threshold for entry in manifest.labels)
    assert (MODEL / WEIGHTS_FILE).stat().st_size < 4 << 20


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("you are a stupid bitch and a whore", Label.OFFENSIVE),
        ("WINNER!! You have won a 1000 pound prize, call 09061701461 now to claim", Label.SPAM),
        ("hey check out my channel and subscribe http://youtube.example/x", Label.SPAM),
        ("21 Things You Will Never Believe Happened To This Actress", Label.CLICKBAIT),
    ],
)
def test_the_committed_model_finds_what_is_plain(committed: TextClassifiers, text: str, label: Label) -> None:
    at = committed.labels.index(label)

    assert committed.probabilities(normalise(text))[at] >= committed.thresholds[at]


@pytest.mark.parametrize("text", ["My new scarf is so soft", "", "…", "Ich liebe diesen Schal", "這條圍巾很漂亮"])
def test_the_committed_model_leaves_alone_what_is_harmless(committed: TextClassifiers, text: str) -> None:
    assert (committed.probabilities(normalise(text)) < np.array(committed.thresholds)).all()


def test_evidence_is_from_around_the_heaviest_word(committed: TextClassifiers) -> None:
    text = normalise("one two three four five six seven you B1TCH eight nine ten eleven twelve thirteen fourteen")

    evidence = committed.evidence(text, Label.OFFENSIVE)

    assert "B1TCH" in evidence
    assert "one" not in evidence
    assert "fourteen" not in evidence
