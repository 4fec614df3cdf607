"""Who posts and who scrolls in the demo? Creators publish through the front door, while shoppers scroll the feed."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urlsplit

from app.demo_keys import DemoKeys
from app.demo_photos import CONTENT_TYPE, photo
from app.demo_posts import PlannedPost
from client.errors import CallFailed
from client.exchange import ExchangeClient
from client.feed import FeedClient
from client.posts import PostsClient
from loadgen.feed_tally import FeedTally
from loadgen.scrolling import Scene, scroll
from loadgen.shoppers import Kin, Shopper
from protos import feed_pb2 as feed

# Beside the page views some shoppers scroll; in the evening they have the feed for themselves.
AT_ONCE_BESIDE, AT_ONCE_EVENING = 1, 3
_PAUSE_BESIDE_S = 0.05
# Every so many of the posts that are published in the evening come with a photo of the creator's own, and one of
# those with a photo that somebody else has posted.
_PHOTO_EVERY, _STOLEN_AT = 3, 30


async def scroll_beside(
    target: str,
    keys: DemoKeys,
    visits: Iterator[tuple[int, Shopper]],
    kin: dict[str, Kin],
    tally: FeedTally,
    done: asyncio.Event,
    *,
    seed: int,
) -> None:
    """Shoppers scroll beside the shop's page views, until `done`."""
    await _scroll(target, keys, visits, kin, tally, done, seed, AT_ONCE_BESIDE, _PAUSE_BESIDE_S)


async def evening(
    target: str,
    http_address: str,
    keys: DemoKeys,
    visits: Iterator[tuple[int, Shopper]],
    kin: dict[str, Kin],
    tally: FeedTally,
    posts: Sequence[PlannedPost],
    stop: asyncio.Event,
    *,
    sold_out: Collection[str],
    seconds: float,
    seed: int,
) -> None:
    """Shoppers scroll and creators publish `posts`, for so long, or until there are no more visits, or `stop`.

    Products that are sold out by now are not tagged any more.
    """
    over = asyncio.Event()
    ending = asyncio.create_task(_ends(over, stop, seconds))
    publishing = asyncio.create_task(_publish(target, http_address, keys, posts, tally, over, sold_out, seconds))
    try:
        await _scroll(target, keys, visits, kin, tally, over, seed, AT_ONCE_EVENING, 0.0)
    finally:
        over.set()
        await asyncio.gather(ending, publishing)


async def _scroll(
    target: str,
    keys: DemoKeys,
    visits: Iterator[tuple[int, Shopper]],
    kin: dict[str, Kin],
    tally: FeedTally,
    stop: asyncio.Event,
    seed: int,
    at_once: int,
    pause_s: float,
) -> None:
    async with (
        FeedClient(target, keys.shop.key, keys.shop.tenant_id) as shop,
        ExchangeClient(target, keys.shop.key) as exchange,
    ):
        scene = Scene(shop, exchange, kin, tally, seed, "feed-session")
        await scroll(scene, visits, stop, at_once=at_once, pause_s=pause_s)


async def _publish(
    target: str,
    http_address: str,
    keys: DemoKeys,
    posts: Sequence[PlannedPost],
    tally: FeedTally,
    over: asyncio.Event,
    sold_out: Collection[str],
    seconds: float,
) -> None:
    """One post after the other over two thirds of the time, so that all of them can be seen."""
    pause_s = seconds * 2 / 3 / max(len(posts), 1)
    for number, planned in enumerate(posts):
        if over.is_set():
            return
        try:
            async with PostsClient(target, keys.shop.key, planned.draft.creator_id) as creator:
                made = await creator.create(await _post(creator, http_address, planned, number, sold_out))
        except (CallFailed, OSError) as error:
            tally.published_states["failed"] += 1
            if len(tally.first_errors) < 5:
                tally.first_errors.append(str(error)[:300])
            continue
        state = feed.Post.State.Name(made.state).removeprefix("STATE_").lower()
        tally.published_states[state] += 1
        if made.state == feed.Post.STATE_CLEAN:
            tally.published_ns[made.post_id] = time.monotonic_ns()
        await _wait(over, pause_s)


async def _post(
    creator: PostsClient, http_address: str, planned: PlannedPost, number: int, sold_out: Collection[str]
) -> feed.Post:
    draft = planned.draft
    post = feed.Post(
        caption=draft.caption,
        product_tags=[
            feed.ProductTag(product_id=tag.product_id, x=tag.x, y=tag.y)
            for tag in draft.product_tags
            if tag.product_id not in sold_out
        ],
        hashtags=draft.hashtags,
        paid=draft.paid,
        disclosure=feed.Post.Disclosure.ValueType(int(draft.disclosure)),
        partner=draft.partner,
    )
    if number % _PHOTO_EVERY:
        post.image_urls.extend(draft.image_urls)
        return post
    data = photo(0 if number == _STOLEN_AT else number)
    upload = await creator.start_upload(CONTENT_TYPE, len(data))
    # Where the server chose its own port, its settings do not know it: the path is what counts.
    url = f"http://{http_address}{urlsplit(upload.url).path}"
    await asyncio.to_thread(_put, url, dict(upload.headers), data)
    medium = await creator.finish_upload(upload.ticket)
    post.media.append(feed.PostMedia(media_id=medium.media_id, alt_text=planned.alt_text))
    return post


def _put(url: str, headers: dict[str, str], data: bytes) -> None:
    asked = urllib.request.Request(url, data=data, headers=headers, method="PUT")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        answer.read()


async def _ends(over: asyncio.Event, stop: asyncio.Event, seconds: float) -> None:
    stopping, ending = asyncio.create_task(stop.wait()), asyncio.create_task(over.wait())
    await asyncio.wait((stopping, ending), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    ending.cancel()
    over.set()


async def _wait(over: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return
