"""How does `haat simulate feed` run? Shoppers scroll a made-up feed; its pages can be kept to train from."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from app.printing import print_json
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from common.clock import SystemClock
from common.errors import BackendUnavailable, FieldError, InvalidInput
from feed.learned import open_ranking
from feed.timeline import SCORERS
from simulation import exploration_report
from streams.publisher import Publisher


def simulate_feed(
    settings: Settings, *, seed: int, pages: int, days: float, out: Path | None, report: Path | None, as_json: bool
) -> None:
    """Exploration of new posts, with and without kept places; into `out`, the event log of the run with them."""
    errors = []
    if not 100 <= pages <= 500_000:
        errors.append(FieldError("--pages", str(pages), "give 100 to 500000"))
    if not 0.5 <= days <= 60:
        errors.append(FieldError("--days", str(days), "give 0.5 to 60"))
    if out is not None and out.exists() and any(out.iterdir()):
        errors.append(FieldError("--out", str(out)[:100], "give a folder that is not there yet: a log is never mixed"))
    if errors:
        raise InvalidInput(errors)
    learned, _ = open_ranking(settings.models_dir / "feed", SCORERS)
    if out is None:
        made, chart = exploration_report.simulate(
            seed=seed, pages=pages, days=days, publish=lambda topic, payloads: None, learned=learned
        )
    else:
        with closing(LmdbEventLog(out / "log")) as log:
            publisher = Publisher(log, SystemClock())
            made, chart = exploration_report.simulate(
                seed=seed, pages=pages, days=days, publish=publisher.publish, learned=learned
            )
            publisher.sync()
    words = exploration_report.text(made)
    if report is not None:
        try:
            report.mkdir(parents=True, exist_ok=True)
            (report / "exploration.md").write_text(words)
            (report / "exploration.svg").write_text(chart)
        except OSError as error:
            raise BackendUnavailable(f"the report cannot be written to {report}: {error.strerror}") from None
    print_json(made) if as_json else print(words, end="")
