"""What can a person do with haat? The table of commands; what each does is one call away, imported when asked for.

Exit codes: 0 ok, 1 a bug or what `haat doctor` misses, 2 bad input, 3 something is not available, 130 stopped by
Ctrl-C.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app import report_cli
from app.cli_auction import auction
from app.cli_bans import bans
from app.cli_batch import batch, export
from app.cli_campaigns import campaigns
from app.cli_feed import feed
from app.cli_index import index
from app.cli_kafka import deadletters, topics
from app.cli_market import floors, forecast, simulate
from app.cli_migrate import migrate
from app.cli_moderation import moderation, reputation
from app.cli_moderation_check import moderation_check
from app.cli_money import balance, invoice, run_exchange
from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, Target, settings_of
from app.cli_profile import WithProfiles
from app.cli_training import evaluate, train
from app.consent_commands import consent
from app.exit_codes import exit_code_of
from common.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from app.settings import Settings

_EXIT_CODES = (
    "Exit codes: 0 ok, 1 a bug in haat, or something that `haat doctor` misses, "
    "2 bad input, 3 something is not available (a port, a disk, a server), "
    "130 stopped by Ctrl-C."
)

haat = typer.Typer(
    name="haat",
    cls=WithProfiles,
    help="An open real-time bidding ad exchange with a social-commerce feed.",
    epilog=_EXIT_CODES,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(help="Look at the settings.")
key = typer.Typer(help="Make and revoke API keys.")
haat.add_typer(auction, name="auction")
haat.add_typer(feed, name="feed")
haat.add_typer(index, name="index")
haat.add_typer(config, name="config")
haat.add_typer(key, name="key")
haat.add_typer(consent, name="consent")
report_cli.add_to(haat, key)

haat.add_typer(campaigns, name="campaigns")
haat.add_typer(balance, name="balance")
haat.add_typer(invoice, name="invoice")
haat.add_typer(run_exchange)

moderation.command("check")(moderation_check)
moderation.add_typer(bans, name="bans")
haat.add_typer(moderation, name="moderation")
haat.add_typer(reputation, name="reputation")

haat.add_typer(export, name="export")
haat.add_typer(batch, name="batch")
haat.command()(migrate)
haat.add_typer(topics, name="topics")
haat.add_typer(deadletters, name="deadletters")
haat.add_typer(floors, name="floors")
haat.add_typer(simulate, name="simulate")
haat.command()(forecast)
haat.command()(train)
haat.command()(evaluate)

GrpcHost = Annotated[str | None, typer.Option(metavar="HOST", help="Address of the gRPC services.")]
GrpcPort = Annotated[str | None, typer.Option(metavar="PORT", help="Port of the gRPC services; 0 takes a free one.")]
HttpHost = Annotated[str | None, typer.Option(metavar="HOST", help="Address of the HTTP pages.")]
HttpPort = Annotated[str | None, typer.Option(metavar="PORT", help="Port of the HTTP pages; 0 takes a free one.")]
LogFormat = Annotated[str | None, typer.Option(metavar="FORMAT", help="auto, json or console.")]
LogLevel = Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help='End by itself after this, e.g. "30s".')]
Connections = Annotated[int, typer.Option(help="Connections to the exchange.")]
Concurrency = Annotated[int, typer.Option(help="Page views under way at once in the closed loop.")]
Seed = Annotated[int, typer.Option(help="The same seed makes the same page views and clicks.")]


@haat.command()
def serve(
    config_file: ConfigFile = None,
    grpc_host: GrpcHost = None,
    grpc_port: GrpcPort = None,
    http_host: HttpHost = None,
    http_port: HttpPort = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    ranker: Annotated[str | None, typer.Option(metavar="NAME", help="auto, model or prior.")] = None,
    outside_bidder: Annotated[
        list[str] | None, typer.Option(metavar="NAME=HOST:PORT", help="A bidder behind gRPC; may be given again.")
    ] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    set_: Set = None,
) -> None:
    """Serve the exchange, campaigns, catalogue and feed over gRPC, and status and metrics over HTTP.

    Runs until Ctrl-C or SIGTERM, which drain: calls under way are answered, holds and leases given back.
    """
    settings = settings_of(
        config_file,
        set_,
        grpc_host=grpc_host,
        grpc_port=grpc_port,
        http_host=http_host,
        http_port=http_port,
        data_dir=data_dir,
        models_dir=models_dir,
        ranker=ranker,
        outside_bidders=outside_bidder or None,
        log_format=log_format,
        log_level=log_level,
    )
    _log_to_stderr(settings)
    import uvloop

    from app.serving import serve as serve_until_stopped

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings))


@haat.command()
def demo(
    for_: For = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same advertisers, posts and clicks.")] = 1,
    posts: Annotated[
        int | None,
        typer.Option(
            help="Posts of 200 creators in the feed; else 5,000, or 1,000 on the real engines.", min=100, max=50_000
        ),
    ] = None,
    orders: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A shop's real orders, Parquet or CSV: its customers shop in the feed."),
    ] = None,
    config_file: ConfigFile = None,
    grpc_port: GrpcPort = None,
    http_port: HttpPort = None,
    data_dir: DataDir = None,
    log_level: LogLevel = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Run the whole exchange on real logged page views, with everything embedded, and sum up what happened.

    Then it keeps serving until Ctrl-C; with --for it ends by itself.
    """
    settings = settings_of(
        config_file, set_, grpc_port=grpc_port, http_port=http_port, data_dir=data_dir, log_level=log_level
    )
    for_s = _seconds(for_)
    _log_to_stderr(settings)
    from app.demo import run_demo

    run_demo(settings, for_s=for_s, seed=seed, posts=posts, orders=orders or (), as_json=as_json)


@haat.command()
def load(
    target: Target = "",
    mode: Annotated[str, typer.Option(help="How calls travel: stream, unary or batch.")] = "stream",
    batch_size: Annotated[int, typer.Option(help="Page views of a call in mode batch.")] = 64,
    rate: Annotated[float, typer.Option(help="Page views a second, come what may; 0 is the closed loop.")] = 0.0,
    connections: Connections = 2,
    concurrency: Concurrency = 64,
    for_: For = "10s",
    notices: Annotated[bool, typer.Option("--notices", help="Report an impression for each ad.")] = False,
    source: Annotated[str, typer.Option(metavar="FILE", help="Log whose page views are sent; else made up.")] = "",
    seed: Seed = 1,
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Load a running exchange and tell what it bore. HAAT_API_KEY is the key of the storefront that asks."""
    settings = settings_of(config_file, set_)
    duration_s = _seconds(for_) or 0.0
    from app.load_commands import run_load
    from loadgen.load import LoadSettings

    asked = LoadSettings(
        mode=mode,
        batch_size=batch_size,
        connections=connections,
        concurrency=concurrency,
        rate_per_s=rate,
        duration_s=duration_s,
        warmup_s=min(1.0, duration_s / 2),
        notices=notices,
    )
    run_load(settings, asked, target=target, source=source, seed=seed, as_json=as_json)


@haat.command()
def replay(
    source: Annotated[str, typer.Argument(metavar="FILE", help="Log of page views, or the Open Bandit folder.")],
    log_format: Annotated[str, typer.Option("--format", help="auto, open-bandit, openrtb-json or rtb-2012.")] = "auto",
    target: Target = "",
    speed: Annotated[float, typer.Option(help="Times the pace of the log; 0 is as fast as answers come.")] = 0.0,
    connections: Connections = 2,
    concurrency: Concurrency = 64,
    for_: For = None,
    max_page_views: Annotated[int, typer.Option(help="At most so many page views.")] = 1_000_000,
    seed: Seed = 1,
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Replay logged page views to a running exchange, with a shop's notices. HAAT_API_KEY is the storefront's key."""
    settings = settings_of(config_file, set_)
    max_seconds = _seconds(for_) if for_ is not None else None
    from app.load_commands import run_replay
    from loadgen.replay import ReplaySettings

    asked = ReplaySettings(
        speed=speed,
        concurrency=concurrency,
        connections=connections,
        max_page_views=max_page_views,
        max_seconds=3_600.0 if max_seconds is None else max_seconds,
        seed=seed,
    )
    run_replay(settings, asked, source=source, log_format=log_format, target=target, as_json=as_json)


@config.command("show")
def config_show(config_file: ConfigFile = None, set_: Set = None, as_json: Json = False) -> None:
    """Print every setting with its value, where the value comes from and what it means; secrets are masked."""
    from app.printing import print_json, print_table
    from app.settings import describe

    lines = describe(settings_of(config_file, set_))
    if as_json:
        print_json(lines)
    else:
        rows = [(line.name, line.value, line.origin, line.meaning) for line in lines]
        print_table(("setting", "value", "from", "meaning"), rows)


@haat.command()
def doctor(config_file: ConfigFile = None, data_dir: DataDir = None, set_: Set = None, as_json: Json = False) -> int:
    """Look at each engine, store, folder and port that the settings name, and tell what is missing.

    Ends with 1 when something is that haat needs; never waits longer than some seconds, and changes nothing.
    """
    settings = settings_of(config_file, set_, data_dir=data_dir)
    from app.doctor import run_doctor

    return run_doctor(settings, as_json=as_json)


@haat.command("version")
def version_(as_json: Json = False) -> None:
    """Print the version."""
    from app.printing import print_json
    from app.version import version

    if as_json:
        print_json({"version": version()})
    else:
        print(f"haat {version()}")


@key.command("create")
def key_create(
    tenant: Annotated[str, typer.Argument(metavar="NAME", help="Name of the tenant; made when there is none.")],
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="storefront, advertiser, moderator or operator.")
    ] = "storefront",
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Make an API key in a data folder, whether its server runs or not; it is printed this once."""
    from app.key_commands import create_key

    create_key(settings_of(config_file, set_, data_dir=data_dir), tenant, role, as_json=as_json)


@key.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="key_id that `haat key create` printed.")],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
) -> None:
    """Revoke an API key; a running server refuses it within a second."""
    from app.key_commands import revoke_key

    revoke_key(settings_of(config_file, set_, data_dir=data_dir), key_id)


@key.command("tenants")
def key_tenants(
    config_file: ConfigFile = None, data_dir: DataDir = None, set_: Set = None, as_json: Json = False
) -> None:
    """List the tenants that keys are made for."""
    from app.key_commands import list_tenants

    list_tenants(settings_of(config_file, set_, data_dir=data_dir), as_json=as_json)


@haat.command()
def call(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="HoldAuction, CreateCampaign, GetFeed …")],
    request: Annotated[str, typer.Argument(metavar="JSON", help="The request, as protobuf's JSON.")],
    target: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The server; else the settings'.")] = None,
    api_key: Annotated[str | None, typer.Option(metavar="KEY", help="Else HAAT_API_KEY.")] = None,
    config_file: ConfigFile = None,
    set_: Set = None,
) -> None:
    """Make one gRPC call by hand and print the answer as JSON."""
    from app.call import call as make_call
    from app.printing import print_json

    settings = settings_of(config_file, set_, api_key=api_key)
    print_json(make_call(target or f"{settings.grpc_host}:{settings.grpc_port}", settings.api_key, method, request))


@haat.command()
def erase(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id of the visitor or creator.")],
    target: Target = "",
    api_key: Annotated[str | None, typer.Option(metavar="KEY", help="Else HAAT_API_KEY.")] = None,
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Erase a person of the key's tenant, for good: posts, comments, graph, profile, the id in the log."""
    from app.erase_command import erase as erase_person

    erase_person(settings_of(config_file, set_, api_key=api_key), person, target=target, as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. The entry point of `haat`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        # Without a command the help is the answer, and not an error.
        given = ["--help"]
    return int(exit_code_of(lambda: haat(given, standalone_mode=False, prog_name="haat")))


def _log_to_stderr(settings: Settings) -> None:
    from app import logs

    logs.configure(settings.log_format, settings.log_level)


def _seconds(text: str | None) -> float | None:
    from app.durations import duration_ms

    if text is None:
        return None
    try:
        return duration_ms(text) / 1000
    except ValueError as error:
        raise InvalidInput([FieldError("--for", text[:100], str(error))]) from None
