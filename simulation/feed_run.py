"""What happens when shoppers scroll a made-up feed for some days? The real timeline, sessions and recorder, on a clock
that is stepped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from common.clock import SteppedClock
from common.consent import Permission
from feed import diversity
from feed.actions import Action, ActionKind
from feed.composition import Decision
from feed.cursor import Chain
from feed.index import FeedIndex
from feed.learned import LearnedRanking
from feed.page_events import served
from feed.ports import Done, Reacted, Reaction
from feed.recording import Actor, Publish, Recorder
from feed.sessions import InProcessSessions
from feed.sources.fresh import EXPLORED_SHARE
from feed.timeline import Timeline
from feed.view import FeedQuery
from simulation.feed_world import DAY_MS, TENANT, FeedWorld, Shopper
from streams import schemas
from streams.product import Product
from streams.topics import FEED_PAGES

STARTED_AT_MS = 1_750_000_000_000
OLD_POSTS, POSTS_A_DAY, PAGE_SIZE = 1_500, 240, 12
_AGREED = Permission.REMEMBER | Permission.PERSONALISE_CONTENT
# Every so many pages, the page that was decided is set beside other ways to choose it.
_COMPARED_EVERY = 20


class ChoiceFigures(msgspec.Struct, frozen=True):
    """One way to choose a page: clicks per 1,000 looks in truth, divergence from the wanted mix in nats, and how many
    categories and creators a page shows.
    """

    clicks_per_mille: float
    divergence: float
    categories: float
    creators: float


@dataclass(slots=True)
class FeedRun:
    """What came of a run. `impressions_at` holds for each post of the run when it was seen for the first 100 times."""

    pages: int = 0
    looks: int = 0
    clicks: int = 0
    value: float = 0.0
    explored: int = 0
    explored_clicks: int = 0
    published_at_ms: dict[str, int] = field(default_factory=dict)
    impressions_at: dict[str, list[int]] = field(default_factory=dict)
    impressions: dict[str, int] = field(default_factory=dict)
    ended_at_ms: int = 0
    choices: dict[str, list[ChoiceFigures]] = field(default_factory=dict)


class _Shop:
    def __init__(self, products: Sequence[Product]) -> None:
        self._by_id = {product.product_id: product for product in products}

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> list[Product | None]:
        return [self._by_id.get(product_id) for product_id in product_ids]


class _Visitors:
    def __init__(self) -> None:
        self._weights: dict[str, dict[str, float]] = {}

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        return self._weights.get(visitor_id, {})

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        known = self._weights.setdefault(visitor_id, {})
        for product_id, weight in weights.items():
            known[product_id] = known.get(product_id, 0.0) + weight
        for product_id in sorted(known, key=lambda one: -abs(known[one]))[64:]:
            del known[product_id]


class _Reactions:
    """A ReactionStore that remembers nothing: nobody in a simulation sends an action twice."""

    def react(self, tenant_id: str, actor_key: bytes, reactions: Sequence[Reaction], now_ms: int) -> list[Reacted]:
        return [Reacted(new=True, moved=1 if one.on else -1) for one in reactions]

    def standing(self, tenant_id: str, actor_key: bytes, subject_ids: Sequence[str]) -> set[tuple[ActionKind, str]]:
        return set()

    def newest(self, tenant_id: str, actor_key: bytes, kind: ActionKind, limit: int) -> list[Done]:
        return []


async def run(
    *,
    seed: int,
    pages: int,
    days: float,
    publish: Publish,
    explored_share: float = EXPLORED_SHARE,
    learned: LearnedRanking | None = None,
    said: Callable[[int], None] = lambda pages: None,
) -> FeedRun:
    """`pages` pages over `days` days of one feed, from an archive of older posts; told to `publish` as a server does.

    The same seed makes the same posts, shoppers and draws.
    """
    clock = SteppedClock(STARTED_AT_MS)
    world = FeedWorld(seed, STARTED_AT_MS)
    shop, visitors, sessions = _Shop(world.products), _Visitors(), InProcessSessions()
    index = FeedIndex(products=shop)
    timeline = Timeline(
        index=index,
        sessions=sessions,
        products=shop,
        profiles=visitors,
        clock=clock,
        learned=learned,
        explored_share=explored_share,
    )
    recorder = Recorder(
        index=index, sessions=sessions, reactions=_Reactions(), profiles=visitors, clock=clock, publish=publish
    )
    chance = random.Random(seed)
    index.fold(world.post(n, STARTED_AT_MS - int(chance.random() * 14 * DAY_MS)) for n in range(OLD_POSTS))
    found = FeedRun()
    # Posts come evenly, sessions by chance: one has two and a half pages of twenty seconds on average.
    next_post_ms, number, session_number = float(STARTED_AT_MS), OLD_POSTS, 0
    between_sessions_ms = max(days * DAY_MS / (pages / 2.5) - 50_000, 1.0)
    while found.pages < pages:
        while next_post_ms <= clock.now_ms():
            post = world.post(number, int(next_post_ms))
            index.put(post)
            found.published_at_ms[post.post_id] = post.published_at_ms
            number += 1
            next_post_ms += DAY_MS / POSTS_A_DAY
        session_number += 1
        shopper = world.someone()
        session_id = f"session-{session_number}"
        chain: Chain | None = Chain(chance.getrandbits(63))
        permissions = _AGREED if shopper.agrees else Permission.NONE
        visitor_id = shopper.visitor_id if shopper.agrees else ""
        for _ in range(shopper.patience):
            if chain is None:
                break
            query = FeedQuery(
                TENANT, session_id, clock.now_ms(), chain, PAGE_SIZE, permissions=permissions, visitor_id=visitor_id
            )
            if found.pages % _COMPARED_EVERY == 0 and shopper.agrees:
                _compare(found, world, shopper, timeline.decide(query))
            page = timeline.page(query)
            publish(FEED_PAGES.name, [schemas.encode(served(query, page))])
            actions = []
            for place, pick in enumerate(page.picks):
                _count(found, pick.post_id, clock.now_ms())
                done = world.act(shopper, pick.post_id, place)
                found.looks += 1
                found.clicks += ActionKind.CLICK in done
                if pick.source == "exploration":
                    found.explored += 1
                    found.explored_clicks += ActionKind.CLICK in done
                actions += [Action(kind, pick.post_id, f"{found.pages}-{place}-{kind.value}") for kind in done]
            clock.step(20_000)
            if actions:
                await recorder.record(Actor(TENANT, session_id, permissions, visitor_id), actions)
            found.pages += 1
            chain = page.next_chain
        said(found.pages)
        clock.step(world.pause_ms(between_sessions_ms))
    found.ended_at_ms = clock.now_ms()
    return found


def _count(found: FeedRun, post_id: str, at_ms: int) -> None:
    if post_id in found.published_at_ms:
        found.impressions[post_id] = found.impressions.get(post_id, 0) + 1
        times = found.impressions_at.setdefault(post_id, [])
        if len(times) < 100:
            times.append(at_ms)


def _compare(found: FeedRun, world: FeedWorld, shopper: Shopper, decision: Decision) -> None:
    """The same candidates and scores, chosen by score alone, by penalties for what is there, and by the wanted mix."""
    wanted = decision.selection.wanted
    if wanted is None:
        return
    shelf, kept, scores = decision.view.shelf, decision.kept, decision.scores
    creators, brands, categories = shelf.creator[kept], shelf.brand[kept], shelf.category[kept]
    ways = {
        "best scores": np.argsort(-scores, kind="stable")[:PAGE_SIZE].tolist(),
        "penalties (MMR)": diversity.select(scores, creators, brands, categories, PAGE_SIZE, PAGE_SIZE),
        "calibrated": diversity.select(scores, creators, brands, categories, PAGE_SIZE, PAGE_SIZE, wanted),
    }
    for name, chosen in ways.items():
        rows = kept[chosen]
        codes, counts = np.unique(shelf.category[rows], return_counts=True)
        truth = [world.click_chance(shopper, shelf.posts[row].post_id) for row in rows.tolist()]
        found.choices.setdefault(name, []).append(
            ChoiceFigures(
                1000 * float(np.mean(truth)),
                diversity.divergence(wanted, dict(zip(codes.tolist(), counts.tolist(), strict=True))),
                float(len(codes)),
                float(len(np.unique(shelf.creator[rows]))),
            )
        )
