"""How is each stage of a page carried out, whichever sources, filters and scorers the lists name?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feed import category_mix, diversity, exploration
from feed.exploration import Draw
from feed.filters.stock import product_codes
from feed.index import Rows
from feed.ports import ProductLookup, Reputation
from feed.source_watch import SourceWatch
from feed.sources.fresh import is_fresh, places
from feed.view import View
from streams.product import Product

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
    """Rows that sources offered, ascending, each once; `source_of` indexes the list of sources.

    `failed` are sources that raised, `skipped` those that were not asked since they or the page had taken too long.
    """

    rows: Rows
    source_of: NDArray[np.int64]
    offered: dict[str, int]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    took_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Selection:
    """The page: ranked and explored rows as they stand in `order`; `wanted` is the mix of categories it is drawn to."""

    ranked: tuple[int, ...]
    draw: Draw
    order: tuple[int, ...]
    wanted: dict[int, float] | None


def offer(view: View, sources: Sequence[Source], widening: int, beyond: int, watch: SourceWatch) -> Candidates:
    """Ask every source for `widening` times its limit and `beyond` more; one that fails offers nothing and is named.

    The last source is the backfill: it is asked however much time was spent.
    """
    lists: list[list[int]] = []
    failed: list[str] = []
    skipped: list[str] = []
    took_ms: dict[str, float] = {}
    spent_ns = 0
    for source in sources:
        found: list[int] = []
        if source is sources[-1] or watch.may_ask(source.name, spent_ns):
            begun_ns = watch.now_ns()
            try:
                found = source.offer(view, source.limit * widening + beyond)
            except Exception:
                # A page without one source is better than no page.
                _log.exception("feed source %s failed", source.name)
                failed.append(source.name)
                watch.failures[source.name] += 1
            took_ns = watch.now_ns() - begun_ns
            watch.took(source.name, took_ns)
            took_ms[source.name] = took_ns / 1e6
            spent_ns += took_ns
        else:
            skipped.append(source.name)
        lists.append(found)
    rows = np.array([row for rows in lists for row in rows], np.int32)
    source_of = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    # The first source that offers a post gives it its name.
    unique, first = np.unique(rows, return_index=True)
    offered = {source.name: len(rows) for source, rows in zip(sources, lists, strict=True)}
    return Candidates(unique, source_of[first], offered, tuple(failed), tuple(skipped), took_ms)


def sift(view: View, filters: Iterable[Filter], rows: Rows) -> tuple[Rows, dict[str, Rows]]:
    """(rows that every filter keeps, rows that went by the filter's name)."""
    removed: dict[str, Rows] = {}
    for name, split in filters:
        rows, removed[name] = split(view, rows)
    return rows, removed


def hydrate(view: View, rows: Rows, products: ProductLookup, reputation: Reputation | None = None) -> View:
    """The view with what must be known of these rows, in one read each: the products they tag, their creators' reach.

    A product that the catalogue no longer has counts as sold out; one with the attribute `sold_in` is sold in the
    countries that it lists, as "DE AT", and nowhere else.
    """
    if not len(rows):
        return view
    shelf = view.shelf
    codes = product_codes(shelf, rows).tolist()
    facts = products.products(view.query.tenant_id, [shelf.term_of[code][1] for code in codes])
    known = list(zip(codes, facts, strict=True))
    reach: dict[int, float] = {}
    if reputation is not None:
        creators = np.unique(shelf.creator[rows]).tolist()
        names = [shelf.term_of[code][1] for code in creators]
        reach = dict(zip(creators, reputation.reputation(view.query.tenant_id, names).tolist(), strict=True))
    country = view.query.country.upper()
    return replace(
        view,
        sold_out=frozenset(code for code, fact in known if fact is None or not fact.in_stock),
        sold_elsewhere=frozenset(
            code for code, fact in known if country and fact is not None and not _sold_in(fact, country)
        ),
        price_micros={code: fact.price_micros for code, fact in known if fact is not None},
        reach=reach,
    )


def _sold_in(product: Product, country: str) -> bool:
    countries = product.attributes.get("sold_in")
    return countries is None or country in countries.upper().split()


def score(view: View, scorers: Sequence[Scorer], rows: Rows) -> NDArray[np.float64]:
    """What each scorer adds to each row's score; shape (scorers, rows)."""
    return np.array([scorer.weight * scorer.score(view, rows) for scorer in scorers]).reshape(len(scorers), len(rows))


def select(view: View, kept: Rows, scores: NDArray[np.float64], explored_share: float) -> Selection:
    """Rank, diversify and explore: the page's places, of which `explored_share` is kept for fresh posts."""
    shelf, size = view.shelf, view.query.page_size
    # The same place of the same chain draws the same posts.
    chance = np.random.default_rng([view.query.chain.chain_id, view.query.chain.page_number])
    wanted = category_mix.wanted(view, kept)
    positions = diversity.select(
        scores, shelf.creator[kept], shelf.brand[kept], shelf.category[kept], count=size, page_size=size, wanted=wanted
    )
    ranked = kept[positions].tolist()
    kept_back = places(size, explored_share, chance.random())
    # A limited post is for those who follow: it is never tried on others.
    pool = kept[is_fresh(shelf, kept, view.query.now_ms) & shelf.live[kept]]
    first = ranked[: size - kept_back]
    draw = exploration.draw(shelf, pool, first, kept_back, chance)
    drawn = set(draw.rows)
    ranked = [row for row in ranked if row not in drawn][: size - len(draw.rows)]
    return Selection(tuple(ranked), draw, tuple(exploration.spread(ranked, draw.rows)), wanted)
