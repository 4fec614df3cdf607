"""In which order is measured? Round by round over all rows, so that a busy minute spoils a round and not a row."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import grpc.aio

from app.settings import Settings
from bench import callers
from bench.feed_pages import RANKING, WHOLE_CALL, measure_calls, ranking
from bench.in_process import open_exchange
from bench.measure import Round, measure, measure_in_process
from bench.post_checks import POST_CHECK, checking
from bench.report import ECHO, NATIVE_ECHO
from bench.server import ServerProcess, start_echo, start_server
from bench.settings import BenchSettings, cores
from client.exchange import ExchangeClient
from loadgen.synthetic import FreshViews, page_views

IN_PROCESS = "in process, batches, no transport"

Say = Callable[[str], None]
_Row = tuple[str, ServerProcess, Callable[[ServerProcess, BenchSettings, FreshViews], callers.Caller], int]


async def run(settings: BenchSettings, say: Say) -> tuple[dict[str, list[Round]], dict[str, Any]]:
    """The rounds of each row, and under which conditions they were measured."""
    pair = cores()
    server_core, generator_core = pair if pair is not None else (None, None)
    if generator_core is not None:
        # Before the first channel: grpcio's own threads stay where they were started.
        os.sched_setaffinity(0, {generator_core})
    grpc.aio.init_grpc_aio()
    conditions: dict[str, Any] = {
        "pinned": pair is not None,
        "server_core": server_core,
        "generator_core": generator_core,
        "load_average_before": os.getloadavg()[0],
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    views = FreshViews(page_views(settings.distinct_page_views, seed=settings.seed), f"bench-{os.getpid()}")
    conditions["request_bytes"] = len(views.next().SerializeToString())
    say("starting the exchange")
    async with start_server(settings, server_core) as exchange:
        conditions["answer_bytes"] = await _answer_bytes(exchange, settings, views)
        answer_bytes = conditions["answer_bytes"]
        async with (
            start_echo(answer_bytes, server_core) as echo,
            start_echo(answer_bytes, server_core, "native") as native_echo,
        ):
            found = await _rounds(settings, say, exchange, (echo, native_echo), views)
    found |= await _in_process(settings, say, views)
    conditions["load_average_after"] = os.getloadavg()[0]
    return found, conditions


async def _rounds(
    settings: BenchSettings,
    say: Say,
    exchange: ServerProcess,
    echoes: tuple[ServerProcess, ServerProcess],
    views: FreshViews,
) -> dict[str, list[Round]]:
    rows: list[_Row] = [
        (ECHO, echoes[0], callers.echo, settings.unary_in_flight),
        (NATIVE_ECHO, echoes[1], callers.echo, settings.unary_in_flight),
        ("auctions, unary", exchange, callers.unary, settings.unary_in_flight),
        *(
            (f"auctions, unary, {name} transport", exchange.over(name), callers.unary, settings.unary_in_flight)
            for name in exchange.other_targets
        ),
        ("auctions, unary, four times as many in flight", exchange, callers.unary, 4 * settings.unary_in_flight),
        ("auctions, stream, coalesced", exchange, callers.stream, settings.stream_in_flight),
        (f"auctions, batches of {settings.batch_size}", exchange, callers.batch, settings.batch_in_flight),
    ]
    found: dict[str, list[Round]] = {row[0]: [] for row in rows}
    for number in range(1, settings.rounds + 1):
        for name, server, open_caller, in_flight in rows:
            say(f"round {number} of {settings.rounds}: {name}")
            caller = open_caller(server, settings, views)
            try:
                found[name].append(await measure(caller, server.pid, in_flight, settings))
            finally:
                await caller.close()
    return found


async def _in_process(settings: BenchSettings, say: Say, views: FreshViews) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {IN_PROCESS: [], RANKING: [], WHOLE_CALL: [], POST_CHECK: []}
    rank, check = ranking(settings.seed), checking(Settings(), settings.seed)
    async with open_exchange(settings) as (prepare, get_feed):
        for number in range(1, settings.rounds + 1):
            say(f"round {number} of {settings.rounds}: in process")
            found[IN_PROCESS].append(await measure_in_process(prepare, views.next, settings))
            found[RANKING].append(await measure_calls(rank, settings))
            found[WHOLE_CALL].append(await measure_calls(get_feed, settings))
            found[POST_CHECK].append(await measure_calls(check, settings))
    return found


async def _answer_bytes(exchange: ServerProcess, settings: BenchSettings, views: FreshViews) -> int:
    """The mean size of a few answers, so that the echo's is similar."""
    client = ExchangeClient(exchange.target, exchange.api_key, coalesce=False, timeout_ms=settings.timeout_ms)
    try:
        sizes = [(await client.hold_auction(views.next())).ByteSize() for _ in range(20)]
    finally:
        await client.close()
    return sum(sizes) // len(sizes)
