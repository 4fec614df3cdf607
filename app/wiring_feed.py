"""What is the feed made of? Its part of the composition root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from sqlalchemy import Engine
from starlette.routing import BaseRoute

from accounts.ports import ApiKeys
from app.bridges import FeedAds, HoldAuction
from app.settings import Settings
from app.version import version
from app.wiring_checks import PublishedPictures
from app.wiring_media import MediaParts, key_of
from app.wiring_recommender import looking_ahead
from app.wiring_redis import Redis, feed_sessions_of, page_ads_of
from app.wiring_social import SocialPart
from backends.event_log_lmdb import LmdbEventLog
from backends.posts_sql import SqlPostStore
from backends.reactions_sql import SqlReactionStore
from common.clock import Clock
from exchange.inventory import Snapshot
from feed import engagement
from feed.ad_slots import AdSlots
from feed.cursor import Cursors
from feed.heard import Heard
from feed.index import FeedIndex
from feed.learned import FeedRanker, open_ranking
from feed.media.endpoints import described
from feed.moderation.openapi import openapi as moderation_openapi
from feed.moderation.pictures import KnownPictures
from feed.pages_rest import PageEndpoints
from feed.ports import PostChecker, Reputation
from feed.post import Post
from feed.post_view import PostViews
from feed.posts import Posts
from feed.posts_rest import PostEndpoints
from feed.posts_server import ChangedPosts, PostCalls
from feed.products import CatalogueProducts
from feed.recommender.serving import ServingRecommender
from feed.recording import Recorder
from feed.rest import RestEdge
from feed.server import FeedServer
from feed.social.link_endpoint import described as links_described
from feed.social.rest import openapi as social_openapi
from feed.timeline import SCORERS, Timeline
from feed.unchecked import FindsAllClean
from feed.visitors import RememberedVisitors
from streams.catalogue import Catalogue
from streams.profiles import Profiles
from streams.publisher import Publisher


@dataclass
class Feed:
    """What serves the feed: over gRPC, and over HTTP."""

    server: FeedServer
    index: FeedIndex
    posts: Posts
    routes: list[BaseRoute]


def wire_feed(
    settings: Settings,
    clock: Clock,
    *,
    engine: Engine,
    log: LmdbEventLog,
    publisher: Publisher,
    catalogue: Catalogue,
    profiles: Profiles,
    hold_auction: HoldAuction,
    inventory: Callable[[], Snapshot],
    keys: ApiKeys,
    social: SocialPart,
    media: MediaParts,
    checker: PostChecker,
    pictures: KnownPictures,
    reputation: Reputation,
    recommender: ServingRecommender,
    heard: Heard,
    redis: Redis | None = None,
) -> Feed:
    """The feed over these stores, its index restored from what was posted and done."""
    products = CatalogueProducts(catalogue)
    post_store = SqlPostStore(engine)
    index = FeedIndex(products=products)
    index.fold(post_store.all())
    engagement.restore(index, log, clock.now_ms(), social.erasures)
    sessions = feed_sessions_of(redis)
    remembered = RememberedVisitors(profiles)
    changed = ChangedPosts()
    published = PublishedPictures(pictures, media.library)
    published.load(post_store.all())
    posts = Posts(
        store=post_store,
        clock=clock,
        products=products,
        media=media.library,
        picture_hosts=settings.picture_hosts,
        tell=partial(_tell_all, (changed.tell, published.changed)),
        not_published=social.recorded.not_published,
        blocked=social.recorded.blocked,
        checker=FindsAllClean() if settings.unchecked_posts == "show" else checker,
    )
    views = PostViews(index, media.addresses, media.library.withheld)
    calls = PostCalls(posts=posts, media=media.library, index=index, views=views, changed=changed)
    learned, sentence = open_ranking(settings.models_dir / "feed", SCORERS, feed_ranker(settings))
    timeline = Timeline(
        index=index,
        sessions=sessions,
        products=products,
        profiles=remembered,
        clock=clock,
        learned=learned,
        reputation=reputation,
        recommender=lambda: recommender.current,
    )
    server = FeedServer(
        posts=calls,
        index=index,
        timeline=timeline,
        recorder=Recorder(
            index=index,
            sessions=sessions,
            reactions=SqlReactionStore(engine),
            profiles=remembered,
            clock=clock,
            publish=publisher.publish,
            social=social.recorded,
            listener=heard,
        ),
        ads=AdSlots(
            source=FeedAds(hold_auction, settings.currency, inventory),
            deadline_ms=settings.tmax_ms,
            kept=page_ads_of(redis, settings.impression_ttl_s * 1000),
        ),
        products=products,
        ranker_sentence=sentence,
        cursors=Cursors(secret=key_of(settings.keys_dir, "cursor.key")),
        publish=publisher.publish,
        clock=clock,
        chance=Random(),
        relations=social.recorded,
        look_ahead=looking_ahead(settings, recommender, timeline),
    )
    # A part of the feed that is called over HTTP adds its endpoints here, or its description when it serves itself.
    table = [*PostEndpoints(calls, views).table(), *PageEndpoints(server).table()]
    others = {
        "people": social_openapi(social.operations),
        "moderation": moderation_openapi(),
        "media": described(),
        "links": links_described(),
    }
    rest = RestEdge(table, keys, version=version(), others=others)
    return Feed(server, index, posts, [*media.routes, *rest.routes()])


def feed_ranker(settings: Settings) -> FeedRanker:
    """Which ranking the settings ask for."""
    match settings.feed_ranker:
        case "model":
            return "model"
        case "hand":
            return "hand"
        case _:
            return "auto"


def _tell_all(hearers: Sequence[Callable[[Post], None]], post: Post) -> None:
    for hear in hearers:
        hear(post)
