"""How do `haat train` and `haat evaluate` run? From the published logs to the files in models/click."""

from __future__ import annotations

from pathlib import Path

from app.published_logs import open_bandit
from app.settings import Settings
from ranking import training
from ranking.evaluation import Evaluation, written
from ranking.report import summary_lines
from ranking.settings import load_settings

_MODEL = "click"
_TRAINING = "training.toml"
_OWN_MODELS = Path(__file__).resolve().parent.parent / "models"


def run_train(settings: Settings, *, as_json: bool) -> None:
    """Fetch the logs where they are not there yet, train, write the model and print its evaluation."""
    out = settings.models_dir / _MODEL
    chosen = out / _TRAINING
    training_settings = load_settings(chosen if chosen.exists() else _OWN_MODELS / _MODEL / _TRAINING)
    _show(training.train(open_bandit(settings), out, training_settings), as_json)


def run_evaluate(settings: Settings, *, as_json: bool) -> None:
    """Judge the stored model again on the logs that it was not trained on, and print the evaluation."""
    _show(training.evaluate(open_bandit(settings), settings.models_dir / _MODEL), as_json)


def _show(evaluation: Evaluation, as_json: bool) -> None:
    print(written(evaluation).decode().rstrip() if as_json else "\n".join(summary_lines(evaluation)))
