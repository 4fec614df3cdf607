"""How do `haat load` and `haat replay` run? Through the front door, as a storefront on any machine would."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table

from app.printing import print_result
from app.settings import Settings
from common.errors import BackendUnavailable, FieldError, InvalidInput
from loadgen import report
from loadgen.load import LoadSettings, load
from loadgen.readers.formats import open_reader
from loadgen.replay import ReplaySettings, replay
from loadgen.synthetic import page_views
from protos.exchange_pb2 import PageView

# Enough that no session comes again while its answer is kept, few enough to be made in a second.
_DIFFERENT_PAGE_VIEWS = 10_000


def run_load(
    settings: Settings, load_settings: LoadSettings, *, target: str, source: str, seed: int, as_json: bool
) -> None:
    """Load the exchange at `target` and print what was seen; BackendUnavailable when nothing was answered."""
    api_key = _api_key(settings)
    views = _logged(settings, source, seed) if source else page_views(_DIFFERENT_PAGE_VIEWS, seed=seed)
    found = asyncio.run(load(_target(settings, target), api_key, views, load_settings))
    _show(found.as_json(), report.load_table(found), as_json)
    _check_answered(found.answered, found.first_errors)


def run_replay(
    settings: Settings,
    replay_settings: ReplaySettings,
    *,
    source: str,
    log_format: str,
    target: str,
    as_json: bool,
) -> None:
    """Replay the log at `source` and print what was seen; BackendUnavailable when nothing was answered."""
    api_key = _api_key(settings)
    reader = open_reader(source, log_format, currency=settings.currency, seed=replay_settings.seed)
    tally = asyncio.run(replay(_target(settings, target), api_key, reader, replay_settings))
    refused = {"lines_refused": reader.tally.refused, "first_lines_refused": reader.tally.lines[:10]}
    table = report.replay_table(tally)
    if reader.tally.refused:
        table.add_row("lines refused", f"{reader.tally.refused:,}, the first: {reader.tally.lines[0]}")
    _show({**tally.as_json(), **refused}, table, as_json)
    _check_answered(tally.answered, tally.first_errors)


def _logged(settings: Settings, source: str, seed: int) -> list[PageView]:
    reader = open_reader(source, currency=settings.currency, seed=seed)
    views = [logged.page_view for logged in islice(reader, _DIFFERENT_PAGE_VIEWS)]
    if not views:
        because = "; ".join(reader.tally.lines[:3]) or "it is empty"
        raise InvalidInput([FieldError("--source", source, f"give a log with page views: {because}")])
    return views


def _api_key(settings: Settings) -> str:
    if not settings.api_key:
        raise InvalidInput([FieldError("api_key", "empty", "set HAAT_API_KEY to the key of a storefront")])
    return settings.api_key


def _target(settings: Settings, target: str) -> str:
    if target:
        return target
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    return f"{host}:{settings.grpc_port}"


def _show(said: Mapping[str, Any], table: Table, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        print_result(said, as_json=as_json)
    else:
        Console().print(table)


def _check_answered(answered: int, first_errors: list[str]) -> None:
    if not answered:
        raise BackendUnavailable("no page view was answered: " + (first_errors[0] if first_errors else "none was sent"))
