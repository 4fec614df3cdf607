"""What does haat do, all of it, on real traffic? The demo, scene by scene; each scene is one call away.

1 the log  2 who posts, and what was posted in the last days  3 who trades  4 an outside bidder and the server
5 everybody's wares come in by gRPC  6 a week of real page views  7 an evening in the feed  8 what happened
9 it keeps serving
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from app import demo_shoppers
from app.demo_compiling import compiled_beside
from app.demo_engines import as_environment, engine_settings
from app.demo_feed_summary import moderated
from app.demo_formats import show_formats
from app.demo_keys import make_keys
from app.demo_load import load_world
from app.demo_pictures import PATH as PICTURES
from app.demo_posts import LIVE_POSTS, PlannedPost, make_posts
from app.demo_processes import started
from app.demo_progress import Loading
from app.demo_scenes import Stage, evening_in_feed, replay_week
from app.demo_seed import Seeded, seed_into
from app.demo_summary import metric_of, print_hints, print_summary, summarise
from app.demo_world import Item, World, brand_names, make_world
from app.ports_in_use import check_port_free
from app.printing import print_json
from app.published_logs import open_bandit
from app.settings import Settings
from common.clock import SystemClock
from common.errors import Conflict
from loadgen.feed_tally import FeedTally
from loadgen.readers.open_bandit import SECTIONS
from loadgen.shoppers import in_turn
from protos import catalogue_pb2 as catalogue
from ranking.impressions import product_id, read_items
from ranking.model import ModelRefused, load_prior
from ranking.prior import FLAT, PriorRates

_MARK = ".haat-demo"
# Beside the demo's folder: what was posted in the last days, to be copied the next time.
_KEPT_POSTS = "demo-posts"
_PLAYS_S = 30.0
_POSTS, _POSTS_ON_ENGINES = 5_000, 1_000
# The evening in the feed, as a share of the replay's time; without --for until all shoppers came, or so long.
_EVENING_SHARE, _EVENING_S = 0.4, 60.0
# What --for leaves to starting, loading and summing up.
_AROUND_S = 8.0
_LEAST_S = 5.0
# A neighbour with the faults of real ones: some answers late, some wrong, some none at all.
_FAULTS = {"--late-share": "0.02", "--garbage-share": "0.05", "--failure-share": "0.01"}
# Another has gone away: its address is one where nobody listens.
_GONE = "127.0.0.1:1"
# A week goes by in half a minute, so what is held for a click that does not come is let go after seconds.
_HURRIED = {"impression_ttl_s": "10", "click_ttl_s": "2", "conversion_ttl_s": "10"}
# The demo writes its own posts, and draws their pictures.
_OWN_POSTS = {"picture_hosts": "*"}
_BIDDER = ["loadgen.sample_bidder", "--port", "0", *(word for fault in _FAULTS.items() for word in fault)]
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_demo(
    settings: Settings, *, for_s: float | None, seed: int, posts: int | None, orders: Sequence[Path], as_json: bool
) -> None:
    """The whole demo. With `for_s` the replay ends after about that long, and the demo after an evening in the feed;
    else it goes on serving until Ctrl-C. Ctrl-C in the middle ends it early and it is summed up; a second one ends the
    demo. With `orders`, files of a shop's real orders, its customers shop in the feed for its products.
    """
    begun_at_ms = SystemClock().now_ms()
    if posts is None:
        posts = _POSTS_ON_ENGINES if settings.database_url else _POSTS
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
        log = open_bandit(settings)  # 1
    engines = engine_settings(settings)
    ordered = demo_shoppers.read_orders(orders, settings.currency) if orders else None
    pictures = f"http://{settings.http_host}:{settings.http_port}" if settings.http_port else "http://shop.example"
    world = _world(pictures, log, seed)
    planned = make_posts(ordered.products if ordered else world.products, posts, seed=seed)
    live = planned[-min(LIVE_POSTS, posts // 4) :]
    wares = [*world.products, *(ordered.products if ordered else [])]
    with compiled_beside(console):
        seeded = _seed(settings, data_dir, wares, planned[: len(planned) - len(live)], engines, console)  # 2
    keys = make_keys(data_dir, brand_names(), shop_id=seeded.shop_id, database_url=engines["database_url"])  # 3
    with ExitStack() as running:
        bidder, grpc_address, http_address = _start(running, settings, engines, data_dir, console)  # 4
        world = _world(f"http://{http_address}", log, seed)
        if ordered is not None:
            world.products += ordered.products
            shoppers = demo_shoppers.of_orders(ordered, seed=seed)
        else:
            shoppers = demo_shoppers.of_log(log, world.products, seed=seed)
        kin = demo_shoppers.kin_of(ordered.products if ordered else world.products)
        stage = Stage(
            grpc_address, http_address, keys, world, live, shoppers, kin, log, _rates(settings), seed, begun_at_ms,
            seeded.posts, engines["database_url"],
        )  # fmt: skip
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
            await load_world(stage.target, stage.keys, stage.world, loading.told)  # 5
        plays_s = max(for_s - _AROUND_S, _LEAST_S) if for_s is not None else _PLAYS_S
        scrolled, visits = FeedTally(), in_turn(stage.shoppers, stage.seed)
        tally = await replay_week(stage, visits, scrolled, plays_s, console, stop)  # 6
        await evening_in_feed(
            stage, visits, scrolled, _EVENING_S if for_s is None else _EVENING_SHARE * plays_s, console, stop
        )  # 7
        metrics = await asyncio.to_thread(_metrics, stage.http_address)
        waiting = metric_of(metrics, "haat_moderation_cases_waiting")
        posts = await asyncio.to_thread(moderated, data_dir, waiting, stage.posted_before, stage.database_url)
        model = settings.models_dir / "click"
        summary = summarise(metrics, data_dir, tally, scrolled, posts, model, stage.begun_at_ms)  # 8
        if as_json:
            print_json(summary.as_json())
        else:
            print_summary(console, summary)
            await show_formats(console, stage.target, stage.keys)
        if for_s is None and not stop.is_set():
            print_hints(
                console, stage.target, stage.http_address, stage.keys.shop.key, data_dir, summary.last_auction_id
            )  # 9
            await stop.wait()


def _seed(
    settings: Settings,
    data_dir: Path,
    products: Sequence[catalogue.Product],
    posts: Sequence[PlannedPost],
    engines: Mapping[str, str],
    console: Console,
) -> Seeded:
    console.print("What was posted in the last week, through the same checks; it is kept for the next hours:")
    with Loading(console, "Posted", {"posts": len(posts)}) as loading:
        return seed_into(settings, data_dir, data_dir.parent / _KEPT_POSTS, products, posts, engines, loading.told)


def _start(
    running: ExitStack, settings: Settings, engines: Mapping[str, str], data_dir: Path, console: Console
) -> tuple[str, str, str]:
    bidder = running.enter_context(
        started(
            "the outside bidder",
            _BIDDER,
            lambda line: line.split("ready on ", 1)[1].strip() if "ready on " in line else None,
            data_dir / "bidder.log",
        )
    )
    with console.status("Starting the exchange …"):
        command = {
            "--data-dir": data_dir,
            "--models-dir": settings.models_dir,
            "--grpc-host": settings.grpc_host,
            "--grpc-port": settings.grpc_port,
            "--http-host": settings.http_host,
            "--http-port": settings.http_port,
            "--log-format": "json",
        }
        neighbours = {"neighbour": bidder, "gone": _GONE}
        asked = (
            word
            for name, address in neighbours.items()
            for word in ("--outside-bidder", f"{name}={address},{settings.currency},30ms")
        )
        hurried = (word for name in (_HURRIED | _OWN_POSTS).items() for word in ("--set", "=".join(name)))
        said = running.enter_context(
            started(
                "haat serve",
                ["app", "serve", *(str(word) for pair in command.items() for word in pair), *asked, *hurried],
                lambda line: line.strip() if line.startswith("haat serves") else None,
                data_dir / "serve.log",
                as_environment(engines),
            )
        )
    grpc_address, http_address = said.removeprefix("haat serves gRPC on ").split(" and HTTP on http://")
    return bidder, grpc_address, http_address


def _world(http_url: str, log: Path, seed: int) -> World:
    items = [
        Item(product_id(section, number), section, item.attributes(section))
        for section in SECTIONS
        for number, item in enumerate(read_items(log, section))
    ]
    return make_world(items, seed=seed, pictures_url=f"{http_url}{PICTURES}")


def _rates(settings: Settings) -> PriorRates:
    try:
        return load_prior(settings.models_dir / "click")
    except ModelRefused:
        return FLAT


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
