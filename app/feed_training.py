"""How do `haat train feed` and `haat evaluate feed` run? From the feed's own pages to models/feed and a report."""

from __future__ import annotations

import tomllib
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from app.explain import log_of
from app.settings import Settings
from common.errors import BackendUnavailable, FieldError, InvalidInput, NotFound
from feed import features
from feed.heads import HEADS
from feed.timeline import SCORERS
from feed.training_data import FeedExamples, read
from ranking import feedback_logs, head_model, heads
from ranking.forest import ModelRefused
from ranking.head_evaluation import HeadEvaluation, judge, written
from ranking.head_report import head_lines, policy_lines
from ranking.heads import HeadExamples, HeadParts, HeadSettings

_FOLDER, _TRAINING = "feed", "training.toml"
_OWN_MODELS = Path(__file__).resolve().parent.parent / "models"
_BASELINE = "hand-weighted"


def train_feed(settings: Settings, *, as_json: bool) -> None:
    """Train the heads from the pages in the event log, judge them on the latest, and write models/feed."""
    chosen = _settings(settings)
    examples = _read(settings)
    parts = heads.split(examples.impressions, chosen)
    version = features.version(SCORERS)
    model, texts = heads.train(examples.impressions, parts, [head.worth for head in HEADS], version, chosen)
    draws = examples.draws_from(model.manifest.trained_until_ms)
    evaluation = judge(model, examples.impressions, parts, draws, chosen)
    manifest = msgspec.structs.replace(model.manifest, serving=evaluation.serving, sentence=evaluation.sentence)
    heads.write(settings.models_dir / _FOLDER, manifest, texts, written(evaluation))
    _show(evaluation, examples.pages, as_json)


def evaluate_feed(settings: Settings, *, feedback: Path | None, report: Path | None, as_json: bool) -> None:
    """Judge the stored model on pages served after its training; with `feedback`, heads on a public log too."""
    chosen = _settings(settings)
    sections: list[list[str]] = []
    found: dict[str, HeadEvaluation] = {}
    try:
        model = head_model.load(settings.models_dir / _FOLDER, features.names(SCORERS), features.version(SCORERS))
    except ModelRefused as refused:
        if feedback is None:
            raise NotFound(str(refused)) from refused
        model = None
    if model is not None:
        examples = _read(settings)
        manifest = model.manifest
        at_ms = examples.impressions.at_ms
        cuts = np.searchsorted(at_ms, [manifest.validated_from_ms, manifest.trained_until_ms])
        rows = np.arange(len(at_ms))
        parts = HeadParts(rows[: cuts[0]], rows[cuts[0] : cuts[1]], rows[cuts[1] :])
        if not len(parts.test) or not len(parts.validation):
            remedy = "serve more pages, or give the data folder that the model was trained from"
            raise InvalidInput([FieldError("feed pages", "none after the model's training", remedy)])
        draws = examples.draws_from(manifest.trained_until_ms)
        found["feed"] = judge(model, examples.impressions, parts, draws, chosen)
        sections.append(_own_section(found["feed"], examples.pages))
    if feedback is not None:
        for one in feedback_logs.read(feedback):
            found["+".join(one.heads)] = _judged_offline(one, chosen)
        sections.append(_public_section(found))
    words = "\n".join(line for section in sections for line in [*section, ""])
    if report is not None:
        _write(report, words)
    print(msgspec.json.encode(found).decode() if as_json else words.rstrip())


def _judged_offline(examples: HeadExamples, settings: HeadSettings) -> HeadEvaluation:
    parts = heads.split(examples, settings)
    model, _ = heads.train(examples, parts, [1.0] * len(examples.heads), "offline", settings)
    return judge(model, examples, parts, None, settings)


def _read(settings: Settings) -> FeedExamples:
    with log_of(settings) as log, closing(log):
        examples = read(log, features.names(SCORERS), features.version(SCORERS))
    if not len(examples.impressions):
        remedy = "serve pages to visitors who agree to personal content, or make some with `haat simulate feed --out`"
        raise InvalidInput([FieldError("event log", "no feed page with these features", remedy)])
    return examples


def _settings(settings: Settings) -> HeadSettings:
    path = settings.models_dir / _FOLDER / _TRAINING
    path = path if path.exists() else _OWN_MODELS / _FOLDER / _TRAINING
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), HeadSettings)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as trouble:
        raise InvalidInput([FieldError(path.name, str(trouble), "see the comments in models/feed/")]) from trouble


def _show(evaluation: HeadEvaluation, pages: int, as_json: bool) -> None:
    print(written(evaluation).decode().rstrip() if as_json else "\n".join(_own_section(evaluation, pages)))


def _own_section(evaluation: HeadEvaluation, pages: int) -> list[str]:
    return [
        "# The feed's learned ranking",
        "",
        f"Learned from {pages:,} recorded pages of the feed and judged on the latest of them. Written by `haat train "
        "feed` and `haat evaluate feed --report DIR` over the event log of a data folder; `haat simulate feed --out` "
        "makes one.",
        "",
        "## How well each action is foreseen",
        "",
        *head_lines(evaluation, _BASELINE),
        "",
        "## What choosing by it would have earned",
        "",
        *policy_lines(evaluation),
    ]


def _public_section(found: dict[str, HeadEvaluation]) -> list[str]:
    with_videos, users = (found["+".join(names)] for names in (feedback_logs.WITH_VIDEOS, feedback_logs.USERS_ALONE))
    return [
        "## The same heads on a public log",
        "",
        "KuaiRand's video feed (Gao et al., CIKM 2022, CC BY-SA 4.0): only impressions that were liked or marked \"not "
        "interested\" are in the file. Features are of the user's and the video's past alone; the smoothed rate is the "
        "user's own past rate times the video's, as log-odds, calibrated on the same part as the model.",
        "",
        *head_lines(with_videos, "smoothed rates"),
        "",
        'Of "not interested" (hide), without anything of the video\'s past: which videos are in the file depends on '
        "their likes, so their counts give the answer away.",
        "",
        *head_lines(users, "user's own rate"),
    ]


def _write(folder: Path, words: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "feed-ranking.md").write_text(words.rstrip() + "\n")
    except OSError as error:
        raise BackendUnavailable(f"the report cannot be written to {folder}: {error.strerror}") from None
