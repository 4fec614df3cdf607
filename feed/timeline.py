"""Which posts come next, in which order? The stages of a page, as lists; detail is one call away."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from common.ids import new_id
from feed import stages
from feed.explanation import Explanation, reasons
from feed.filters import excluded, hidden, served, stock, withdrawn
from feed.index import FeedIndex, Rows, key_of
from feed.page import Page, Pick
from feed.ports import ProductLookup, Profiles, SessionStore
from feed.scorers import affinity as affinity_score
from feed.scorers import context, engagement, freshness, taste
from feed.sources import affinity, contextual, followed, fresh, newest, similar, trending
from feed.stages import Candidates, Filter, Scorer, Selection, Source
from feed.view import FeedQuery, View, gather

# The order decides only whose name a post carries that several sources offer; the last one is the backfill.
CANDIDATE_SOURCES = (
    Source("followed", followed.offer, 100, followed.REASON),
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
    Filter("withdrawn", withdrawn.split),
    Filter("served", served.split),
)
# These need the catalogue's word on the tagged products.
LOOKED_UP_FILTERS = (Filter("stock", stock.split),)

SCORERS = (
    Scorer("taste", 1.5, taste.score, taste.reason),
    Scorer("affinity", 1.0, affinity_score.score, affinity_score.reason),
    Scorer("context", 0.8, context.score, context.reason),
    Scorer("engagement", 1.0, engagement.score, engagement.reason),
    Scorer("freshness", 0.5, freshness.score, freshness.reason),
)

_SCORER_NAMES = [scorer.name for scorer in SCORERS]

# When too little is left, the sources are asked for so many times more, until they have offered everything.
_WIDEN = 4
# Sources of posts that no source of the list chose.
EXPLORED = Source("exploration", fresh.offer, 0, fresh.REASON)
SEEN_AGAIN = Source("seen", newest.offer, 0, "you have seen this; nothing newer is left")


@dataclass(frozen=True, slots=True)
class Decision:
    """What every stage came to. `scores` and `contributions` (one row per scorer) go with `kept`.

    `again` are posts that the session has seen outside of this chain; they fill a page that would be short.
    """

    view: View
    candidates: Candidates
    removed: dict[str, Rows]
    kept: Rows
    contributions: NDArray[np.float64]
    scores: NDArray[np.float64]
    selection: Selection
    again: tuple[int, ...]
    more: bool

    @property
    def order(self) -> tuple[int, ...]:
        """The rows of the page."""
        return *self.selection.order, *self.again


class Timeline:
    """Pages of the feed. Used from one thread; touches no disk and no network."""

    def __init__(
        self, *, index: FeedIndex, sessions: SessionStore, products: ProductLookup, profiles: Profiles, clock: Clock
    ) -> None:
        self._index = index
        self._sessions = sessions
        self._products = products
        self._profiles = profiles
        self._clock = clock
        # How often each source failed; a page goes out without it.
        self.source_failures: Counter[str] = Counter()

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
        self.source_failures.update(decision.candidates.failed)
        page = _compose(decision, new_id(query.now_ms), fingerprint)
        view.shelf.count_views(np.array(decision.order, np.int32))
        view.session.note_served(page)
        self._sessions.keep(query.tenant_id, query.session_id, view.session, query.now_ms)
        return page

    def still_published(self, page: Page, tenant_id: str) -> Page:
        """The page without what was withdrawn since it was decided."""
        live = self._index.shelf(tenant_id).live
        if all(live[pick.row] for pick in page.picks):
            return page
        return msgspec.structs.replace(page, picks=tuple(pick for pick in page.picks if live[pick.row]))

    def explain(self, query: FeedQuery) -> Explanation:
        """Decide the same page and tell what each stage did, without serving it: nothing is remembered or counted."""
        begun_ns = self._clock.monotonic_ns()
        decision = self._decide(self._gather(query))
        page = _compose(decision, "", 0)
        took_ms = (self._clock.monotonic_ns() - begun_ns) / 1e6
        return _explained(decision, page, took_ms)

    def _gather(self, query: FeedQuery) -> View:
        session = self._sessions.read(query.tenant_id, query.session_id, query.now_ms)
        return gather(query, self._index.shelf(query.tenant_id), session, self._profiles)

    def _decide(self, view: View) -> Decision:
        size = view.query.page_size
        # What is filtered for sure is asked for on top.
        beyond = int(np.count_nonzero(view.shown_in_chain | view.seen_in_session | view.hidden | view.excluded))
        widening = 1
        while True:
            candidates = stages.offer(view, CANDIDATE_SOURCES, widening, beyond)
            kept, removed = stages.sift(view, FILTERS, candidates.rows)
            kept, sold_out = self._sift_looked_up(view, kept)
            removed |= sold_out
            all_offered = CANDIDATE_SOURCES[-1].limit * widening + beyond >= view.shelf.live_count
            if len(kept) >= size or all_offered:
                break
            widening *= _WIDEN
        # Of equals, the newest first.
        kept = kept[::-1]
        contributions = stages.score(view, SCORERS, kept)
        scores = contributions.sum(axis=0)
        selection = stages.select(view, kept, scores)
        again = self._seen_elsewhere(view, removed["served"]) if len(kept) < size else []
        on_page = len(selection.order) + len(again[: size - len(kept)])
        return Decision(
            view=view,
            candidates=candidates,
            removed=removed,
            kept=kept,
            contributions=contributions,
            scores=scores,
            selection=selection,
            again=tuple(again[: size - len(kept)]),
            more=len(kept) + len(again) > on_page or not all_offered,
        )

    def _sift_looked_up(self, view: View, rows: Rows) -> tuple[Rows, dict[str, Rows]]:
        return stages.sift(stages.look_up(view, rows, self._products), LOOKED_UP_FILTERS, rows)

    def _seen_elsewhere(self, view: View, served_rows: Rows) -> list[int]:
        rows, _ = self._sift_looked_up(view, served_rows[~view.shown_in_chain[served_rows]])
        when = {view.shelf.row_of.get(post_id): at for at, post_id in enumerate(view.session.served)}
        return sorted(rows.tolist(), key=lambda row: when[row])

    def _replay(self, view: View, page: Page) -> Page:
        rows = np.array([pick.row for pick in page.picks], np.int32)
        rows, _ = stages.sift(view, [one for one in FILTERS if one.name != "served"], rows)
        rows, _ = self._sift_looked_up(view, rows)
        still = set(rows.tolist())
        picks = tuple(pick for pick in page.picks if pick.row in still)
        return msgspec.structs.replace(page, picks=picks, replayed=True)


def _compose(decision: Decision, page_id: str, fingerprint: int) -> Page:
    view, candidates, selection = decision.view, decision.candidates, decision.selection
    at_of = {row: at for at, row in enumerate(decision.kept.tolist())}
    explored, again = set(selection.explored), set(decision.again)
    picks = []
    for row in decision.order:
        at = at_of.get(row)
        source = CANDIDATE_SOURCES[candidates.source_of[np.searchsorted(candidates.rows, row)]]
        if row in explored:
            source = EXPLORED
        elif row in again:
            source = SEEN_AGAIN
        picks.append(
            Pick(
                post_id=view.shelf.posts[row].post_id,
                row=row,
                score=float(decision.scores[at]) if at is not None else 0.0,
                source=source.name,
                propensity=selection.chance if row in explored else 1.0,
                why=(
                    f"{source.name}: {source.reason}",
                    *(reasons(view, row, SCORERS, decision.contributions[:, at]) if at is not None else ()),
                ),
            )
        )
    chain = view.query.chain
    next_chain = chain.after([key_of(pick.post_id) for pick in picks]) if decision.more and picks else None
    return Page(page_id, tuple(picks), chain, next_chain, fingerprint)


def _explained(decision: Decision, page: Page, took_ms: float) -> Explanation:
    posts, candidates = decision.view.shelf.posts, decision.candidates
    on_page = set(decision.order)
    return Explanation(
        offered=candidates.offered,
        failed=candidates.failed,
        candidates=len(candidates.rows),
        removed={name: tuple(posts[row].post_id for row in rows) for name, rows in decision.removed.items()},
        kept=len(decision.kept),
        explored=tuple(posts[row].post_id for row in decision.selection.explored),
        seen_again=tuple(posts[row].post_id for row in decision.again),
        scores={
            posts[row].post_id: dict(zip(_SCORER_NAMES, decision.contributions[:, at].tolist(), strict=True))
            for at, row in enumerate(decision.kept.tolist())
            if row in on_page
        },
        picks=page.picks,
        took_ms=took_ms,
    )


def _fingerprint(view: View) -> int:
    query = view.query
    return hash(
        (
            view.session.revision, query.page_size, query.permissions, query.learn, query.visitor_id, query.affinities,
            query.categories, query.keywords, query.product_id, query.exclude,
        )
    )  # fmt: skip
