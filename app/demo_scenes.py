"""What is played in the demo? A week of the shop's page views, and an evening in its feed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console

from app.demo_feed import evening, scroll_beside
from app.demo_keys import DemoKeys
from app.demo_load import sell_out
from app.demo_posts import PlannedPost
from app.demo_progress import Replaying, Scrolling
from app.demo_world import BLOCKED_ADVERTISERS, BLOCKED_CATEGORIES, World
from loadgen.feed_tally import FeedTally
from loadgen.readers.open_bandit import OpenBanditLog, ShopPage
from loadgen.replay import ReplaySettings, replay
from loadgen.shoppers import Kin, Shopper
from loadgen.tally import ReplayTally
from loadgen.views import LoggedView
from protos import catalogue_pb2 as catalogue
from ranking.prior import PriorRates

_WEEK_S = 7 * 86_400
_SOLD_OUT = 24
# Where PostgreSQL, Kafka, Redis and Elasticsearch share the machine, it bears fewer page views.
_EACH_ON_ENGINES = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: addresses, keys, who trades, the log, and the click rates that shoppers go by."""

    target: str
    http_address: str
    keys: DemoKeys
    world: World
    # Published while shoppers scroll.
    posts: list[PlannedPost]
    shoppers: list[Shopper]
    kin: dict[str, Kin]
    log: Path
    rates: PriorRates
    seed: int
    begun_at_ms: int
    # How many were published before.
    posted_before: int
    # Where posts are kept; empty: in the demo's folder.
    database_url: str


async def replay_week(
    stage: Stage,
    visits: Iterator[tuple[int, Shopper]],
    scrolled: FeedTally,
    plays_s: float,
    console: Console,
    stop: asyncio.Event,
) -> ReplayTally:
    """All logged page views within about `plays_s`, with the shop's notices; a few shoppers scroll beside."""
    shop = ShopPage(blocked_categories=BLOCKED_CATEGORIES, blocked_advertisers=BLOCKED_ADVERTISERS)
    views: Iterable[LoggedView] = OpenBanditLog(stage.log, seed=stage.seed, shop=shop)
    which = ""
    if stage.database_url:
        views, which = islice(views, 0, None, _EACH_ON_ENGINES), ", every third of them as the engines are here too,"
    settings = ReplaySettings(speed=_WEEK_S / plays_s, max_seconds=2 * plays_s, seed=stage.seed)
    tally, done = ReplayTally(), asyncio.Event()
    # The collector's long walks would show up as latencies of the exchange.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)
    console.print(
        f"A week of real page views{which} in {plays_s:.0f} s, with the shop's notices, and shoppers in the feed:"
    )
    with Replaying(console, tally, scrolled) as progress:
        scrolling = asyncio.create_task(
            scroll_beside(stage.target, stage.keys, visits, stage.kin, scrolled, done, seed=stage.seed)
        )
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
    return tally


async def evening_in_feed(
    stage: Stage,
    visits: Iterator[tuple[int, Shopper]],
    scrolled: FeedTally,
    seconds: float,
    console: Console,
    stop: asyncio.Event,
) -> None:
    """Everybody who has not been there yet scrolls, while creators publish."""
    left = islice(visits, max(len(stage.shoppers) - scrolled.sessions, 0))
    console.print(
        f"An evening in the feed, for {seconds:.0f} s: {len(stage.shoppers):,} shoppers, one after the other:"
    )
    with Scrolling(console, scrolled) as progress:

        async def draw() -> None:
            while True:
                progress.refresh()
                await asyncio.sleep(0.2)

        drawing = asyncio.create_task(draw())
        try:
            await evening(
                stage.target, stage.http_address, stage.keys, left, stage.kin, scrolled, stage.posts, stop,
                sold_out={product.product_id for product in _to_sell_out(stage)}, seconds=seconds, seed=stage.seed,
            )  # fmt: skip
        finally:
            drawing.cancel()


async def _sell_out(stage: Stage, after_s: float) -> None:
    """Half-way through, some products are gone: the auctions after that do not show them."""
    await asyncio.sleep(after_s)
    await sell_out(stage.target, stage.keys, _to_sell_out(stage))


def _to_sell_out(stage: Stage) -> list[catalogue.Product]:
    every = max(len(stage.world.products) // _SOLD_OUT, 1)
    return stage.world.products[every // 2 :: every]


def _rate(rates: PriorRates, product: str, position: int) -> float:
    return float(rates.by_product.get(product, rates.by_position)[min(position, 3)])
