"""Which commands are about what became of the ads? Added to the table of app.cli."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, Set, settings_of


def add_to(haat: typer.Typer, key: typer.Typer) -> None:
    """Add `haat report`, `haat trace`, `haat key rotate` and `haat key postback`."""
    haat.command("report")(report)
    haat.command("trace")(trace)
    key.command("rotate")(rotate)
    key.command("postback")(postback)


def report(
    by: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="hour, day, advertiser, campaign, line_item, creative, placement, publisher, bidder; reason: why not.",
        ),
    ] = "campaign",
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="2026-03-05, 2026-03-05T17:00, 24h, 7d.")] = "",
    to: Annotated[str, typer.Option(metavar="TIME", help="Up to before this hour; else up to now.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only these; may be given again.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")] = 1_000,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Report bids, wins, impressions, clicks, conversions and spend out of a data folder; times are UTC."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.report_commands import run_report

    run_report(settings, by=by, from_=from_, to=to, where=where or (), limit=limit, as_csv=as_csv, as_json=as_json)


def trace(
    id_: Annotated[str, typer.Argument(metavar="ID", help="impression_id, auction_id or click id.")],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what became of an ad: its auction and bids, its notices, what was billed, what bidders were told."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.report_commands import run_trace

    run_trace(settings, id_, as_json=as_json)


def rotate(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="tokens (of events) or postbacks (of conversions).")],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Make a fresh signing key; what the key before signed is believed until the next rotation."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.report_commands import rotate_keys

    rotate_keys(settings, what, as_json=as_json)


def postback(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Name or id of the tenant.")],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Print the secret that a tenant signs its conversions with, newest first."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.report_commands import show_postback_secret

    show_postback_secret(settings, tenant, as_json=as_json)
