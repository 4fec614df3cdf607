"""How do `haat simulate pacing` and `haat simulate floors` run? Simulate, print, and write the report where asked."""

from __future__ import annotations

from pathlib import Path

from app.printing import print_json
from common.errors import BackendUnavailable, FieldError, InvalidInput
from simulation import floor_report, pacing_report

_MOST_DAYS = 28


def simulate_pacing(*, seed: int, days: int, report: Path | None, as_json: bool) -> None:
    """A market of competing campaigns under three pacers."""
    if not 1 <= days <= _MOST_DAYS:
        raise InvalidInput([FieldError("--days", str(days), f"give 1 to {_MOST_DAYS}")])
    made, chart = pacing_report.simulate(seed=seed, days=days)
    words = pacing_report.text(made)
    _write(report, "pacing", words, chart)
    print_json(made) if as_json else print(words, end="")


def simulate_floors(*, seed: int, auctions: int, prices: Path | None, report: Path | None, as_json: bool) -> None:
    """Learned floors beside static ones and none."""
    if not 1_000 <= auctions <= 2_000_000:
        raise InvalidInput([FieldError("--auctions", str(auctions), "give 1000 to 2000000")])
    made, chart = floor_report.simulate(seed=seed, auctions=auctions, prices=prices)
    words = floor_report.text(made)
    _write(report, "floors", words, chart)
    print_json(made) if as_json else print(words, end="")


def _write(folder: Path | None, name: str, words: str, chart: str) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(words)
        (folder / f"{name}.svg").write_text(chart)
    except OSError as error:
        raise BackendUnavailable(f"the report cannot be written to {folder}: {error.strerror}") from None
