"""What do the pages in docs/reference/ say? They are made from the code: `python -m app.reference` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.settings import PREFIX, Settings, describe
from exchange.refusals import MEANINGS, NO_BIDS, Refusal
from feed.moderation.reasons import REASONS
from feed.reputation.events import HALF_LIFE_MS, WEIGHTS
from feed.reputation.standing import THRESHOLDS

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


def reputation_page() -> str:
    """What counts for and against creators, what it unlocks, and the reasons of moderation."""
    days = {role: half_life_ms // 86_400_000 for role, half_life_ms in HALF_LIFE_MS.items()}
    lines = [
        "# Reputation, tiers and reasons",
        "",
        _MADE,
        "",
        "What happens speaks for or against somebody and counts half after a half-life.",
        "`haat reputation explain CREATOR` lists each event with what it counts today.",
        "",
        "| event | in the part of | for | against | half-life | meaning |",
        "|---|---|---:|---:|---:|---|",
        *(
            f"| `{kind.value}` | {of.role.name.lower()} | {of.good:g} | {of.bad:g} | {days[of.role]} days "
            f"| {of.meaning} |"
            for kind, of in WEIGHTS.items()
        ),
        "",
        "A commission tier is reached when all three thresholds are met, and kept until one is missed by more than a "
        "tenth.",
        "Reputation is the mean less one standard deviation, evidence the weight of what is known today, trust what",
        "purchasers pass on.",
        "",
        "| tier | reputation | evidence | trust |",
        "|---|---:|---:|---:|",
        *(f"| {t.tier.name.lower()} | {t.reputation:g} | {t.evidence:g} | {t.trust:g} |" for t in THRESHOLDS),
        "",
        "## Reasons of decisions",
        "",
        "| code | ground | rule | why |",
        "|---|---|---|---|",
        *(f"| `{r.code}` | {r.ground.value} | {r.rule} | {r.explanation} |" for r in REASONS.values()),
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
        "Bidders in other processes are tables of the file; all but name and target may be left out:",
        "",
        "```toml",
        "[[outside_bidders]]",
        'name = "acme"',
        'target = "127.0.0.1:6001"',
        'currency = "EUR"   # the exchange\'s own when it is left out',
        "timeout_ms = 20    # all the time that the page view has left when it is left out",
        "bid_cap_micros = 9_000_000  # the most it bids per mille: nobody waits for it where that cannot win",
        "page_views_per_s = 500      # its quota; 0 is none",
        "most_in_flight = 64         # calls without an answer",
        "least_share = 0.1           # what it still gets of its traffic while it does badly",
        'seats = ["acme-1"]          # that it may bid for',
        "vendor_id = 13              # its number in the Global Vendor List; without it gets no ids under GDPR",
        'sync_url = "https://acme.example/sync?back={{.RedirectURL}}"',
        "",
        "[outside_bidders.pretargeting]  # it is asked about nothing else; an empty list is everything",
        'formats = ["banner", "native"]',
        'sizes = ["300x250"]',
        'countries = ["DE"]',
        'devices = ["phone", "desktop"]',
        'publishers = ["a tenant\'s id"]',
        'categories = ["shoes"]',
        "needs_visitor = false",
        "",
        "[[outside_bidders]]",
        'name = "web"',
        'target = "https://bid.web.example/openrtb2"  # a URL is OpenRTB 2.6 over HTTP',
        "```",
        "",
    ]
    return "\n".join(lines)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


PAGES: dict[str, Callable[[], str]] = {
    "refusals.md": refusals_page,
    "reputation.md": reputation_page,
    "settings.md": settings_page,
}


def write_pages(folder: Path = FOLDER) -> None:
    """Write every page that is not up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in PAGES.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != made():
            page.write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
