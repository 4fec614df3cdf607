"""How do `haat train moderation`, `haat evaluate moderation` and `haat moderation check` run?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from app.printing import print_json, print_result
from app.settings import Settings
from app.wiring_checks import MODEL, OWN_MODELS, checker_of, model_folder
from common.clock import SystemClock
from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.whole_files import replace_files
from feed.moderation import evaluation as judged
from feed.moderation import ordinary_posts, report, text, training, training_data
from feed.moderation.checker import Author, Checker
from feed.moderation.classifiers import (
    EVALUATION_FILE,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    TextClassifiers,
    load,
    load_manifest,
)
from feed.moderation.image_hash import ImageHash
from feed.moderation.pictures import KnownPictures, Picture
from feed.moderation.training_settings import load_settings
from feed.moderation.velocity import Act, Velocity
from feed.reputation.book import NEWCOMER
from feed.verdict import Verdict

_TRAINING: Final = "training.toml"
_TIMED_POSTS, _KNOWN_PICTURES = 2_000, 100_000


def train_moderation(settings: Settings, data: Path | None, report_dir: Path | None, *, as_json: bool) -> None:
    """Train on the labelled texts below `data`, write the model with its evaluation, and print that."""
    out = settings.models_dir / MODEL
    chosen = out / _TRAINING
    training_settings = load_settings(chosen if chosen.exists() else OWN_MODELS / MODEL / _TRAINING)
    corpus = training_data.read(_folder(data))
    trained = training.train(corpus, training_settings)
    classifiers = trained.classifiers
    evaluation = judged.evaluate(
        classifiers, corpus, training_settings, trained_on_these=True, times=check_times(classifiers)
    )
    manifest = msgspec.json.format(msgspec.json.encode(trained.manifest), indent=1) + b"\n"
    # The manifest comes last: until it is there, a reader sees the old one and refuses the new weights.
    files = {WEIGHTS_FILE: trained.weights, EVALUATION_FILE: judged.written(evaluation), MANIFEST_FILE: manifest}
    _write(out, files)
    _show(trained.manifest, evaluation, report_dir, as_json)


def evaluate_moderation(settings: Settings, data: Path | None, report_dir: Path | None, *, as_json: bool) -> None:
    """Judge the stored model on the texts below `data` that it was not trained on, and print the evaluation."""
    folder = model_folder(settings)
    classifiers, manifest = load(folder), load_manifest(folder)
    corpus = training_data.read(_folder(data))
    same = dict(corpus.sha256) == manifest.data_sha256
    if not same and set(corpus.sha256.values()) & set(manifest.data_sha256.values()):
        value = "some files that the model was trained on, and others"
        raise InvalidInput([FieldError("--data", value, "give all files of the training, or none of them")])
    evaluation = judged.evaluate(
        classifiers, corpus, manifest.settings, trained_on_these=same, times=check_times(classifiers)
    )
    _show(manifest, evaluation, report_dir, as_json)


def check_words(settings: Settings, words: str, *, as_json: bool) -> None:
    """Check one text as a post of a newcomer, and print the verdict."""
    checker = checker_of(settings, KnownPictures(), _Newcomers(), SystemClock())
    verdict = checker.check_text({"text": words}, author=Author("", "", 0.0), act=None)
    shown = _verdict(verdict)
    shown["read_as"] = text.normalise(words).folded.text[:200]
    print_result(shown, as_json=as_json)


def check_times(classifiers: TextClassifiers) -> judged.CheckTimes:
    """Time checks of everyday posts, each with a picture that is compared with many."""
    chance = np.random.default_rng(1)
    pictures = KnownPictures()
    for number, bits in enumerate(chance.integers(0, 256, (_KNOWN_PICTURES, 32), np.uint8)):
        pictures.publish("t", str(number), "somebody", bits.tobytes())
    checker = _checker(classifiers, pictures)
    turned = tuple(row.tobytes() for row in chance.integers(0, 256, (7, 32), np.uint8))
    hashed = ImageHash(chance.integers(0, 256, 32, np.uint8).tobytes(), 100, turned)
    sentences = list(ordinary_posts.ordinary(ordinary_posts.ORDINARY_TEST, 2, 400))[: 3 * _TIMED_POSTS]
    chance.shuffle(sentences)
    # Posts of three sentences with a link and hashtags: the length of a usual caption.
    posts = [
        {"caption": " ".join(sentences[at : at + 3]) + " http://shop.example/a", "hashtags": "autumn handmade gift"}
        for at in range(_TIMED_POSTS)
    ]

    def check(fields: dict[str, str]) -> Verdict:
        return checker.check_text(fields, author=Author("t", fields["caption"][:20], 0.5), act=Act.POST)

    judged.timed(check, posts[:50])
    return judged.times_of(
        check=judged.timed(check, posts),
        classifiers=judged.timed(lambda one: classifiers.probabilities(text.normalise(one["caption"])), posts),
        picture=judged.timed(lambda _: pictures.finding("t", "me", Picture("picture 1", "p", hashed)), posts[:300]),
        # The quickest, since what is meant is the work and not what else the machine did.
        longest=min(judged.timed(check, [{"caption": ("fr33 sh0es f.o.r y\u0435u " * 60_000)[:1_000_000]}] * 3)),
    )


class _Newcomers:
    """Reputations without a record: nobody is trusted."""

    def of(self, tenant_id: str, person_id: str) -> float:
        """0 for everybody."""
        return 0.0

    def posts_a_day(self, tenant_id: str, person_id: str) -> int:
        """What a newcomer may."""
        return NEWCOMER.posts_a_day


def _checker(classifiers: TextClassifiers, pictures: KnownPictures) -> Checker:
    return Checker(
        classifiers=classifiers,
        pictures=pictures,
        velocity=Velocity(),
        reputations=_Newcomers(),
        clock=SystemClock(),
    )


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.name.lower(),
        "risk": round(verdict.risk, 4),
        "findings": [
            {
                "label": finding.label,
                "probability": round(finding.probability, 4),
                "threshold": round(finding.threshold, 4),
                "where": finding.where,
                "evidence": finding.evidence,
            }
            for finding in verdict.findings
        ],
        "checked_by": verdict.checked_by,
    }


def _folder(data: Path | None) -> Path:
    if data is None:
        remedy = "give the folder that holds moderation_davidson, moderation_sms_spam and the others"
        raise InvalidInput([FieldError("--data", "nothing", remedy)])
    return data


def _show(manifest: Manifest, evaluation: judged.Evaluation, report_dir: Path | None, as_json: bool) -> None:
    words = report.text(manifest, evaluation)
    if report_dir is not None:
        _write(report_dir, {"moderation.md": words.encode()})
    if as_json:
        print_json(msgspec.json.decode(judged.written(evaluation)))
    else:
        print(words, end="")


def _write(out: Path, files: dict[str, bytes]) -> None:
    try:
        replace_files(out, files)
    except OSError as trouble:
        raise BackendUnavailable(
            f"nothing can be written to {out} ({trouble.strerror or trouble}); free the disk or choose another"
        ) from trouble
