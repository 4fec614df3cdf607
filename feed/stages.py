"""How is each stage of a page carried out, whichever sources, filters and scorers the lists name?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feed import diversity, exploration
from feed.filters.stock import product_codes
from feed.index import Rows
from feed.ports import ProductLookup
from feed.sources.fresh import is_fresh, places
from feed.view import View

_log = logging.getLogger(__name__)


class Source(NamedTuple):
    """A candidate source and how many rows it may offer for a page."""

    name: str
    offer: Callable[[View, int], list[int]]
    limit: int
    reason: str


class Filter(NamedTuple):
    """A filter: gives the rows that stay and the rows that go."""

    name: str
    split: Callable[[View, Rows], tuple[Rows, Rows]]


class Scorer(NamedTuple):
    """A scorer, and what its score counts."""

    name: str
    weight: float
    score: Callable[[View, Rows], NDArray[np.float64]]
    reason: Callable[[View, int], str | None]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that sources offered, ascending, each once; `source_of` indexes the list of sources."""

    rows: Rows
    source_of: NDArray[np.int64]
    offered: dict[str, int]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The page: `ranked` and `explored` rows as they stand in `order`; every explored one had the chance `chance`."""

    ranked: tuple[int, ...]
    explored: tuple[int, ...]
    chance: float
    order: tuple[int, ...]


def offer(view: View, sources: Sequence[Source], widening: int, beyond: int) -> Candidates:
    """Ask every source for `widening` times its limit and `beyond` more; one that fails offers nothing and is named."""
    lists: list[list[int]] = []
    failed: list[str] = []
    for source in sources:
        try:
            lists.append(source.offer(view, source.limit * widening + beyond))
        except Exception:
            # A page without one source is better than no page.
            _log.exception("feed source %s failed", source.name)
            failed.append(source.name)
            lists.append([])
    rows = np.array([row for rows in lists for row in rows], np.int32)
    source_of = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    # The first source that offers a post gives it its name.
    unique, first = np.unique(rows, return_index=True)
    offered = {source.name: len(rows) for source, rows in zip(sources, lists, strict=True)}
    return Candidates(unique, source_of[first], offered, tuple(failed))


def sift(view: View, filters: Sequence[Filter], rows: Rows) -> tuple[Rows, dict[str, Rows]]:
    """(rows that every filter keeps, rows that went by the filter's name)."""
    removed: dict[str, Rows] = {}
    for name, split in filters:
        rows, removed[name] = split(view, rows)
    return rows, removed


def look_up(view: View, rows: Rows, products: ProductLookup) -> View:
    """The view with the catalogue's word on the products that these rows tag: one that is gone counts as sold out."""
    if not len(rows):
        return view
    shelf = view.shelf
    codes = product_codes(shelf, rows).tolist()
    facts = products.products(view.query.tenant_id, [shelf.term_of[code][1] for code in codes])
    gone = (code for code, fact in zip(codes, facts, strict=True) if fact is None or not fact.in_stock)
    return replace(view, sold_out=frozenset(gone))


def score(view: View, scorers: Sequence[Scorer], rows: Rows) -> NDArray[np.float64]:
    """What each scorer adds to each row's score; shape (scorers, rows)."""
    return np.array([scorer.weight * scorer.score(view, rows) for scorer in scorers]).reshape(len(scorers), len(rows))


def select(view: View, kept: Rows, scores: NDArray[np.float64]) -> Selection:
    """Rank, diversify and explore: the page's places, of which some are kept for fresh posts."""
    shelf, size = view.shelf, view.query.page_size
    # The same place of the same chain draws the same posts.
    chance = np.random.default_rng([view.query.chain.chain_id, view.query.chain.page_number])
    positions = diversity.select(
        scores, shelf.creator[kept], shelf.brand[kept], shelf.category[kept], count=size, page_size=size
    )
    ranked = kept[positions].tolist()
    kept_back = places(size, chance.random())
    pool = kept[is_fresh(shelf, kept, view.query.now_ms)]
    first = ranked[: size - kept_back]
    explored, propensity = exploration.draw(shelf, pool, first, kept_back, chance)
    drawn = set(explored)
    ranked = [row for row in ranked if row not in drawn][: size - len(explored)]
    return Selection(tuple(ranked), tuple(explored), propensity, tuple(exploration.spread(ranked, explored)))
