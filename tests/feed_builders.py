"""A feed to start a test from: posts, products and sessions in memory; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.clock import SteppedClock
from common.consent import Permission
from feed.actions import Action, ActionKind
from feed.cursor import Chain
from feed.index import FeedIndex, Shelf
from feed.learned import LearnedRanking
from feed.page import Page
from feed.ports import CheckedPicture, SessionStore
from feed.post import Post, PostDraft, ProductTag
from feed.recommender.ports import Recommender
from feed.sessions import InProcessSessions, Session
from feed.timeline import Timeline
from feed.verdict import Finding, Outcome, Verdict
from feed.view import FeedQuery, View, gather
from streams.product import Product

TENANT = "a" * 32
SESSION = "session-1"
NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def a_product(product_id: str = "shoe", **changes: Any) -> Product:
    """A product that can be bought."""
    facts: dict[str, Any] = {
        "product_id": product_id, "tenant_id": TENANT, "name": product_id.title(), "brand": "brand-1",
        "category": "shoes", "price_micros": 10_000_000, "currency": "EUR", "image_url": "",
        "landing_url": "https://shop.example/it", "in_stock": True, "attributes": {},
    }  # fmt: skip
    return Product(**{**facts, **changes})


def a_post(number: int = 1, *, products: Sequence[str] = (), **changes: Any) -> Post:
    """A post of its own creator, published an hour ago."""
    facts: dict[str, Any] = {
        "tenant_id": TENANT, "post_id": f"{number:032x}", "creator_id": f"creator-{number}", "caption": "A look",
        "image_urls": ("https://img.example/1.jpg",),
        "product_tags": tuple(ProductTag(product_id, 0.5, 0.5) for product_id in products), "hashtags": (),
        "published_at_ms": NOW_MS - HOUR_MS,
    }  # fmt: skip
    return Post(**{**facts, **changes})


def a_draft(**changes: Any) -> PostDraft:
    """A draft that can be published."""
    facts: dict[str, Any] = {"creator_id": "creator-1", "image_urls": ("https://img.example/1.jpg",)}
    return PostDraft(**{**facts, **changes})


class Shop:
    """ProductLookup over a dictionary that a test may change."""

    def __init__(self, products: Sequence[Product] = ()) -> None:
        self.by_id = {product.product_id: product for product in products}

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> list[Product | None]:
        return [self.by_id.get(product_id) for product_id in product_ids]


class ToldChecker:
    """PostChecker that says what a test tells it to; `seen` are the captions that it was asked for."""

    def __init__(self) -> None:
        self.verdict = Verdict(Outcome.CLEAN, 0.0, checked_by="test")
        self.broken = False
        self.seen: list[str] = []
        self.pictures: list[CheckedPicture] = []

    def says(self, outcome: Outcome, *findings: Finding) -> None:
        self.verdict = Verdict(outcome, 0.5, findings, "test")

    def check(self, post: Post, pictures: Sequence[CheckedPicture], *, again: bool = False) -> Verdict:
        self.seen.append(post.caption)
        self.pictures = list(pictures)
        if self.broken:
            raise RuntimeError("the checker is broken")
        return self.verdict


class Visitors:
    """Profiles over a dictionary; `read` names every visitor that was looked up."""

    def __init__(self) -> None:
        self.weights: dict[str, dict[str, float]] = {}
        self.read: list[str] = []

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        self.read.append(visitor_id)
        return self.weights.get(visitor_id, {})

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        known = self.weights.setdefault(visitor_id, {})
        for product_id, weight in weights.items():
            known[product_id] = known.get(product_id, 0.0) + weight


class Feed:
    """A timeline over posts and products, and short ways to ask it."""

    def __init__(
        self,
        posts: Sequence[Post] = (),
        products: Sequence[Product] = (),
        *,
        learned: LearnedRanking | None = None,
        sessions: SessionStore | None = None,
    ) -> None:
        self.clock = SteppedClock(NOW_MS)
        self.shop = Shop(products)
        self.visitors = Visitors()
        self.sessions: SessionStore = sessions if sessions is not None else InProcessSessions()
        self.index = FeedIndex(products=self.shop)
        self.index.fold(posts)
        self.timeline = self.timeline_with(None, learned=learned)

    def timeline_with(self, recommender: Recommender | None, *, learned: LearnedRanking | None = None) -> Timeline:
        """A timeline over the same feed that asks this recommender."""
        return Timeline(
            index=self.index, sessions=self.sessions, products=self.shop, profiles=self.visitors, clock=self.clock,
            learned=learned, recommender=lambda: recommender,
        )  # fmt: skip

    @property
    def shelf(self) -> Shelf:
        return self.index.shelf(TENANT)

    @property
    def session(self) -> Session:
        return self.sessions.read(TENANT, SESSION, self.clock.now_ms())

    def query(self, **changes: Any) -> FeedQuery:
        facts: dict[str, Any] = {
            "tenant_id": TENANT, "session_id": SESSION, "now_ms": self.clock.now_ms(), "chain": Chain(1),
            "permissions": Permission.REMEMBER | Permission.PERSONALISE_CONTENT,
        }  # fmt: skip
        return FeedQuery(**{**facts, **changes})

    def view(self, **changes: Any) -> View:
        return gather(self.query(**changes), self.shelf, self.session, self.visitors)

    def page(self, **changes: Any) -> Page:
        return self.timeline.page(self.query(**changes))

    def act(self, kind: ActionKind, subject_id: str, action_id: str = "", *, learn: bool = True) -> bool:
        """Take an action into the session, as a recorder does."""
        session = self.session
        row = self.shelf.row_of.get(subject_id)
        terms = [] if row is None else self.shelf.terms(row)
        action = Action(kind, subject_id, action_id or f"{kind.name}-{subject_id}")
        taken = session.take(action, terms, learn=learn)
        self.sessions.keep(TENANT, SESSION, session, self.clock.now_ms())
        return taken


def ids(numbers: Sequence[int]) -> list[str]:
    """The post ids of `a_post(number)`."""
    return [f"{number:032x}" for number in numbers]


def shown(page: Page) -> list[int]:
    """The numbers of the posts on a page."""
    return [int(pick.post_id, 16) for pick in page.picks]


def rows_of(view: View, numbers: Sequence[int]) -> list[int]:
    """The rows of `a_post(number)`."""
    return [view.shelf.row_of[post_id] for post_id in ids(numbers)]
