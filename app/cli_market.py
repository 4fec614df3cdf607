"""Which commands are about the market? Floors, forecasts, and simulations of what haat claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, settings_of

floors = typer.Typer(help="See and set the least prices of placements.")
simulate = typer.Typer(help="Try pacing, floors, reputation and the detection of invalid traffic in made-up worlds.")

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


@simulate.command("reputation")
def simulate_reputation_(
    seed: Annotated[int, typer.Option(help="The first world; the same seed makes the same world.")] = 101,
    seeds: Annotated[int, typer.Option(help="So many worlds, 2 to 100; each takes half a minute.")] = 8,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Let sybils, rings, brigades and slow burners attack honest creators, with and without the defences."""
    from app.simulate_commands import simulate_reputation

    simulate_reputation(seed=seed, seeds=seeds, report=report, as_json=as_json)


@simulate.command("invalid-traffic")
def simulate_invalid_traffic_(
    seed: Annotated[int, typer.Option(help="The same seed makes the same traffic, notice by notice.")] = 1,
    page_views: Annotated[int, typer.Option(help="Page views of people, among whom the rest is planted.")] = 20_000,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Plant bots, farms, stuffing and copied ids among people, and tell what is caught of each, and what is lost."""
    from app.simulate_commands import simulate_invalid_traffic

    simulate_invalid_traffic(seed=seed, page_views=page_views, report=report, as_json=as_json)


@simulate.command("feed")
def simulate_feed_(
    seed: Annotated[int, typer.Option(help="The same seed makes the same posts and shoppers.")] = 1,
    pages: Annotated[int, typer.Option(help="Pages of each run, 100 to 500000.")] = 10_000,
    days: Annotated[float, typer.Option(help="Days that they are spread over.")] = 4.0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the event log there: `haat train feed --data-dir DIR`.")
    ] = None,
    report: Report = None,
    config_file: ConfigFile = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Let shoppers scroll a made-up feed, and tell how soon new posts are seen and what diversity costs."""
    from app.feed_simulation import simulate_feed

    settings = settings_of(config_file, set_, models_dir=models_dir)
    simulate_feed(settings, seed=seed, pages=pages, days=days, out=out, report=report, as_json=as_json)
