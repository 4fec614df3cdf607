"""Which commands are about large data? The event log as files, and reports over them on an engine of choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, Set, settings_of

export = typer.Typer(help="Write what haat knows into files for others.")
batch = typer.Typer(help="Run reports over exported events, on one machine or on Spark.")


@export.command("events")
def export_events(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the tables go; an earlier export goes on.")],
    personal: Annotated[
        bool,
        typer.Option("--personal", help="With visitors' ids, of those who agreed to be remembered; else without."),
    ] = False,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Write the event log as Parquet, by table and day: what is new since the last time, its server running or not."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.batch_commands import run_export

    run_export(settings, to, personal=personal, as_json=as_json)


@batch.command("list")
def batch_list(as_json: Json = False) -> None:
    """List the reports, what they are by and what they add up."""
    from app.batch_commands import list_reports

    list_reports(as_json=as_json)


@batch.command("run")
def batch_run(
    report: Annotated[str, typer.Argument(metavar="REPORT", help="As `haat batch list` names it.")],
    data: Annotated[
        list[Path], typer.Option(metavar="FOLDER", help="What `haat export events` wrote; once for each node.")
    ],
    engine: Annotated[str, typer.Option(metavar="NAME", help="duckdb or spark.")] = "duckdb",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write .parquet or .csv; else the rows are printed.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAMES", help="Only by these of its dimensions.")] = "",
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="2026-03-05, 2026-03-05T17:00, 24h, 7d.")] = "",
    to: Annotated[str, typer.Option(metavar="TIME", help="Up to before this hour; else all there is.")] = "",
    master: Annotated[
        str, typer.Option(metavar="URL", help="Of Spark; local[*] runs it in this process.")
    ] = "local[*]",
    as_json: Json = False,
) -> None:
    """Run a report over exported events; every engine comes to the same rows. Times are UTC."""
    from app.batch_commands import run_report

    run_report(report, data=data, engine=engine, out=out, by=by, from_=from_, to=to, master=master, as_json=as_json)
