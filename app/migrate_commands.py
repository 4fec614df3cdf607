"""What does `haat migrate` do, and what does it say? Settings of both sides, bars, and the report of both sides."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from app.migration import Migrated, Migration
from app.printing import print_json, print_table
from app.progress import Bars
from app.settings import Settings, load
from common.clock import SystemClock
from common.errors import BackendUnavailable, FieldError, InvalidInput

EMBEDDED = "embedded"
# What a haat without engines of its own has none of, whatever the environment says.
_ENGINES = ("database_url", "elasticsearch_url", "redis_url", "kafka_brokers")


def run_migration(
    from_: str,
    to: str,
    *,
    data_dir: str | None,
    to_data_dir: str | None,
    assignments: Sequence[str],
    check: bool,
    as_json: bool,
) -> None:
    """Move, or only look with `check`. BackendUnavailable when both sides differ in the end."""
    if from_ == to and not to_data_dir:
        raise InvalidInput([FieldError("--to", to[:60], "give another profile than --from, or --to-data-dir")])
    source = _settings(from_, data_dir, assignments)
    target = _settings(to, to_data_dir or str(source.data_dir), assignments)
    migration = Migration(source, target, SystemClock())
    if check:
        _say_counts(migration.check(), migration.to, as_json=as_json)
        return
    with Bars(quiet=as_json) as bars:
        migrated = migration.run(bars.advance)
    _say(migrated, migration.to, as_json=as_json)
    if migrated.unequal:
        named = ", ".join(one.what for one in migrated.unequal[:6])
        raise BackendUnavailable(
            f"both sides differ in {named}: the source changed while the migration was stopped, or somebody wrote into "
            f"the target; empty the target, remove migration.json in {source.data_dir}, and migrate again"
        )


def _settings(profile: str, data_dir: str | None, assignments: Sequence[str]) -> Settings:
    flags: dict[str, Any] = {"data_dir": data_dir}
    if profile == EMBEDDED:
        return load(flags | dict.fromkeys(_ENGINES, ""))
    for assignment in assignments:
        name, given, value = assignment.partition("=")
        if not given or not name.strip():
            raise InvalidInput([FieldError("--set", assignment[:100], "write --set name=value")])
        flags[name.strip().replace("-", "_")] = value
    return load(flags, profile=profile)


def _say_counts(counts: dict[str, int], to: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"to": to, "counts": counts})
        return
    print(f"to {to}, into which it can go:")
    print_table(("what", "there are"), [(what, f"{count:,}") for what, count in counts.items() if count])


def _say(migrated: Migrated, to: str, *, as_json: bool) -> None:
    if as_json:
        compared = [msgspec.structs.asdict(one) | {"equal": one.equal} for one in migrated.compared]
        print_json(msgspec.structs.asdict(migrated) | {"to": to, "compared": compared})
        return
    if migrated.again:
        print(f"this migration to {to} has ended before: nothing was moved")
        return
    rows = [
        (
            one.what,
            f"{one.source.count:,}",
            f"{one.target.count:,}",
            one.source.checksum[:12],
            one.target.checksum[:12],
            "equal" if one.equal else "DIFFERENT",
        )
        for one in migrated.compared
        if one.source.count or not one.equal
    ]
    print_table(("what", "source", "target", "checksum", "of target", ""), rows)
    moved = sum(one.target.count for one in migrated.compared)
    print(f"{moved:,} things moved to {to}", file=sys.stderr)
    if migrated.in_place:
        print(f"in place already: {', '.join(migrated.in_place)}", file=sys.stderr)
