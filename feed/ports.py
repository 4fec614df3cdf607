"""What does the feed need from outside: a record of posts, products, profiles, ads, and someone to tell?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from feed.post import Post
from streams.product import Product

if TYPE_CHECKING:
    from feed.sessions import Session


class PostStore(Protocol):
    """The record of posts. A change and its PostChanged event (topic `posts`) are written together or not at all."""

    def create(self, post: Post, key: str, digest: str, now_ms: int) -> Post:
        """Store a post under its tenant's idempotency key.

        Gives the post of an earlier call with the same key and digest; Conflict when the digest is another.
        """

    def written(self, tenant_id: str, key: str, digest: str) -> Post | None:
        """What `key` wrote, as it is now; None when it wrote nothing. Conflict when the digest is another."""

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post, withdrawn or not; None when it has no such post."""

    def withdraw(self, tenant_id: str, post_id: str, key: str, digest: str, now_ms: int) -> Post | None:
        """Withdraw a post; None when the tenant has no such post. The revision grows only when the state changed."""

    def count(self, tenant_id: str, counts: Sequence[Count], now_ms: int) -> list[bool]:
        """Add likes and saves; False for each whose `action_key` was counted before (within a day at least)."""

    def all(self) -> Iterator[Post]:
        """Every post of every tenant, in order of publication, read in bounded portions."""


class Count(msgspec.Struct, frozen=True):
    """One like or save of a post. `action_key` is a digest that names the action and nobody."""

    post_id: str
    action_key: bytes
    likes: int = 0
    saves: int = 0


class ProductLookup(Protocol):
    """The shop's catalogue, in memory: no I/O, asked for hundreds of products on every page."""

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> Sequence[Product | None]:
        """One entry for each id, None where the tenant has no such product."""


class Profiles(Protocol):
    """What is remembered of visitors. Called only with ids of visitors who agreed to it."""

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        """Product id to weight, empty when nothing is known: a quick read, made while a page waits."""

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        """Add `weights` by product id to what is known of the visitor, below 0 takes away; may block."""


class SessionStore(Protocol):
    """What sessions have done. A session that is over, or was pushed out by others, reads as a new one."""

    def read(self, tenant_id: str, session_id: str, now_ms: int) -> Session:
        """The session as it is, to be changed in place and handed to `keep`."""

    def keep(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None:
        """Keep the session for as long as it lives from now on."""


class AdRequest(msgspec.Struct, frozen=True):
    """The page as the auction may see it: fields that consent does not cover are empty already.

    `permissions` are bits of common.consent.Permission; the auction has `tmax_ms` to answer.
    """

    request_id: str
    tenant_id: str
    session_id: str
    permissions: int
    slots: int
    tmax_ms: int
    viewed_at_ms: int
    visitor_id: str = ""
    segments: tuple[str, ...] = ()
    affinities: tuple[tuple[str, float], ...] = ()
    url: str = ""
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    product_id: str = ""
    device_type: int = 0
    country: str = ""
    region: str = ""
    language: str = ""


class FeedAd(msgspec.Struct, frozen=True):
    """An ad for slot `slot` (0 is the first) of an AdRequest, won in auction `auction_id`.

    The other fields are those of haat.exchange.v1.Ad.
    """

    slot: int
    auction_id: str
    impression_id: str
    line_item_id: str = ""
    creative_id: str = ""
    advertiser_id: str = ""
    advertiser_domain: str = ""
    product_id: str = ""
    format: int = 0
    width: int = 0
    height: int = 0
    markup: str = ""
    price_micros: int = 0
    pricing_model: int = 0
    currency: str = ""
    bidder: str = ""
    mtype: int = 0


class AdSource(Protocol):
    """Where ads come from: the same auction that serves pages."""

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        """At most one ad for each slot; slots that were not sold are left out. May be cancelled at the deadline."""
