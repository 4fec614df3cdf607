"""How do the commands of `haat simulate` run? Simulate, print, and write the report where asked."""

from __future__ import annotations

from pathlib import Path

from app.printing import print_json
from common.errors import BackendUnavailable, FieldError, InvalidInput
from simulation import floor_report, invalid_traffic_report, pacing_report, reputation_report

_MOST_DAYS = 28
_MOST_SEEDS = 100


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


def simulate_reputation(*, seed: int, seeds: int, report: Path | None, as_json: bool) -> None:
    """Attackers of four kinds under the defences of haat and plainer ones."""
    if not 2 <= seeds <= _MOST_SEEDS:
        raise InvalidInput([FieldError("--seeds", str(seeds), f"give 2 to {_MOST_SEEDS}")])
    if not 0 <= seed < 1 << 31:
        raise InvalidInput([FieldError("--seed", str(seed), "give 0 to 2147483647")])
    made, chart = reputation_report.simulate(seed=seed, seeds=seeds)
    words = reputation_report.text(made)
    _write(report, "reputation", words, chart)
    print_json(made) if as_json else print(words, end="")


def simulate_invalid_traffic(*, seed: int, page_views: int, report: Path | None, as_json: bool) -> None:
    """People, and traffic that is planted among them."""
    if not 1_000 <= page_views <= 200_000:
        raise InvalidInput([FieldError("--page-views", str(page_views), "give 1000 to 200000")])
    made, chart = invalid_traffic_report.simulate(seed=seed, page_views=page_views)
    words = invalid_traffic_report.text(made)
    _write(report, "invalid-traffic", words, chart)
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
