"""What do the pages in docs/reference/ say? They are made from the code: `python -m app.reference` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.settings import PREFIX, Settings, describe
from exchange.refusals import MEANINGS, NO_BIDS, Refusal

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
_MADE = "<!-- Made by `python -m app.reference`; change the code, not this page. -->"


def refusals_page() -> str:
    """Every outcome of a bid with its number and its meaning."""
    lines = [
        "# Refusals",
        "",
        _MADE,
        "",
        "Every bid ends with one of these numbers: in `no_ad_reason` of an answer, in the event log, in",
        "`haat_bids_total{outcome}` and in `haat auction explain`. Numbers below 1000 are OpenRTB's loss reason codes",
        "(AdCOM 1.0, List: Loss Reason Codes); from 1000 on they are the exchange's own, as the list allows.",
        "",
        "| number | name | meaning |",
        "|---:|---|---|",
        *(f"| {code.value} | `{code.name.lower()}` | {MEANINGS[code]} |" for code in sorted(Refusal)),
        "",
        f"`no_ad_reason` is {NO_BIDS} where not a single bid came in for a placement.",
        "",
    ]
    return "\n".join(lines)


def settings_page() -> str:
    """Every setting with its default, its variable and its meaning."""
    rows = [
        f"| `{line.name}` | {_code(line.value)} | `{PREFIX}{line.name.upper()}` | {line.meaning} |"
        for line in describe(Settings())
    ]
    lines = [
        "# Settings",
        "",
        _MADE,
        "",
        "Read in this order: flags (`--grpc-port 50052`, or `--set name=value` for any of them), the environment, one",
        "TOML file (`--config FILE`, else `HAAT_CONFIG`, else `haat.toml` in the current folder), defaults.",
        "`haat config show` prints each value and where it comes from. A name that is not here is an error that says",
        "the nearest one. Durations may carry a unit (`500ms`, `30s`, `2m`). Relative paths in the file count from the",
        "file's own folder.",
        "",
        "| name | default | variable | meaning |",
        "|---|---|---|---|",
        *rows,
        "",
        "Bidders behind gRPC are tables of the file:",
        "",
        "```toml",
        "[[outside_bidders]]",
        'name = "acme"',
        'target = "127.0.0.1:6001"',
        'currency = "EUR"   # the exchange\'s own when it is left out',
        "timeout_ms = 20    # all the time that the page view has left when it is left out",
        "```",
        "",
    ]
    return "\n".join(lines)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


PAGES: dict[str, Callable[[], str]] = {"refusals.md": refusals_page, "settings.md": settings_page}


def write_pages(folder: Path = FOLDER) -> None:
    """Write every page that is not up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in PAGES.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != made():
            page.write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
