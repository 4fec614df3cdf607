"""What must be known before a page can be decided? The question, and all that was gathered for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from feed.cursor import Chain
from feed.index import Kind, Shelf, Term
from feed.matching import Weights
from feed.ports import Profiles
from feed.sessions import Session

# How much of an affinity to a product goes to posts of the same brand, and of the same category.
_AFFINITY_TO_KIN = (0.3, 0.4)
# Of a page about a product or a topic.
_CONTEXT_PRODUCT = 3.0
_CONTEXT_CATEGORY = 1.5
_CONTEXT_KEYWORD = 1.0

Flags = NDArray[np.bool_]


class FeedQuery(msgspec.Struct, frozen=True):
    """What is asked, checked; what consent does not cover is empty already.

    `affinities` are (product id, weight); `learn` False keeps the session's taste out (pages for children).
    """

    tenant_id: str
    session_id: str
    now_ms: int
    chain: Chain
    page_size: int = 12
    permissions: Permission = Permission.NONE
    learn: bool = True
    visitor_id: str = ""
    affinities: tuple[tuple[str, float], ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    product_id: str = ""
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """The gathered query. Flags have one entry per row of the shelf; weights map codes of the shelf to what they count.

    `sold_out` is filled in when the candidates are known: codes of tagged products that cannot be bought.
    """

    query: FeedQuery
    shelf: Shelf
    session: Session
    # What the session has shown to like, what the visitor is known to like, what the page is about.
    taste: Weights
    affinities: Weights
    context: Weights
    shown_in_chain: Flags
    seen_in_session: Flags
    hidden: Flags
    excluded: Flags
    sold_out: frozenset[int] = field(default_factory=frozenset)


def gather(query: FeedQuery, shelf: Shelf, session: Session, profiles: Profiles) -> View:
    """Read everything a page needs but the candidates' products: the visitor's profile, and flags over the shelf."""
    return View(
        query=query,
        shelf=shelf,
        session=session,
        taste=_coded(shelf, session.taste) if query.learn else {},
        affinities=_affinities(query, shelf, profiles),
        context=_context(query, shelf),
        shown_in_chain=_flags(shelf, (shelf.row_of_key.get(key) for key in query.chain.shown)),
        seen_in_session=_flags(shelf, (shelf.row_of.get(post_id) for post_id in session.served)),
        hidden=_hidden(shelf, session),
        excluded=_flags(shelf, (shelf.row_of.get(post_id) for post_id in query.exclude)),
    )


def _coded(shelf: Shelf, weights: Mapping[Term, float]) -> Weights:
    coded = ((shelf.code(term), weight) for term, weight in weights.items())
    return {code: weight for code, weight in coded if code >= 0}


def _affinities(query: FeedQuery, shelf: Shelf, profiles: Profiles) -> Weights:
    if Permission.PERSONALISE_CONTENT not in query.permissions:
        return {}
    by_product = dict(query.affinities)
    if query.visitor_id:
        for product_id, weight in profiles.affinities(query.tenant_id, query.visitor_id).items():
            by_product[product_id] = by_product.get(product_id, 0.0) + weight
    weights: Weights = {}
    for product_id, weight in by_product.items():
        code = shelf.code((Kind.PRODUCT, product_id))
        if code < 0:
            continue
        weights[code] = weights.get(code, 0.0) + weight
        for other, share in zip(shelf.brand_and_category(code), _AFFINITY_TO_KIN, strict=True):
            if other >= 0:
                weights[other] = weights.get(other, 0.0) + weight * share
    return weights


def _context(query: FeedQuery, shelf: Shelf) -> Weights:
    terms: dict[Term, float] = {(Kind.CATEGORY, name): _CONTEXT_CATEGORY for name in query.categories}
    terms.update({(Kind.HASHTAG, word): _CONTEXT_KEYWORD for word in query.keywords})
    if query.product_id:
        terms[Kind.PRODUCT, query.product_id] = _CONTEXT_PRODUCT
    weights = _coded(shelf, terms)
    if query.product_id and (product := shelf.code((Kind.PRODUCT, query.product_id))) >= 0:
        _, category = shelf.brand_and_category(product)
        if category >= 0:
            weights.setdefault(category, _CONTEXT_CATEGORY)
    return weights


def _flags(shelf: Shelf, rows: Iterable[int | None]) -> Flags:
    flags = np.zeros(len(shelf), np.bool_)
    known = [row for row in rows if row is not None]
    if known:
        flags[known] = True
    return flags


def _hidden(shelf: Shelf, session: Session) -> Flags:
    flags = _flags(shelf, (shelf.row_of.get(post_id) for post_id in session.hidden))
    for creator_id in session.hidden_creators:
        if session.hides_creator(creator_id):
            flags |= shelf.creator == shelf.code((Kind.CREATOR, creator_id))
    return flags
