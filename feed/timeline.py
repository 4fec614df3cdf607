"""Which posts come next, in which order? The stages of a page, as lists; detail is one call away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from common.ids import new_id
from feed import diversity, features, stages, wanted
from feed.composition import Decision, Lists, compose, explained
from feed.explanation import Explanation
from feed.filters import blocked, bought, excluded, hidden, moderation, muted, region, served, stock
from feed.index import FeedIndex, Rows, key_of
from feed.learned import LearnedRanking
from feed.page import Page
from feed.ports import ProductLookup, Profiles, Reputation, SessionStore
from feed.recommender.ports import History, Recommender
from feed.scorers import affinity as affinity_score
from feed.scorers import companions as companions_score
from feed.scorers import context, engagement, freshness, reach, recommended, taste
from feed.source_watch import SourceWatch
from feed.sources import (
    affinity,
    collaborative,
    companions,
    contextual,
    copurchase,
    followed,
    fresh,
    newest,
    similar,
    trending,
)
from feed.sources.fresh import EXPLORED_SHARE
from feed.stages import Filter, Scorer, Source
from feed.view import FeedQuery, View, gather
from feed.visitor_history import history_of

# The order decides only whose name a post carries that several sources offer; the last one is the backfill.
CANDIDATE_SOURCES = (
    Source("followed", followed.offer, 100, followed.REASON),
    Source("collaborative", collaborative.offer, 100, collaborative.REASON),
    Source("copurchase", copurchase.offer, 60, copurchase.REASON),
    Source("companions", companions.offer, 100, companions.REASON),
    Source("similar", similar.offer, 120, similar.REASON),
    Source("affinity", affinity.offer, 100, affinity.REASON),
    Source("contextual", contextual.offer, 80, contextual.REASON),
    Source("trending", trending.offer, 80, trending.REASON),
    Source("fresh", fresh.offer, 80, fresh.REASON),
    Source("newest", newest.offer, 120, newest.REASON),
)

# Cheap ones first: `served` drops most candidates of a long scroll before anything is looked up for them.
FILTERS = (
    Filter("excluded", excluded.split),
    Filter("hidden", hidden.split),
    Filter("moderation", moderation.split),
    Filter("served", served.split),
    Filter("blocked", blocked.split),
    Filter("bought", bought.split),
    Filter("muted", muted.split),
)
# These need the catalogue's word on the tagged products.
HYDRATED_FILTERS = (
    Filter("stock", stock.split),
    Filter("region", region.split),
)

# What ranks while no learned ranking serves; also the first features of one.
SCORERS = (
    Scorer("taste", 1.5, taste.score, taste.reason),
    Scorer("recommended", 1.0, recommended.score, recommended.reason),
    Scorer("companions", 1.0, companions_score.score, companions_score.reason),
    Scorer("affinity", 1.0, affinity_score.score, affinity_score.reason),
    Scorer("context", 0.8, context.score, context.reason),
    Scorer("engagement", 1.0, engagement.score, engagement.reason),
    Scorer("freshness", 0.5, freshness.score, freshness.reason),
)
# Multiplies what the others found; in an explanation it stands beside them with what it changed.
REACH = Scorer("reach", 1.0, lambda view, rows: np.zeros(len(rows)), reach.reason)

# When too little is left, the sources are asked for so many times more, until they have offered everything.
_WIDEN = 4
# Sources of posts that no source of the list chose.
EXPLORED = Source("exploration", fresh.offer, 0, fresh.REASON)
SEEN_AGAIN = Source("seen", newest.offer, 0, "you have seen this; nothing newer is left")
HAND_WEIGHTED = "hand-weighted"


class Timeline:
    """Pages of the feed. Used from one thread; touches no disk and no network."""

    def __init__(
        self,
        *,
        index: FeedIndex,
        sessions: SessionStore,
        products: ProductLookup,
        profiles: Profiles,
        clock: Clock,
        reputation: Reputation | None = None,
        learned: LearnedRanking | None = None,
        recommender: Callable[[], Recommender | None] = lambda: None,
        explored_share: float = EXPLORED_SHARE,
    ) -> None:
        self._index = index
        self._sessions = sessions
        self._products = products
        self._profiles = profiles
        self._clock = clock
        self._reputation = reputation
        self._learned = learned
        self._recommender = recommender
        self._explored_share = explored_share
        diversity.warm()
        # How often each source failed, was slow or was left out; a page goes out without it.
        self.watch = SourceWatch(clock)

    @property
    def ranker(self) -> str:
        """Which ranking decides: the learned one's version, or "hand-weighted"."""
        return HAND_WEIGHTED if self._learned is None else self._learned.version

    def page(self, query: FeedQuery) -> Page:
        """Decide one page, and remember that the session was served it.

        The same request at the same place of a chain gives the same page again, less what was withdrawn or sold out
        meanwhile, unless the session has acted in between.
        """
        view = self._gather(query)
        fingerprint = _fingerprint(view)
        if kept := view.session.kept_page(query.chain.place, fingerprint):
            return self._replay(view, kept)
        decision = self._decide(view)
        page = compose(decision, self._lists, new_id(query.now_ms), fingerprint)
        view.shelf.count_views(np.array(decision.order, np.int32))
        # Its record goes to the event log and is not kept: pages of many sessions wait to be asked for again.
        view.session.note_served(msgspec.structs.replace(page, record=None))
        self._sessions.keep(query.tenant_id, query.session_id, view.session, query.now_ms)
        return page

    def still_published(self, page: Page, tenant_id: str) -> Page:
        """The page without what was taken down since it was decided. Its record stays: the event log holds what was
        decided, and what was not shown has nobody acting on it.
        """
        shelf = self._index.shelf(tenant_id)
        shown = shelf.live | shelf.limited
        if all(shown[pick.row] for pick in page.picks):
            return page
        return msgspec.structs.replace(page, picks=tuple(pick for pick in page.picks if shown[pick.row]))

    def explain(self, query: FeedQuery) -> Explanation:
        """Decide the same page and tell what each stage did, without serving it: nothing is remembered or counted."""
        begun_ns = self._clock.monotonic_ns()
        decision = self.decide(query)
        page = compose(decision, self._lists, "", 0)
        took_ms = (self._clock.monotonic_ns() - begun_ns) / 1e6
        return explained(decision, page, took_ms)

    def decide(self, query: FeedQuery) -> Decision:
        """What every stage of the same page comes to, without serving it."""
        return self._decide(self._gather(query))

    def history(self, query: FeedQuery) -> History:
        """What the recommender will be told of this visitor; empty where it is not asked."""
        view = self._gather(query)
        return [] if view.recommender is None else history_of(view)

    def _gather(self, query: FeedQuery) -> View:
        session = self._sessions.read(query.tenant_id, query.session_id, query.now_ms)
        return gather(query, self._index.shelf(query.tenant_id), session, self._profiles, self._recommender())

    @property
    def _lists(self) -> Lists:
        return Lists(CANDIDATE_SOURCES, EXPLORED, SEEN_AGAIN, SCORERS)

    def _decide(self, view: View) -> Decision:
        view = wanted.ask(view, self.watch)
        size = view.query.page_size
        # What is filtered for sure is asked for on top.
        beyond = int(np.count_nonzero(view.shown_in_chain | view.seen_in_session | view.hidden | view.excluded))
        widening = 1
        while True:
            candidates = stages.offer(view, CANDIDATE_SOURCES, widening, beyond, self.watch)
            kept, removed = stages.sift(view, FILTERS, candidates.rows)
            hydrated = stages.hydrate(view, kept, self._products, self._reputation)
            kept, not_to_be_had = stages.sift(hydrated, HYDRATED_FILTERS, kept)
            removed |= not_to_be_had
            all_offered = CANDIDATE_SOURCES[-1].limit * widening + beyond >= view.shelf.live_count
            if len(kept) >= size or all_offered:
                break
            widening *= _WIDEN
        # Of equals, the newest first.
        kept = kept[::-1]
        hand = stages.score(hydrated, SCORERS, kept)
        scorers, contributions = self._score(hydrated, kept, hand)
        scores = contributions.sum(axis=0)
        selection = stages.select(hydrated, kept, scores, self._explored_share)
        again = self._seen_elsewhere(view, removed["served"]) if len(kept) < size else []
        on_page = len(selection.order) + len(again[: size - len(kept)])
        return Decision(
            view=hydrated,
            candidates=candidates,
            removed=removed,
            kept=kept,
            hand=hand,
            scorers=scorers,
            contributions=contributions,
            scores=scores,
            selection=selection,
            again=tuple(again[: size - len(kept)]),
            more=len(kept) + len(again) > on_page or not all_offered,
            ranker=self.ranker,
        )

    def _score(
        self, view: View, rows: Rows, hand: NDArray[np.float64]
    ) -> tuple[tuple[Scorer, ...], NDArray[np.float64]]:
        """The scorers that rank here, and what each adds; shape (scorers, rows). `hand` is what SCORERS add."""
        added = hand
        scorers: tuple[Scorer, ...] = SCORERS
        if self._learned is not None:
            scorers, added = self._learned.score(features.columns(view, rows, added), SCORERS, added)
        change = reach.change(view, rows, added.sum(axis=0))
        return (*scorers, REACH), np.vstack([added, change])

    def _seen_elsewhere(self, view: View, served_rows: Rows) -> list[int]:
        rows = served_rows[~view.shown_in_chain[served_rows]]
        rows = self._sift_again(view, rows, (one for one in FILTERS if one.name != "served"))
        when = {view.shelf.row_of.get(post_id): at for at, post_id in enumerate(view.session.served)}
        return sorted(rows.tolist(), key=lambda row: when[row])

    def _replay(self, view: View, page: Page) -> Page:
        # Another node may have served it: rows are this one's, and a post that has not come here yet is left out.
        row_of = view.shelf.row_of
        known = [
            msgspec.structs.replace(pick, row=row_of[pick.post_id]) for pick in page.picks if pick.post_id in row_of
        ]
        rows = np.array([pick.row for pick in known], np.int32)
        still = set(self._sift_again(view, rows, (one for one in FILTERS if one.name != "served")).tolist())
        picks = tuple(pick for pick in known if pick.row in still)
        chain = view.query.chain
        goes_on = page.next_chain is not None
        next_chain = chain.after([key_of(pick.post_id) for pick in page.picks]) if goes_on else None
        return msgspec.structs.replace(page, picks=picks, chain=chain, next_chain=next_chain, replayed=True)

    def _sift_again(self, view: View, rows: Rows, filters: Iterable[Filter]) -> Rows:
        rows, _ = stages.sift(view, filters, rows)
        rows, _ = stages.sift(stages.hydrate(view, rows, self._products), HYDRATED_FILTERS, rows)
        return rows


def _fingerprint(view: View) -> int:
    """What the page is made from; the same on every node."""
    query, relation = view.query, view.query.relation
    asked = (
        view.session.revision, query.page_size, int(query.permissions), query.learn, query.visitor_id, query.affinities,
        query.categories, query.keywords, query.product_id, query.country, sorted(query.exclude),
        sorted(relation.blocked), relation.muted_words, relation.follows,
    )  # fmt: skip
    return int.from_bytes(blake2b(msgspec.msgpack.encode(asked), digest_size=8).digest())
