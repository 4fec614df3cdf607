"""What is the feed made of? Its part of the composition root."""

from __future__ import annotations

import secrets
from pathlib import Path
from random import Random

from sqlalchemy import Engine

from app.bridges import FeedAds
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from backends.posts_sql import SqlPostStore
from common.clock import Clock
from exchange.auction import Auction
from feed import engagement
from feed.ad_slots import AdSlots
from feed.cursor import Cursors
from feed.index import FeedIndex
from feed.posts import Posts
from feed.products import CatalogueProducts
from feed.recording import Recorder
from feed.server import FeedServer
from feed.sessions import InProcessSessions
from feed.timeline import Timeline
from feed.visitors import RememberedVisitors
from streams.catalogue import Catalogue
from streams.profiles import Profiles
from streams.publisher import Publisher


def wire_feed(
    settings: Settings,
    clock: Clock,
    *,
    engine: Engine,
    log: LmdbEventLog,
    publisher: Publisher,
    catalogue: Catalogue,
    profiles: Profiles,
    auction: Auction,
) -> FeedServer:
    """The feed over these stores, its index restored from what was posted and done."""
    products = CatalogueProducts(catalogue)
    post_store = SqlPostStore(engine)
    index = FeedIndex(products=products)
    index.fold(post_store.all())
    engagement.restore(index, log, clock.now_ms())
    sessions = InProcessSessions()
    remembered = RememberedVisitors(profiles)
    return FeedServer(
        posts=Posts(store=post_store, clock=clock, products=products),
        index=index,
        timeline=Timeline(index=index, sessions=sessions, products=products, profiles=remembered, clock=clock),
        recorder=Recorder(
            index=index, sessions=sessions, store=post_store, profiles=remembered, clock=clock,
            publish=publisher.publish,
        ),
        ads=AdSlots(source=FeedAds(auction, settings.currency), deadline_ms=settings.tmax_ms),
        cursors=Cursors(secret=_secret(settings.data_dir)),
        publish=publisher.publish,
        clock=clock,
        chance=Random(),
    )  # fmt: skip


def _secret(data_dir: Path) -> bytes:
    """The key that feed cursors are signed with; made once, readable by the owner alone."""
    path = data_dir / "cursor.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
