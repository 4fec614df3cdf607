"""How do `haat train recommender` and `haat evaluate recommender` run? From a shop's logs to a version that serves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from app.settings import Settings
from app.wiring_recommender import RECOMMENDER
from backends import kuairand_duckdb, movielens_duckdb, orders_duckdb
from backends.neighbours_exact import ExactNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from common.errors import BackendUnavailable, FieldError, InvalidInput
from feed.recommender import artefact, report
from feed.recommender.evaluation import Evaluation, Task, evaluate
from feed.recommender.feedback import DAY_MS
from feed.recommender.log import Log
from feed.recommender.ports import Neighbours
from feed.recommender.settings import Training, load_training
from feed.recommender.training import train
from feed.recommender.windows import end_of

NEIGHBOURS: dict[str, Callable[[], Neighbours]] = {"exact": ExactNeighbours, "usearch": UsearchNeighbours}

_TRAINING = "training.toml"
_OWNRECOMMENDERS = Path(__file__).resolve().parent.parent / "models"
# Beyond so many items all of them are too many to look at for each page.
_EXACT_UP_TO = 50_000
# To go back to.
_VERSIONS_KEPT = 3
# A log may end before the day on which it is learned from.
_YEAR_MS = 366 * DAY_MS
_ANY: tuple[Task, ...] = ("any item", "items never chosen before")
_OF_KUAIRAND = (
    "A warning: whoever filtered this log kept a liked video only when it has 15 likes over the whole span, the future "
    "included, and every disliked one. A young video with few likes so far is therefore sure to get more; what the "
    "hybrid gains here is in part that, and no proof of its worth."
)
_OF_MOVIELENS = (
    "The first half of what a visitor rated in the window is known, the second half is to be foreseen: most people "
    "rate on one evening. Few people, wide intervals: a check that nothing is broken, no benchmark."
)
_NEW: tuple[Task, ...] = ("items never chosen before",)


class LogFiles(msgspec.Struct, frozen=True):
    """Where to learn from; each may be left out, one must be given."""

    orders: tuple[Path, ...] = ()
    kuairand: Path | None = None
    movielens: Path | None = None


class _Source(msgspec.Struct, frozen=True):
    name: str
    flag: str
    over: str
    tasks: tuple[Task, ...]
    read: Callable[[], Log]
    note: str = ""


def run_train(settings: Settings, files: LogFiles, *, until: str, as_json: bool) -> None:
    """Train on one log up to `until` (a date; all of it when empty) and make the new version the one that serves."""
    sources = _sources(files)
    if len(sources) > 1:
        raise InvalidInput([FieldError(sources[1].flag, "a second log", "train on one log at a time")])
    log = sources[0].read()
    now_ms = _moment(until, log, ahead_ms=_YEAR_MS) or end_of(log)
    trained = train(log, now_ms, _training(settings, sources[0].over), _neighbours_for(log), _say)
    folder = settings.models_dir / RECOMMENDER
    try:
        manifest = artefact.save(
            folder,
            trained.hybrid,
            version=f"{datetime.now(UTC):%Y%m%d%H%M%S%f}",
            trees=trained.trees,
            learned_events=len(log.histories.before(now_ms).items),
            learned_from=sources[0].name,
        )
        artefact.drop_old(folder, _VERSIONS_KEPT)
    except OSError as trouble:
        raise BackendUnavailable(f"the recommender cannot be written to {folder}: {trouble.strerror}") from trouble
    if as_json:
        print(msgspec.json.encode(manifest).decode())
    else:
        print(
            f"Version {manifest.version} serves from now on: {manifest.items:,} items, {manifest.trees} trees, learned "
            f"from {manifest.learned_events:,} events. `haat evaluate recommender` says what it is worth."
        )


def run_evaluate(settings: Settings, files: LogFiles, *, until: str, report_dir: Path | None, as_json: bool) -> None:
    """Train anew on what each log holds up to `until` (else all but its last window), and judge on what follows."""
    made: list[Evaluation] = []
    commands: list[str] = []
    for source in _sources(files):
        log = source.read()
        training = _training(settings, source.over)
        now_ms = _moment(until, log, ahead_ms=0) or end_of(log) - round(training.blend.window_days * DAY_MS)
        near = _neighbours_for(log)
        made.append(evaluate(source.name, log, now_ms, training, near, _say, tasks=source.tasks, note=source.note))
        given = "FOLDER" if source.flag == "--movielens" else "FILE"
        commands.append(f"haat evaluate recommender {source.flag} {given}")
    if report_dir is not None:
        _write(report_dir / "recommender.md", report.text(made, commands))
    if as_json:
        print(msgspec.json.encode(made).decode())
    else:
        print("\n\n".join("\n".join(report.summary_lines(one)) for one in made))


def _sources(files: LogFiles) -> list[_Source]:
    found = []
    if files.orders:
        name = "Orders of a shop: " + ", ".join(file.name for file in files.orders)
        found.append(_Source(name, "--orders", "", _ANY, lambda: orders_duckdb.read(files.orders)))
    if files.kuairand is not None:
        log = files.kuairand
        name = f"Short videos, clicked or watched long: {log.name}"
        found.append(
            _Source(name, "--kuairand", "kuairand.toml", _NEW, lambda: kuairand_duckdb.read(log), _OF_KUAIRAND)
        )
    if files.movielens is not None:
        folder = files.movielens
        name = f"Films, liked: {folder.name}"
        found.append(
            _Source(name, "--movielens", "movielens.toml", _NEW, lambda: movielens_duckdb.read(folder), _OF_MOVIELENS)
        )
    if not found:
        remedy = "give --orders FILE.parquet (may be given again), --kuairand FILE or --movielens FOLDER"
        raise InvalidInput([FieldError("--orders", "no log to learn from", remedy)])
    return found


def _training(settings: Settings, over: str) -> Training:
    own, shipped = settings.models_dir / RECOMMENDER, _OWNRECOMMENDERS / RECOMMENDER
    main = next((folder / _TRAINING for folder in (own, shipped) if (folder / _TRAINING).exists()), shipped / _TRAINING)
    other = next((folder / over for folder in (own, shipped) if (folder / over).exists()), shipped / over)
    return load_training(main, other if over else None)


def _moment(said: str, log: Log, *, ahead_ms: int) -> int | None:
    """The moment that --until names, None when it names none: within the log, or at most `ahead_ms` after it."""
    if not said:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        remedy = "give a date such as 2011-11-08, which is its midnight UTC"
        raise InvalidInput([FieldError("--until", said[:40], remedy)]) from None
    at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    last = end_of(log)
    first = int(log.histories.at_ms.min()) if last else 0
    if not first < at_ms < last + ahead_ms:
        span = " to ".join(f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}" for ms in (first, last))
        raise InvalidInput([FieldError("--until", said[:40], f"give a moment within the log, {span}")])
    return at_ms


def _neighbours_for(log: Log) -> Callable[[], Neighbours]:
    return NEIGHBOURS["exact" if len(log.items) <= _EXACT_UP_TO else "usearch"]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _write(path: Path, words: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, "utf-8")
    except OSError as trouble:
        raise BackendUnavailable(f"the report cannot be written to {path.parent}: {trouble.strerror}") from trouble
