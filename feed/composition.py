"""How does a decision become a page, with reasons for people and features for the record?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from feed import features, stages
from feed.explanation import Explanation, reasons
from feed.index import Rows, key_of
from feed.page import Alternative, Page, PageRecord, Pick
from feed.stages import Candidates, Scorer, Selection, Source
from feed.view import View


@dataclass(frozen=True, slots=True)
class Decision:
    """What every stage came to. `scores` and `contributions` (one row per entry of `scorers`) go with `kept`.

    `again` are posts that the session has seen outside of this chain; they fill a page that would be short.
    """

    view: View
    candidates: Candidates
    removed: dict[str, Rows]
    kept: Rows
    # What the hand-weighted scorers add, whichever ranking decides; shape (hand-weighted scorers, kept).
    hand: NDArray[np.float64]
    scorers: Sequence[Scorer]
    contributions: NDArray[np.float64]
    scores: NDArray[np.float64]
    selection: Selection
    again: tuple[int, ...]
    more: bool
    ranker: str

    @property
    def order(self) -> tuple[int, ...]:
        """The rows of the page."""
        return *self.selection.order, *self.again


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of the timeline that a page names: its sources, those beside the list, the hand-weighted scorers."""

    sources: Sequence[Source]
    explored: Source
    seen_again: Source
    scorers: tuple[Scorer, ...]


def compose(decision: Decision, lists: Lists, page_id: str, fingerprint: int) -> Page:
    """The page of a decision."""
    view, selection = decision.view, decision.selection
    at_of = {row: at for at, row in enumerate(decision.kept.tolist())}
    explored = set(selection.draw.rows)
    picks = []
    for row, source in zip(decision.order, _sources(decision, lists), strict=True):
        at = at_of.get(row)
        said = reasons(view, row, decision.scorers, decision.contributions[:, at]) if at is not None else ()
        picks.append(
            Pick(
                post_id=view.shelf.posts[row].post_id,
                row=row,
                score=float(decision.scores[at]) if at is not None else 0.0,
                source=source.name,
                propensity=selection.draw.chance if row in explored else 1.0,
                why=(f"{source.name}: {source.reason}", *said),
            )
        )
    chain = view.query.chain
    return Page(
        page_id=page_id,
        picks=tuple(picks),
        chain=chain,
        next_chain=chain.after([key_of(pick.post_id) for pick in picks]) if decision.more and picks else None,
        fingerprint=fingerprint,
        ranker=decision.ranker,
        record=record_of(decision, lists.scorers, at_of),
    )


def record_of(decision: Decision, scorers: tuple[Scorer, ...], at_of: Mapping[int, int]) -> PageRecord:
    """The features of the page's posts, and of those that its explored places were drawn out of; `at_of` says where
    each row stands in `kept`.
    """
    view, draw = decision.view, decision.selection.draw
    if Permission.PERSONALISE_CONTENT not in view.query.permissions or not view.query.learn:
        return PageRecord()
    place_of = {row: place for place, row in enumerate(decision.order)}
    beside = [
        (place_of[row], other) for row, others in zip(draw.rows, draw.alternatives, strict=True) for other in others
    ]
    rows = np.array([*decision.order, *(row for _, row in beside)], np.int32)
    at = [at_of[row] for row in rows.tolist() if row in at_of]
    # Posts that are shown again were never scored.
    added = decision.hand[:, at] if len(at) == len(rows) else stages.score(view, scorers, rows)
    found = features.columns(view, rows, added)
    on_page = len(decision.order)
    posts = view.shelf.posts
    return PageRecord(
        features=tuple(found[:on_page].ravel().tolist()),
        features_version=features.version(scorers),
        alternatives=tuple(
            Alternative(place, posts[row].post_id, tuple(own))
            for (place, row), own in zip(beside, found[on_page:].tolist(), strict=True)
        ),
    )


def explained(decision: Decision, page: Page, took_ms: float) -> Explanation:
    """The same decision, stage by stage."""
    posts, candidates = decision.view.shelf.posts, decision.candidates
    names = [scorer.name for scorer in decision.scorers]
    on_page = set(decision.order)
    term_of = decision.view.shelf.term_of
    return Explanation(
        offered=candidates.offered,
        failed=candidates.failed,
        skipped=candidates.skipped,
        source_ms=candidates.took_ms,
        candidates=len(candidates.rows),
        removed={name: tuple(posts[row].post_id for row in rows) for name, rows in decision.removed.items()},
        kept=len(decision.kept),
        explored=tuple(posts[row].post_id for row in decision.selection.draw.rows),
        seen_again=tuple(posts[row].post_id for row in decision.again),
        ranker=decision.ranker,
        wanted={term_of[code][1]: share for code, share in (decision.selection.wanted or {}).items()},
        scores={
            posts[row].post_id: dict(zip(names, decision.contributions[:, at].tolist(), strict=True))
            for at, row in enumerate(decision.kept.tolist())
            if row in on_page
        },
        picks=page.picks,
        took_ms=took_ms,
    )


def _sources(decision: Decision, lists: Lists) -> list[Source]:
    """Where each row of the page comes from."""
    candidates = decision.candidates
    named = candidates.source_of[np.searchsorted(candidates.rows, np.array(decision.order, np.int32))].tolist()
    explored, again = set(decision.selection.draw.rows), set(decision.again)
    found = []
    for row, at in zip(decision.order, named, strict=True):
        source = lists.sources[at]
        if row in explored:
            source = lists.explored
        elif row in again:
            source = lists.seen_again
        found.append(source)
    return found
