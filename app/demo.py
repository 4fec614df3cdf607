"""What does haat do, all of it, on real traffic? The demo, scene by scene; each scene is one call away.

1 the log  2 who trades  3 an outside bidder and the server  4 everybody's wares come in by gRPC
5 a week of real page views, and shoppers who scroll the feed  6 what happened  7 it keeps serving
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import signal
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from app.demo_feed import Scrolled, make_posts, scroll
from app.demo_formats import show_formats
from app.demo_keys import DemoKeys, make_keys
from app.demo_load import load_posts, load_world, sell_out
from app.demo_processes import started
from app.demo_progress import Loading, Replaying
from app.demo_summary import print_hints, print_summary, summarise
from app.demo_world import BLOCKED_ADVERTISERS, BLOCKED_CATEGORIES, Item, World, brand_names, make_world
from app.ports_in_use import check_port_free
from app.printing import print_json
from app.settings import Settings
from app.train_commands import logs_dir
from app.warm_up import kernels_are_compiled
from common.clock import SystemClock
from common.errors import Conflict
from loadgen.readers.open_bandit import SECTIONS, OpenBanditLog, ShopPage
from loadgen.replay import ReplaySettings, replay
from loadgen.tally import ReplayTally
from protos import feed_pb2
from ranking.impressions import product_id, read_items
from ranking.model import ModelRefused, load_prior
from ranking.open_bandit import fetch
from ranking.prior import FLAT, PriorRates

_MARK = ".haat-demo"
_WEEK_S = 7 * 86_400
_PLAYS_S = 30.0
# What --for leaves to starting, loading and summing up.
_AROUND_S = 8.0
_LEAST_S = 5.0
_SOLD_OUT = 24
# A neighbour with the faults of real ones: some answers late, some wrong, some none at all.
_FAULTS = {"--late-share": "0.02", "--garbage-share": "0.05", "--failure-share": "0.01"}
# A week goes by in half a minute, so what is held for a click that does not come is let go after seconds.
_HURRIED = {"impression_ttl_s": "10", "click_ttl_s": "2", "conversion_ttl_s": "10"}
_BIDDER = ["loadgen.sample_bidder", "--port", "0", *(word for fault in _FAULTS.items() for word in fault)]
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: addresses, keys, who trades, the log, and the click rates that shoppers go by."""

    target: str
    http_address: str
    keys: DemoKeys
    world: World
    posts: list[feed_pb2.Post]
    log: Path
    rates: PriorRates
    seed: int
    begun_at_ms: int


def run_demo(settings: Settings, *, for_s: float | None, seed: int, as_json: bool) -> None:
    """The whole demo. With `for_s` the replay ends after about that long and so does the demo; else it goes on serving
    until Ctrl-C. Ctrl-C during the replay ends it early and it is summed up; a second one ends the demo.
    """
    begun_at_ms = SystemClock().now_ms()
    console = Console(stderr=as_json)
    for host, port, what in (
        (settings.grpc_host, settings.grpc_port, "gRPC"),
        (settings.http_host, settings.http_port, "HTTP"),
    ):
        if port:
            check_port_free(host, port, what)
    data_dir = _emptied(settings.data_dir.parent / "demo")
    console.rule("[bold]haat: an ad exchange with a social feed, on real page views")
    with console.status("Fetching the Open Bandit Dataset (© ZOZO, Inc., CC BY 4.0), 1.3 MB, once …"):
        log = fetch(logs_dir(settings))  # 1
    keys = make_keys(data_dir, brand_names())  # 2
    with ExitStack() as running:
        bidder, grpc_address, http_address = _start(running, settings, data_dir, console)  # 3
        world = _world(http_address, log, seed)
        posts = make_posts(world.products, seed=seed)
        stage = Stage(grpc_address, http_address, keys, world, posts, log, _rates(settings), seed, begun_at_ms)
        asyncio.run(_play(stage, settings, data_dir, console, for_s=for_s, as_json=as_json, bidder=bidder))
    console.print(f"Stopped. Campaigns, budgets, posts and events are in {data_dir}.")


async def _play(
    stage: Stage,
    settings: Settings,
    data_dir: Path,
    console: Console,
    *,
    for_s: float | None,
    as_json: bool,
    bidder: str,
) -> None:
    console.print(f"gRPC on {stage.target}, HTTP on http://{stage.http_address}, an outside bidder on {bidder}.")
    async with _interrupted() as stop:
        with Loading(console) as loading:
            await load_world(stage.target, stage.keys, stage.world, loading.told)  # 4
            await load_posts(stage.target, stage.keys, stage.posts, loading.told)
        plays_s = max(for_s - _AROUND_S, _LEAST_S) if for_s is not None else _PLAYS_S
        tally, scrolled = await _replay(stage, plays_s, console, stop)  # 5
        metrics = await asyncio.to_thread(_metrics, stage.http_address)
        model = settings.models_dir / "click"
        summary = summarise(metrics, data_dir, tally, scrolled, model, stage.begun_at_ms)  # 6
        if as_json:
            print_json(summary.as_json())
        else:
            print_summary(console, summary)
            await show_formats(console, stage.target, stage.keys)
        if for_s is None and not stop.is_set():
            print_hints(
                console, stage.target, stage.http_address, stage.keys.shop.key, data_dir, summary.last_auction_id
            )  # 7
            await stop.wait()


async def _replay(stage: Stage, plays_s: float, console: Console, stop: asyncio.Event) -> tuple[ReplayTally, Scrolled]:
    shop = ShopPage(blocked_categories=BLOCKED_CATEGORIES, blocked_advertisers=BLOCKED_ADVERTISERS)
    views = OpenBanditLog(stage.log, seed=stage.seed, shop=shop)
    settings = ReplaySettings(speed=_WEEK_S / plays_s, max_seconds=2 * plays_s, seed=stage.seed)
    tally, scrolled, done = ReplayTally(), Scrolled(), asyncio.Event()
    # The collector's long walks would show up as latencies of the exchange.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)
    console.print(f"A week of real page views in {plays_s:.0f} s, with the shop's notices, and shoppers in the feed:")
    with Replaying(console, tally, scrolled) as progress:
        scrolling = asyncio.create_task(scroll(stage.target, stage.keys, scrolled, done, seed=stage.seed))
        selling_out = asyncio.create_task(_sell_out(stage, plays_s / 2))
        try:
            await replay(
                stage.target,
                stage.keys.shop.key,
                views,
                settings,
                click_rate=lambda product, position: _rate(stage.rates, product, position),
                progress=progress.told,
                progress_every=50,
                stop=stop,
                tally=tally,
            )
        finally:
            done.set()
            selling_out.cancel()
            await asyncio.gather(scrolling, selling_out, return_exceptions=True)
    return tally, scrolled


async def _sell_out(stage: Stage, after_s: float) -> None:
    """Half-way through, some products are gone: the auctions after that do not show them."""
    await asyncio.sleep(after_s)
    every = max(len(stage.world.products) // _SOLD_OUT, 1)
    await sell_out(stage.target, stage.keys, stage.world.products[every // 2 :: every])


def _start(running: ExitStack, settings: Settings, data_dir: Path, console: Console) -> tuple[str, str, str]:
    bidder = running.enter_context(
        started(
            "the outside bidder",
            [
                "loadgen.sample_bidder",
                "--port",
                "0",
                "--late-share",
                "0.02",
                "--garbage-share",
                "0.05",
                "--failure-share",
                "0.01",
            ],
            lambda line: line.split("ready on ", 1)[1].strip() if "ready on " in line else None,
            data_dir / "bidder.log",
        )
    )
    if not kernels_are_compiled():
        console.print("The first start compiles the auction's kernels, which takes some twenty seconds …")
    with console.status("Starting the exchange …"):
        command = {
            "--data-dir": data_dir,
            "--models-dir": settings.models_dir,
            "--grpc-host": settings.grpc_host,
            "--grpc-port": settings.grpc_port,
            "--http-host": settings.http_host,
            "--http-port": settings.http_port,
            "--outside-bidder": f"neighbour={bidder},{settings.currency},30ms",
            "--log-format": "json",
        }
        hurried = (word for name in _HURRIED.items() for word in ("--set", "=".join(name)))
        said = running.enter_context(
            started(
                "haat serve",
                ["app", "serve", *(str(word) for pair in command.items() for word in pair), *hurried],
                lambda line: line.strip() if line.startswith("haat serves") else None,
                data_dir / "serve.log",
            )
        )
    grpc_address, http_address = said.removeprefix("haat serves gRPC on ").split(" and HTTP on http://")
    return bidder, grpc_address, http_address


def _world(http_address: str, log: Path, seed: int) -> World:
    items = [
        Item(product_id(section, number), section, item.attributes(section))
        for section in SECTIONS
        for number, item in enumerate(read_items(log, section))
    ]
    return make_world(items, seed=seed, pictures_url=f"http://{http_address}/demo/pictures")


def _rates(settings: Settings) -> PriorRates:
    try:
        return load_prior(settings.models_dir / "click")
    except ModelRefused:
        return FLAT


def _rate(rates: PriorRates, product: str, position: int) -> float:
    return float(rates.by_product.get(product, rates.by_position)[min(position, 3)])


def _emptied(data_dir: Path) -> Path:
    """The demo begins anew each time; it only ever deletes a folder that a demo made."""
    if data_dir.exists() and any(data_dir.iterdir()):
        if not (data_dir / _MARK).exists():
            raise Conflict(f"{data_dir} holds something else than a demo: move it, or choose another --data-dir")
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / _MARK).touch()
    return data_dir


@contextlib.asynccontextmanager
async def _interrupted() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set, instead of tearing the demo down in the middle."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, first)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _metrics(http_address: str) -> str:
    with urllib.request.urlopen(f"http://{http_address}/metrics", timeout=10) as page:
        return str(page.read().decode())
