"""Which exchange is measured? haat with so many line items, a model that scores every finalist, and the log on."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from app.grpc_transports import TRANSPORTS, open_transport
from app.serving import Running, running
from app.settings import Settings, load
from bench.inventory import bench_model, fill
from bench.settled import settled
from exchange.batching import GRPCIO_QUIET_S, Batcher


def bench_settings(data_dir: Path) -> Settings:
    """Free ports, the model on, holds that are let go soon since nobody reports impressions."""
    return load(
        {
            "data_dir": str(data_dir),
            "models_dir": str(bench_model()),
            "grpc_port": "0",
            "http_port": "0",
            "ranker": "model",
            "impression_ttl_s": "10",
            "log_level": "warning",
        },
        environment={},
    )


@contextlib.asynccontextmanager
async def exchange(line_items: int, seed: int) -> AsyncIterator[tuple[Running, str]]:
    """A running exchange in a folder that goes away, and a storefront's key."""
    with tempfile.TemporaryDirectory(prefix="haat-bench-") as folder:
        settings = bench_settings(Path(folder))
        key = await asyncio.to_thread(fill, settings, line_items, seed)
        async with running(settings) as haat:
            await settled(haat.haat)
            yield haat, key


async def _serve(line_items: int, seed: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with exchange(line_items, seed) as (haat, key), _other_door(haat) as (name, target):
        print(f"ready {haat.grpc_address} {key} {name}={target}", flush=True)
        await stop.wait()


@contextlib.asynccontextmanager
async def _other_door(running: Running) -> AsyncIterator[tuple[str, str]]:
    """The same auctions through the transport that is not the default: its name, and where it listens."""
    settings = running.haat.settings
    (name, *_) = (name for name in TRANSPORTS if name != settings.grpc_transport)
    settings = dataclasses.replace(settings, grpc_transport=name, grpc_port=0)
    quiet_s = GRPCIO_QUIET_S if name == "grpcio" else 0.0
    calls = running.haat.auction_calls.batched_by(Batcher(running.haat.auction.hold_auctions, quiet_s=quiet_s))
    door = open_transport(settings, [calls.handlers()])
    await door.start()
    try:
        yield name, f"{settings.grpc_host}:{door.port}"
    finally:
        await door.stop(1)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.exchange_server", description=__doc__)
    parser.add_argument("--line-items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(given.line_items, given.seed))


if __name__ == "__main__":
    main()
