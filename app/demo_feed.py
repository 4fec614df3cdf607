"""Who posts and who scrolls in the demo? Creators with words of our own, and shoppers who act on what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from app.demo_keys import DemoKeys
from client.errors import CallFailed
from client.feed import FeedClient
from common.clock import SystemClock
from protos import catalogue_pb2 as catalogue
from protos import common_pb2 as common
from protos import feed_pb2 as feed

CREATORS = 40
POSTS = 300
_PAGES_A_SESSION = 3
_OPENINGS = (
    "Three ways to wear",
    "Found at last:",
    "My week in",
    "Packing light with",
    "Rain or not,",
    "Still in love with",
)
_ENDINGS = (
    "Which one would you take?",
    "Worn on repeat.",
    "It goes with everything.",
    "More on Sunday.",
    "Ask me anything.",
)
_AGREED = common.Consent(
    granted=[
        common.PURPOSE_REMEMBER,
        common.PURPOSE_PERSONALISED_ADS,
        common.PURPOSE_PERSONALISED_CONTENT,
        common.PURPOSE_SHARE_WITH_BIDDERS,
    ]
)


def make_posts(products: Sequence[catalogue.Product], *, seed: int) -> list[feed.Post]:
    """The same posts for the same products and seed; published over the last two days."""
    chance = Random(seed)
    now_ms = SystemClock().now_ms()
    posts = []
    for number in range(POSTS):
        tagged = chance.sample(list(products), chance.randrange(1, 4))
        caption = f"{chance.choice(_OPENINGS)} the {tagged[0].name.lower()}. {chance.choice(_ENDINGS)}"
        posts.append(
            feed.Post(
                creator_id=f"creator-{number % CREATORS + 1}",
                caption=caption,
                image_urls=[tagged[0].image_url],
                product_tags=[
                    feed.ProductTag(product_id=product.product_id, x=chance.random(), y=chance.random())
                    for product in tagged
                ],
                hashtags=[tagged[0].category, chance.choice(("ootd", "newin", "slowfashion"))],
                published_at_ms=now_ms - chance.randrange(60_000, 2 * 86_400_000),
            )
        )
    return posts


@dataclass(slots=True)
class Scrolled:
    """What the shoppers saw."""

    sessions: int = 0
    pages: int = 0
    posts: int = 0
    ads: int = 0
    actions: int = 0
    # Pages after a hide that still held the hidden post, and posts shown twice in one scroll: both must stay 0.
    hidden_shown: int = 0
    repeated: int = 0
    failed: int = 0


async def scroll(target: str, keys: DemoKeys, seen: Scrolled, stop: asyncio.Event, *, seed: int) -> None:
    """Sessions one after the other until `stop`: each scrolls, likes one post and hides another."""
    chance = Random(seed)
    async with FeedClient(target, keys.shop.key, keys.shop.tenant_id) as shop:
        while not stop.is_set():
            try:
                await _session(shop, keys, seen, chance)
            except CallFailed:
                seen.failed += 1
            await _pause(stop)


async def _session(shop: FeedClient, keys: DemoKeys, seen: Scrolled, chance: Random) -> None:
    number = seen.sessions
    seen.sessions += 1
    agrees = chance.random() < 0.8
    request = feed.GetFeedRequest(
        tenant_id=keys.shop.tenant_id,
        visitor=common.Visitor(visitor_id=f"shopper-{number % 50}" if agrees else ""),
        session_id=f"feed-session-{number}",
        consent=_AGREED if agrees else common.Consent(),
        page=common.Page(url="https://shop.example/feed", categories=["fashion"], keywords=["fashion", "shoes"]),
        device=common.Device(type=common.DEVICE_TYPE_PHONE, country=chance.choice(("DE", "FR", "IT")), language="de"),
        page_size=12,
        ad_slots=2,
    )
    shown: set[str] = set()
    hidden: set[str] = set()
    for page_number in range(_PAGES_A_SESSION):
        page = await shop.get_feed(request)
        posts = [item.post.post_id for item in page.items if item.HasField("post")]
        seen.pages += 1
        seen.posts += len(posts)
        seen.ads += len(page.items) - len(posts)
        seen.repeated += len(shown.intersection(posts))
        seen.hidden_shown += len(hidden.intersection(posts))
        shown.update(posts)
        if len(posts) > 1:
            actions = [
                feed.Action(kind=feed.Action.KIND_LIKE, subject_id=posts[0], action_id=f"{number}-{page_number}-like"),
                feed.Action(kind=feed.Action.KIND_HIDE, subject_id=posts[1], action_id=f"{number}-{page_number}-hide"),
            ]
            hidden.add(posts[1])
            recorded = await shop.record_actions(
                feed.RecordActionsRequest(
                    tenant_id=keys.shop.tenant_id,
                    visitor=request.visitor,
                    session_id=request.session_id,
                    consent=request.consent,
                    actions=actions,
                )
            )
            seen.actions += recorded.recorded
        if not page.next_cursor:
            break
        request.cursor = page.next_cursor


async def _pause(stop: asyncio.Event) -> None:
    """Shoppers come some twenty a second."""
    try:
        await asyncio.wait_for(stop.wait(), 0.05)
    except TimeoutError:
        return
