"""Where is the published log of real page views? Beside the data folder, fetched once."""

from __future__ import annotations

from pathlib import Path

from app.settings import Settings
from ranking.open_bandit import fetch


def open_bandit(settings: Settings) -> Path:
    """The Open Bandit Dataset's wheel, beside the data folder: every server may learn from the same.

    Raises as `ranking.open_bandit.fetch` where it can be neither found nor fetched.
    """
    return fetch(settings.data_dir.parent / "data")
