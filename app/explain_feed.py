"""Why does a page of the feed look as it does? A served one from the event log, a visitor's next one decided anew."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np

from app.databases import open_database
from app.explain import log_of, time_of
from app.settings import Settings
from app.wiring_feed import feed_ranker
from app.wiring_recommender import open_recommender
from backends.accounts_sql import SqlAccountStore
from backends.graph_sql import SqlGraphStore
from backends.posts_sql import SqlPostStore
from backends.profiles_lmdb import LmdbProfileStore
from backends.reactions_sql import SqlReactionStore
from backends.reputation_sql import SqlReputationStore
from common.clock import SystemClock
from common.consent import Permission
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import made_at_ms, number_of
from feed import engagement, features, stages
from feed.actions import ActionKind
from feed.asking import MAX_PAGE_SIZE
from feed.cursor import Chain
from feed.explanation import Explanation
from feed.index import FeedIndex
from feed.learned import open_ranking
from feed.log_reader import events
from feed.past_session import last_session
from feed.products import CatalogueProducts
from feed.reputation.book import ReachOfCreators, ReputationBook
from feed.reputation.reputations import Reputations
from feed.sessions import InProcessSessions
from feed.social.sights import Sights
from feed.timeline import SCORERS, Timeline
from feed.training_data import WINDOW_MS
from feed.view import FeedQuery, View
from feed.visitors import RememberedVisitors
from streams.catalogue import Catalogue
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.ports import EventLog
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.topics import FEED_ACTIONS, FEED_PAGES

# Between an id and its record in the log lies less than this, clocks being what they are.
_SLACK_MS = 60_000


def is_page_id(text: str) -> bool:
    """Is this the id of a page, rather than of a visitor? Ids of ours are 32 hexadecimal digits, dashes aside."""
    try:
        number_of(_plain(text))
    except ValueError:
        return False
    return True


def explain(settings: Settings, who: str, *, tenant: str, size: int, country: str) -> dict[str, Any]:
    """`explain_page` of a page that the log holds, `explain_visitor` of everybody else: people's ids may look like
    those of pages. NotFound when it is no page, and the shop of the visitor is not told.
    """
    if not is_page_id(who):
        return explain_visitor(settings, who, tenant=tenant, size=size, country=country)
    try:
        return explain_page(settings, who)
    except NotFound as missing:
        try:
            told = explain_visitor(settings, who, tenant=tenant, size=size, country=country)
        except InvalidInput:
            raise missing from None
    return {"page": f"the event log holds no page {who}: it is taken for a visitor", **told}


def explain_page(settings: Settings, page_id: str) -> dict[str, Any]:
    """A page that was served: its ranking, where each post came from, its score, chance and features, what explored
    places were drawn out of, and what was done with the posts since.

    NotFound when the log under `settings.data_dir` does not hold it.
    """
    page_id = _plain(page_id)
    with log_of(settings) as log:
        page = _find(log, page_id)
        if page is None:
            raise NotFound(f"the event log in {settings.data_dir} holds no feed page {page_id}")
        done = _done(log, page)
    width = len(page.features) // len(page.post_ids) if page.post_ids else 0
    names = features.names(SCORERS) if page.features_version == features.version(SCORERS) else ()
    posts = []
    for at, post_id in enumerate(page.post_ids):
        post: dict[str, Any] = {
            "post_id": post_id,
            "source": page.sources[at],
            "score": round(page.scores[at], 6),
            "propensity": round(page.propensities[at], 6),
        }
        if done.get(post_id):
            post["done"] = done[post_id]
        beside = [one for place, one in zip(page.alternative_places, page.alternative_ids, strict=True) if place == at]
        if beside:
            post["drawn_out_of"] = [post_id, *beside]
        if names:
            own = page.features[at * width : (at + 1) * width]
            post["features"] = {name: round(value, 4) for name, value in zip(names, own, strict=True)}
        posts.append(post)
    return {
        "page_id": page_id,
        "served_at": time_of(page.served_at_ms),
        "visitor": "remembered" if page.visitor_id else "not remembered",
        "ranker": page.ranker or "hand-weighted",
        "features": page.features_version or "not recorded: consent does not cover it",
        "auction_id": page.auction_id,
        "posts": posts,
    }


def explain_visitor(settings: Settings, visitor_id: str, *, tenant: str, size: int, country: str) -> dict[str, Any]:
    """What the visitor's next page would be, agreeing to personal content: each stage's counts, sources with their
    times, what each filter took out, and each post with what every scorer added. Nothing is served or counted.
    """
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidInput([FieldError("--size", str(size), f"give 1 to {MAX_PAGE_SIZE}")])
    clock = SystemClock()
    with log_of(settings) as log:
        engine = open_database(settings)
        try:
            tenant_id = tenant or _only_tenant(SqlAccountStore(engine))
            catalogue = Catalogue(log, Publisher(log, clock))
            catalogue.load()
            products = CatalogueProducts(catalogue)
            index = FeedIndex(products=products)
            index.fold(post for post in SqlPostStore(engine).all() if post.tenant_id == tenant_id)
            relation = Sights(SqlGraphStore(engine), SqlReactionStore(engine)).relations(tenant_id, visitor_id)
            book = ReputationBook()
            Reputations(store=SqlReputationStore(engine), book=book, clock=clock).refresh()
        finally:
            engine.dispose()
        now_ms = clock.now_ms()
        engagement.restore(index, log, now_ms)
        past = last_session(index, log, tenant_id, visitor_id, now_ms)
        sessions = InProcessSessions()
        session_id = past.session_id or "none yet"
        sessions.keep(tenant_id, session_id, past.session, now_ms)
        recommender = open_recommender(settings)
        recommender.follow()
        learned, sentence = open_ranking(settings.models_dir / "feed", SCORERS, feed_ranker(settings))
        with closing(LmdbProfileStore(settings.data_dir / "profiles", readonly=True)) as store:
            timeline = Timeline(
                index=index, sessions=sessions, products=products,
                profiles=RememberedVisitors(Profiles(store, clock)), clock=clock, learned=learned,
                reputation=ReachOfCreators(book), recommender=lambda: recommender.current,
            )  # fmt: skip
            told = timeline.explain(
                query := FeedQuery(
                    tenant_id,
                    session_id,
                    now_ms,
                    Chain(0),
                    size,
                    country=country,
                    visitor_id=visitor_id,
                    relation=relation,
                    permissions=Permission.REMEMBER | Permission.PERSONALISE_CONTENT,
                )
            )
            known = _features(timeline.decide(query).view, told)
    return {
        "visitor": visitor_id,
        "tenant_id": tenant_id,
        "session": f"{past.session_id or 'none'}: {past.pages} pages and {past.actions} actions of the last hours",
        "ranker": told.ranker,
        "why_this_ranker": sentence,
        "recommender": recommender.version or "none is trained",
        **_stages(told, known),
    }


def _features(view: View, told: Explanation) -> dict[str, dict[str, float]]:
    """What is known of each post of the page, by its id: what a model ranks by, and what a served page records."""
    rows = np.array([pick.row for pick in told.picks], np.int32)
    columns = features.columns(view, rows, stages.score(view, SCORERS, rows)) if len(rows) else ()
    return {
        pick.post_id: {
            name: round(float(value), 4) for name, value in zip(features.names(SCORERS), own, strict=True) if value
        }
        for pick, own in zip(told.picks, columns, strict=True)
    }


def _stages(told: Explanation, known: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "sources": {
            name: {"offered": count, "took_ms": round(told.source_ms.get(name, 0.0), 3), **_trouble(name, told)}
            for name, count in told.offered.items()
        },
        "candidates": told.candidates,
        "filters": {
            name: {"took_out": len(post_ids), "posts": post_ids[:20]} for name, post_ids in told.removed.items()
        },
        "kept": told.kept,
        "wanted_categories": {name: round(share, 3) for name, share in told.wanted.items()},
        "explored": told.explored,
        "seen_again": told.seen_again,
        "took_ms": round(told.took_ms, 3),
        "posts": [
            {
                "post_id": pick.post_id,
                "score": round(pick.score, 4),
                "propensity": round(pick.propensity, 6),
                "why": pick.why,
                "features": known[pick.post_id],
                "scorers": {
                    name: round(added, 4) for name, added in told.scores.get(pick.post_id, {}).items() if added
                },
            }
            for pick in told.picks
        ],
    }


def _trouble(name: str, told: Explanation) -> dict[str, str]:
    if name in told.failed:
        return {"trouble": "it failed; the log of the server says why"}
    return {"trouble": "left out: it, or the page, had taken too long"} if name in told.skipped else {}


def _find(log: EventLog, page_id: str) -> FeedPageServed | None:
    at_ms = made_at_ms(number_of(page_id))
    for event in events(log, FEED_PAGES.name, at_ms - _SLACK_MS):
        if isinstance(event, FeedPageServed):
            if event.page_id == page_id:
                return event
            if event.served_at_ms > at_ms + _SLACK_MS:
                break
    return None


def _done(log: EventLog, page: FeedPageServed) -> dict[str, list[str]]:
    """What the session did with the page's posts within the time in which it counts for the page."""
    done: dict[str, list[str]] = {}
    for event in events(log, FEED_ACTIONS.name, page.served_at_ms):
        if not isinstance(event, FeedActionTaken) or event.kind not in ActionKind._value2member_map_:
            continue
        if event.taken_at_ms - page.served_at_ms > WINDOW_MS:
            break
        same = (event.tenant_id, event.session_id) == (page.tenant_id, page.session_id)
        if same and event.subject_id in page.post_ids:
            done.setdefault(event.subject_id, []).append(ActionKind(event.kind).name.lower())
    return done


def _only_tenant(accounts: SqlAccountStore) -> str:
    tenants = accounts.tenants()
    if len(tenants) != 1:
        remedy = "name the shop whose feed it is; `haat key tenants` lists the ids"
        raise InvalidInput([FieldError("--tenant", f"{len(tenants)} tenants", remedy)])
    return tenants[0].tenant_id


def _plain(text: str) -> str:
    return text.strip().replace("-", "").lower()
