"""`python -m loadgen load|replay`: the load generator alone, on any machine that reaches the exchange."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from common.errors import HaatError
from loadgen import report
from loadgen.load import MODES, LoadSettings, load
from loadgen.readers.formats import FORMATS, open_reader
from loadgen.replay import ReplaySettings, replay
from loadgen.synthetic import page_views
from protos.exchange_pb2 import PageView

KEY_VARIABLE = "HAAT_API_KEY"
_SYNTHETIC = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when page views were answered, 1 when none was, 2 when it could not start."""
    given = _parser().parse_args(arguments)
    given.api_key = given.api_key or os.environ.get(KEY_VARIABLE, "")
    try:
        if not given.api_key:
            raise HaatError(f"give --api-key, or set {KEY_VARIABLE}")
        answered, said, table = asyncio.run(_load(given) if given.command == "load" else _replay(given))
    except HaatError as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loadgen: stopped", file=sys.stderr)
        return 130
    if given.json:
        print(json.dumps(said, indent=2))
    else:
        Console().print(table)
    return 0 if answered else 1


async def _load(given: argparse.Namespace) -> tuple[int, dict[str, Any], Table]:
    views = _views_to_load(given)
    settings = LoadSettings(
        mode=given.mode,
        batch_size=given.batch_size,
        connections=given.connections,
        concurrency=given.concurrency,
        rate_per_s=given.rate,
        duration_s=given.seconds,
        max_page_views=given.max_page_views,
        warmup_s=min(given.warmup, given.seconds / 2),
        timeout_ms=given.timeout_ms,
        notices=given.notices,
    )
    found = await load(given.target, given.api_key, views, settings)
    return found.answered, found.as_json(), report.load_table(found)


def _views_to_load(given: argparse.Namespace) -> list[PageView]:
    if not given.source:
        return page_views(_SYNTHETIC, seed=given.seed)
    reader = open_reader(given.source, given.format, currency=given.currency, seed=given.seed)
    views = [view.page_view for _, view in zip(range(_SYNTHETIC), reader, strict=False)]
    if not views:
        raise HaatError(f"{given.source} holds no page view: {'; '.join(reader.tally.lines[:3]) or 'it is empty'}")
    return views


async def _replay(given: argparse.Namespace) -> tuple[int, dict[str, Any], Table]:
    reader = open_reader(given.source, given.format, currency=given.currency, seed=given.seed)
    settings = ReplaySettings(
        speed=given.speed,
        concurrency=given.concurrency,
        connections=given.connections,
        max_page_views=given.max_page_views,
        max_seconds=given.seconds,
        timeout_ms=given.timeout_ms,
        seed=given.seed,
    )
    stop = asyncio.Event()
    # Ctrl-C ends the replay, and what was seen so far is still told.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    tally = await replay(given.target, given.api_key, reader, settings, stop=stop)
    said = {**tally.as_json(), "lines_refused": reader.tally.refused, "first_lines_refused": reader.tally.lines[:10]}
    table = report.replay_table(tally)
    if reader.tally.refused:
        table.add_row("lines refused", f"{reader.tally.refused:,}, the first: {reader.tally.lines[0]}")
    return tally.answered, said, table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadgen", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    loading = commands.add_parser("load", help="load an exchange: closed loop, or constant arrivals with --rate")
    loading.add_argument("--mode", choices=MODES, default="stream")
    loading.add_argument("--batch-size", type=int, default=64)
    loading.add_argument("--rate", type=float, default=0.0, help="page views a second; 0 is the closed loop")
    loading.add_argument("--warmup", type=float, default=1.0, help="seconds that are not counted")
    loading.add_argument("--notices", action="store_true", help="report an impression for each ad")
    loading.add_argument("--source", default="", help="a log whose page views are sent; made-up ones without")
    replaying = commands.add_parser("replay", help="replay logged traffic with the notices of a shop")
    replaying.add_argument("source", help="a log: OpenRTB JSON lines, the 2012 request log, the Open Bandit folder")
    replaying.add_argument("--speed", type=float, default=0.0, help="times the logged pace; 0 is the closed loop")
    for command, seconds in ((loading, 10.0), (replaying, 3_600.0)):
        command.add_argument("--target", default="127.0.0.1:50051")
        command.add_argument("--api-key", default="", help=f"a storefront's key; else {KEY_VARIABLE}")
        command.add_argument("--format", choices=("auto", *FORMATS), default="auto")
        command.add_argument("--currency", default="", help="of the floors, which are taken at par")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--connections", type=int, default=2)
        command.add_argument("--concurrency", type=int, default=64)
        command.add_argument("--seconds", type=float, default=seconds, help="at most so long")
        command.add_argument("--max-page-views", type=int, default=5_000_000, help="at most so many")
        command.add_argument("--timeout-ms", type=int, default=1_000)
        command.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
