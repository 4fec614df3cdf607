"""How are events exported, and reports run over them? What `haat export events` and `haat batch` do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from common.errors import FieldError, InvalidInput, NotFound
from streams.topics import TOPICS

if TYPE_CHECKING:
    import pyarrow as pa

    from app.settings import Settings
    from streams.batch.ports import BatchEngine
    from streams.batch.report import BatchReport

_HOUR_MS = 3_600_000
_ROWS_SHOWN = 200
_ENGINES = ("duckdb", "spark")


def run_export(settings: Settings, to: Path, *, personal: bool, as_json: bool) -> None:
    """Export what is new in the data folder's event log."""
    from app.databases import open_database
    from app.printing import print_json, print_table
    from app.progress import Bars
    from app.wiring_nodes import log_id
    from backends.event_log_lmdb import LmdbEventLog
    from backends.line_item_names_sql import SqlLineItemNames
    from backends.table_files_parquet import ParquetTableFiles
    from common.clock import SystemClock
    from streams.batch.export import EventExport

    if not (settings.data_dir / "log").exists():
        raise NotFound(f"there is no event log in {settings.data_dir}: give the server's folder with --data-dir")
    with (
        closing(ParquetTableFiles(to)) as files,
        closing(LmdbEventLog(settings.data_dir / "log", readonly=True)) as log,
    ):
        engine = open_database(settings)
        try:
            export = EventExport(
                log=log,
                files=files,
                line_items=SqlLineItemNames(engine),
                clock=SystemClock(),
                personal=personal,
                source=log_id(settings.data_dir, make=False),
            )
            with Bars(quiet=as_json) as bars:
                done = export.run(bars.advance)
        finally:
            engine.dispose()
    if as_json:
        print_json(done)
        return
    rows = [
        (topic.topic, f"{topic.records:,}", ", ".join(f"{rows:,} {table}" for table, rows in topic.rows.items()))
        for topic in done.topics
        if topic.records
    ]
    if not rows:
        print("nothing is new since the last export")
    print_table(("topic", "records", "rows"), rows)
    if unreadable := sum(topic.unreadable for topic in done.topics):
        print(f"{unreadable:,} records could not be read and were passed over", file=sys.stderr)
    if done.forgotten_files or done.dropped_days:
        print(f"erased people left {done.forgotten_files:,} files, {done.dropped_days:,} days were too old to keep")


def list_reports(*, as_json: bool) -> None:
    """Print the reports."""
    from app.printing import print_json, print_table
    from streams.batch.roster import REPORTS

    if as_json:
        print_json([_description(report) for report in REPORTS.values()])
        return
    rows = [
        (
            report.name,
            report.question,
            ", ".join(column.name for column in report.dimensions),
            "--personal" if report.personal else "any",
        )
        for report in REPORTS.values()
    ]
    print_table(("report", "tells", "by", "export"), rows)


def run_report(
    name: str,
    *,
    data: Sequence[Path],
    engine: str,
    out: Path | None,
    by: str,
    from_: str,
    to: str,
    master: str,
    as_json: bool,
) -> None:
    """Run one report over the exports of all nodes, a folder each, and write or print its rows."""
    from app.printing import print_json

    report = _report_named(name).by([word.strip() for word in by.split(",") if word.strip()])
    if engine not in _ENGINES:
        raise InvalidInput([FieldError("--engine", engine[:40], f"give {' or '.join(_ENGINES)}")])
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise InvalidInput([FieldError("--out", str(out)[-80:], "name a file that ends with .parquet or .csv")])
    hours = _hours(from_, to)
    from_day = datetime.fromtimestamp(hours[0] * _HOUR_MS // 1000, UTC).strftime("%Y-%m-%d") if hours else ""
    paths = _files_of(report, data, from_day)
    started_s = monotonic()
    with closing(_engine(engine, hours, master)) as opened:
        found = opened.run(report, paths)
    took_s = round(monotonic() - started_s, 2)
    summary = {"report": report.name, "engine": engine, "rows": found.num_rows, "seconds": took_s}
    if out is not None:
        _write(found, out)
        if as_json:
            print_json({**summary, "out": str(out)})
        else:
            print(f"{found.num_rows:,} rows in {out}, by {engine} in {took_s} s")
    elif as_json:
        print_json({**summary, "rows": [_shown_row(row) for row in found.to_pylist()]})
    else:
        _print(found, engine, took_s)


def _files_of(report: BatchReport, folders: Sequence[Path], from_day: str) -> dict[str, list[str]]:
    """The files of each table that a report needs: what each node's log holds alone from all folders, else from one."""
    from backends.table_files_parquet import ParquetTableFiles

    known: dict[str, Path] = {}
    paths: dict[str, list[str]] = {table.name: [] for table in report.needs}
    for folder in folders:
        files = ParquetTableFiles(folder, readonly=True)
        exported = files.load()
        if exported is None:
            raise NotFound(f"there is no export in {folder}: `haat export events --to {folder}` writes one")
        if report.personal and not exported.personal:
            remedy = "export into another folder with --personal"
            raise InvalidInput([FieldError("--data", f"{report.name} needs the ids of visitors", remedy)])
        source = exported.source or str(folder.resolve())
        if source in known:
            said = f"{folder} holds the same event log as {known[source]}"
            raise InvalidInput([FieldError("--data", said, "give one folder for each node")])
        known[source] = folder
        for table in report.needs:
            # What all nodes are told is in every folder, and who stands behind a line item's number too.
            told_here_alone = table.topic and not TOPICS[table.topic].everywhere
            if told_here_alone or folder is folders[0]:
                paths[table.name] += files.files(table, from_day)
    return paths


def _report_named(name: str) -> BatchReport:
    from streams.batch.roster import REPORTS, report_named

    report = report_named(name)
    if report is None:
        near = difflib.get_close_matches(name, list(REPORTS), n=1)
        meant = f"did you mean {near[0]}?" if near else f"give one of {', '.join(REPORTS)}"
        raise InvalidInput([FieldError("REPORT", name[:60], meant)])
    return report


def _hours(from_: str, to: str) -> tuple[int, int] | None:
    """Hours since 1970 from the first to before the second; None is all there is."""
    from app.report_commands import moment

    if not from_ and not to:
        return None
    now, begin = datetime.now(UTC), datetime.fromtimestamp(0, UTC)
    first, last = moment("--from", from_, now, begin), moment("--to", to, now, now)
    hours = first // _HOUR_MS, -(-last // _HOUR_MS)
    if hours[0] >= hours[1]:
        raise InvalidInput([FieldError("--to", to or "now", "give a time after --from")])
    return hours


def _engine(name: str, hours: tuple[int, int] | None, master: str) -> BatchEngine:
    if name == "spark":
        from backends.batch_spark import SparkBatchEngine

        return SparkBatchEngine(hours=hours, master=master)
    from backends.batch_duckdb import DuckdbBatchEngine

    return DuckdbBatchEngine(hours=hours)


def _write(found: pa.Table, out: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    out.parent.mkdir(parents=True, exist_ok=True)
    begun = out.with_name(out.name + ".begun")
    if out.suffix == ".csv":
        pyarrow.csv.write_csv(_harmless(found), begun)
    else:
        pyarrow.parquet.write_table(found, begun)
    begun.replace(out)


def _harmless(found: pa.Table) -> pa.Table:
    """No cell begins as a spreadsheet's formula does; names are what advertisers and shops say."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, field in enumerate(found.schema):
        if pa.types.is_string(field.type):
            cells = pc.replace_substring_regex(found[field.name], r"^([=+\-@\t\r])", r"'\1")
            found = found.set_column(at, field.name, cells)
    return found


def _shown_row(row: dict[str, Any]) -> dict[str, Any]:
    if "hour" in row:
        row["hour"] = datetime.fromtimestamp(row["hour"] * _HOUR_MS // 1000, UTC).strftime("%Y-%m-%dT%H:00Z")
    return row


def _print(found: pa.Table, engine: str, took_s: float) -> None:
    from app.printing import print_table

    rows = [tuple(_shown_row(row).values()) for row in found.slice(0, _ROWS_SHOWN).to_pylist()]
    if not sys.stdout.isatty():
        print("\t".join(found.column_names))
    print_table(found.column_names, rows)
    more = f", the first {_ROWS_SHOWN} shown: --out writes all" if found.num_rows > _ROWS_SHOWN else ""
    print(f"{found.num_rows:,} rows{more}, by {engine} in {took_s} s", file=sys.stderr)


def _description(report: BatchReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "tells": report.question,
        "dimensions": [column.name for column in report.dimensions],
        "measures": [*report.measures, *(rate.name for rate in report.rates)],
        "tables": [table.name for table in report.needs],
        "personal": report.personal,
    }
