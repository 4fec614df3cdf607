"""What must be known before a page can be decided? The question, and all that was gathered for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from feed.cursor import Chain
from feed.index import Kind, Shelf, Term
from feed.matching import Weights
from feed.ports import STRANGER, Done, Profiles, Relation
from feed.recommender.ports import Recommender
from feed.sessions import Session

# How much of an affinity to a product goes to posts of the same brand, and of the same category.
_AFFINITY_TO_KIN = (0.3, 0.4)
# Of a page about a product or a topic.
_CONTEXT_PRODUCT = 3.0
_CONTEXT_CATEGORY = 1.5
_CONTEXT_KEYWORD = 1.0

# For so long a purchase speaks for itself; and hides, for what somebody thinks of their creator.
_BOUGHT_MS = 90 * 86_400_000
_HIDES_SPEAK_MS = 30 * 86_400_000

# Of a long session the last posts speak for what goes with them.
_SPEAKING = 12

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
    country: str = ""
    exclude: frozenset[str] = frozenset()
    relation: Relation = STRANGER

    @property
    def personal(self) -> bool:
        """May the page be made by what the visitor and the session are known to like?"""
        return self.learn and Permission.PERSONALISE_CONTENT in self.permissions


@dataclass(frozen=True, slots=True)
class View:
    """The gathered query. Flags have one entry per row of the shelf; weights map codes of the shelf to what they count.

    The last ones are filled in when the candidates are known (`stages.hydrate`): codes of tagged products that cannot
    be bought, or not where the visitor is, prices by product code, and how far creators reach.
    """

    query: FeedQuery
    shelf: Shelf
    session: Session
    relation: Relation
    # What the session has shown to like, what the visitor is known to like, what the page is about.
    taste: Weights
    affinities: Weights
    context: Weights
    # Rows that others engage with who engaged with what the session did, and how close they are.
    companions: dict[int, float]
    # Codes of creators, in the order in which they were followed; of creators who are blocked either way.
    followed: dict[int, None]
    blocked: frozenset[int]
    # Codes of products that the session has bought.
    bought: frozenset[int]
    bought_from: Flags
    shown_in_chain: Flags
    seen_in_session: Flags
    hidden: Flags
    excluded: Flags
    sold_out: frozenset[int] = field(default_factory=frozenset)
    sold_elsewhere: frozenset[int] = field(default_factory=frozenset)
    price_micros: Mapping[int, int] = field(default_factory=dict)
    reach: Weights = field(default_factory=dict)
    # None while none is trained.
    recommender: Recommender | None = None
    # How likely the visitor chooses which products next, by their codes (`wanted.ask`).
    wanted: Weights = field(default_factory=dict)


def gather(
    query: FeedQuery, shelf: Shelf, session: Session, profiles: Profiles, recommender: Recommender | None = None
) -> View:
    """Read everything a page needs but what belongs to its candidates: the visitor's profile, and flags over the shelf.

    Nothing is drawn of a session's or a visitor's taste unless consent covers personalising content; what the visitor
    asked for (follows, hides, blocks, muted words) always holds.
    """
    relation = query.relation
    personal = query.personal
    purchased = dict.fromkeys((*session.purchased, *_lately(relation.bought, query.now_ms - _BOUGHT_MS)))
    followed = dict.fromkeys(_codes(shelf, Kind.CREATOR, (*session.followed, *relation.follows)))
    return View(
        query=query,
        shelf=shelf,
        session=session,
        relation=relation,
        taste=_coded(shelf, session.taste) if personal else {},
        affinities=_affinities(query, shelf, profiles),
        context=_context(query, shelf),
        companions=shelf.companions.of(list(_rows(shelf, session.engaged))[-_SPEAKING:]) if personal else {},
        followed=followed,
        blocked=frozenset(_codes(shelf, Kind.CREATOR, relation.blocked)),
        bought=frozenset(_bought(shelf, purchased)),
        bought_from=_flags(shelf, _rows(shelf, purchased)),
        shown_in_chain=_flags(shelf, (shelf.row_of_key.get(key) for key in query.chain.shown)),
        seen_in_session=_flags(shelf, (shelf.row_of.get(post_id) for post_id in session.served)),
        hidden=_hidden(query, shelf, session),
        excluded=_flags(shelf, (shelf.row_of.get(post_id) for post_id in query.exclude)),
        recommender=recommender,
    )


def _codes(shelf: Shelf, kind: Kind, names: Iterable[str]) -> Iterator[int]:
    codes = (shelf.code((kind, name)) for name in names)
    return (code for code in codes if code >= 0)


def _rows(shelf: Shelf, post_ids: Iterable[str]) -> Iterator[int]:
    rows = (shelf.row_of.get(post_id) for post_id in post_ids)
    return (row for row in rows if row is not None)


def _bought(shelf: Shelf, purchased: Iterable[str]) -> Iterator[int]:
    kinds = shelf.kinds()
    for row in _rows(shelf, purchased):
        products = [code for code in shelf.term_codes(row) if kinds[code] == Kind.PRODUCT]
        if len(products) == 1:
            yield products[0]


def _coded(shelf: Shelf, weights: Mapping[Term, float]) -> Weights:
    coded = ((shelf.code(term), weight) for term, weight in weights.items())
    return {code: weight for code, weight in coded if code >= 0}


def _affinities(query: FeedQuery, shelf: Shelf, profiles: Profiles) -> Weights:
    if Permission.PERSONALISE_CONTENT not in query.permissions or not query.learn:
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


def _hidden(query: FeedQuery, shelf: Shelf, session: Session) -> Flags:
    earlier = query.relation.hidden
    flags = _flags(shelf, _rows(shelf, (*session.hidden, *(post_id for post_id, _ in earlier))))
    before = _hides_before(query, shelf, session) if earlier else Counter()
    for creator_id in dict.fromkeys((*session.unwanted_creators(), *before)):
        code = shelf.code((Kind.CREATOR, creator_id))
        if code >= 0 and session.hides_creator(creator_id, before[creator_id]):
            flags |= shelf.creator == code
    return flags


def _hides_before(query: FeedQuery, shelf: Shelf, session: Session) -> Counter[str]:
    """How many posts of which creator were hidden lately, in other sessions; none of those who are followed."""
    lately = (
        one for one in _lately(query.relation.hidden, query.now_ms - _HIDES_SPEAK_MS) if one not in session.hidden
    )
    hides = Counter(shelf.posts[row].creator_id for row in set(_rows(shelf, lately)))
    for creator_id in hides.keys() & {*session.followed, *query.relation.follows}:
        del hides[creator_id]
    return hides


def _lately(done: Iterable[Done], since_ms: int) -> Iterator[str]:
    return (post_id for post_id, at_ms in done if at_ms >= since_ms)
