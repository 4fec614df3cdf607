"""How do `haat floors` and `haat train floors` run?"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from app.floor_files import load_before, load_rules, save_learned, save_rules
from app.printing import print_json, print_table
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from common.errors import FieldError, InvalidInput, NotFound
from common.money import exactly
from exchange.auction_wire import PageViewReader
from exchange.floor_log import segments, train
from exchange.floor_rules import FloorRules, read_rules
from exchange.log_samples import batches, sample_of
from exchange.request import PageView

_DAY_MS = 86_400_000
_MOST_BATCHES = 20_000


def list_floors(settings: Settings, *, as_json: bool) -> None:
    """The rules that hold in a data folder."""
    _show(load_rules(settings.keys_dir, settings.currency), settings, as_json)


def set_floors(settings: Settings, file: Path, *, as_json: bool) -> None:
    """Check the rules of a file and put them in use in place of all others."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInput([FieldError("FILE", str(file), f"cannot be read ({error.strerror})")]) from None
    rules = read_rules(data, settings.currency)
    save_rules(settings.keys_dir, rules, settings.currency)
    _show(rules, settings, as_json)


def train_floors(settings: Settings, *, days: int, as_json: bool) -> None:
    """Learn floors from the event log of the last days, judge them on its later part, write models/floors."""
    if not (settings.data_dir / "log").exists():
        raise NotFound(f"there is no event log in {settings.data_dir}: give the server's folder with --data-dir")
    now_ms = time.time_ns() // 1_000_000
    since_ms = now_ms - days * _DAY_MS
    reader = PageViewReader(currency=settings.currency, tmax_ms=settings.tmax_ms)
    with closing(LmdbEventLog(settings.data_dir / "log", readonly=True)) as log:
        sample = sample_of(log, since_ms, now_ms, _MOST_BATCHES)
        found = segments(batches(log, sample), lambda data, at_ms: _read(reader, data, at_ms))
    version = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ms / 1000))
    trained = train(found, load_before(settings.models_dir), version=version, holdout=settings.floor_holdout)
    manifest = save_learned(settings.models_dir, trained, settings.currency, since_ms, now_ms)
    lift = trained.lift
    if as_json:
        print_json({"manifest": manifest, "lift": lift, "withdrawn": trained.withdrawn})
        return
    print(
        f"{len(trained.floors.floors)} floors from {trained.placements:,} placements; revenue per thousand on later "
        f"auctions {exactly(int(lift.before), settings.currency)} → {exactly(int(lift.after), settings.currency)}, "
        f"lift {lift.lift:+.2%} [{lift.low:+.2%}, {lift.high:+.2%}]."
    )
    print("They are served with learned_floors=on." if manifest.serve else "The lift is not above zero: not served.")


def _read(reader: PageViewReader, data: bytes, at_ms: int) -> PageView | None:
    try:
        return reader.from_bytes(data, at_ms)
    except InvalidInput:
        # Recorded by a version that took more than this one.
        return None


def _show(rules: FloorRules, settings: Settings, as_json: bool) -> None:
    if as_json:
        print_json({"version": rules.version, "currency": settings.currency, "rules": rules.rules})
        return
    print(f"Version {rules.version}, {len(rules.rules)} rules")
    print_table(
        ("rule", "floor per mille", "publisher", "placement", "category", "country", "device", "size", "format"),
        [
            (
                rule.rule_id, exactly(rule.floor_micros, settings.currency), rule.publisher, rule.placement,
                rule.category, rule.country, str(rule.device or ""), rule.size, str(rule.format or ""),
            )
            for rule in rules.rules
        ],
    )  # fmt: skip
