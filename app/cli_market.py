"""Which commands are about the market? Floors, forecasts, and simulations of pacing and floors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, settings_of

floors = typer.Typer(help="See and set the least prices of placements.")
simulate = typer.Typer(help="Try pacing and floors in a market that is made up, or on recorded prices.")

Report = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the report and its chart there too.")]


def forecast(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A line item as protobuf's JSON, as for CreateLineItem.")
    ],
    tenant: Annotated[str, typer.Option(metavar="ID", help="The tenant's id; `haat key tenants` lists them.")],
    days: Annotated[int, typer.Option(help="Recorded page views of so many days back, 1 to 28.")] = 7,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what a line item would come to per day, from recorded page views, before it is saved."""
    from app.forecast_command import forecast_file

    settings = settings_of(config_file, set_, data_dir=data_dir, models_dir=models_dir)
    forecast_file(settings, file, tenant=tenant, days=days, as_json=as_json)


@floors.command("list")
def floors_list(
    config_file: ConfigFile = None, data_dir: DataDir = None, set_: Set = None, as_json: Json = False
) -> None:
    """List the rules that hold."""
    from app.floor_commands import list_floors

    list_floors(settings_of(config_file, set_, data_dir=data_dir), as_json=as_json)


@floors.command("set")
def floors_set(
    file: Annotated[Path, typer.Argument(metavar="FILE", help='JSON: {"currency": "EUR", "rules": [ … ]}.')],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Put the rules of a file in use in place of all others; a running server takes them over within seconds."""
    from app.floor_commands import set_floors

    set_floors(settings_of(config_file, set_, data_dir=data_dir), file, as_json=as_json)


@simulate.command("pacing")
def simulate_pacing_(
    seed: Annotated[int, typer.Option(help="The same seed makes the same market, auction by auction.")] = 1,
    days: Annotated[int, typer.Option(help="Days of the market, 1 to 28.")] = 3,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Spend the budgets of competing campaigns through spikes and droughts, beside two plainer pacers."""
    from app.simulate_commands import simulate_pacing

    simulate_pacing(seed=seed, days=days, report=report, as_json=as_json)


@simulate.command("floors")
def simulate_floors_(
    seed: Annotated[int, typer.Option(help="The same seed makes the same bids.")] = 1,
    auctions: Annotated[int, typer.Option(help="Auctions of each made-up landscape.")] = 60_000,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV log of won auctions with their prices, as iPinYou's.")
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Learn floors on earlier auctions and judge them on later ones."""
    from app.simulate_commands import simulate_floors

    simulate_floors(seed=seed, auctions=auctions, prices=prices, report=report, as_json=as_json)
