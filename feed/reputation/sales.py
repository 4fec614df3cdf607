"""When does what a post sold speak for its creator? Once the time for returns is over and it did not come back.

Purchases and returns are what the storefront tells of its visitors (topic `feed_actions`), so each was verified by the
shop. Nobody vouches for themselves by buying.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

import msgspec

from common.clock import Clock
from feed.moderation.reports import digest_of
from feed.reputation.reputations import Reputations
from streams.feed_events import FeedActionTaken

_AT_ONCE: Final = 500


class Sale(msgspec.Struct, frozen=True):
    """Something that a post of `creator_id` sold, and that may still come back. `buyer` is a digest of the visitor, or
    of the session where the visitor may not be remembered: then nobody is vouched for.
    """

    tenant_id: str
    sale_id: str
    buyer: str
    remembered: bool
    creator_id: str
    post_id: str
    product_id: str
    at_ms: int


class SaleStore(Protocol):
    """Sales within their time for returns."""

    def add(self, sale: Sale) -> bool:
        """Keep a sale; False when it is known."""

    def oldest(self, tenant_id: str, buyer: str, post_id: str, product_id: str) -> Sale | None:
        """The oldest sale that could be the one that comes back; without a product any of the post."""

    def before(self, at_ms: int, limit: int) -> list[Sale]:
        """Sales of all tenants of before a moment, oldest first."""

    def drop(self, tenant_id: str, sale_id: str) -> None:
        """A sale waits no more."""

    def forget(self, tenant_id: str, person_id: str) -> int:
        """Drop the sales to and of a person, who may be a digest; how many."""


class Sales:
    """The use cases; all of them block, and doing one twice changes nothing."""

    def __init__(self, *, store: SaleStore, reputations: Reputations, clock: Clock, returns_ms: int) -> None:
        self._store = store
        self._reputations = reputations
        self._clock = clock
        self._returns_ms = returns_ms

    def bought(self, event: FeedActionTaken, creator_id: str) -> bool:
        """A visitor bought what a creator's post shows; False when it is known, or the creator's own purchase."""
        if event.visitor_id == creator_id:
            return False
        buyer = _buyer(event)
        named = f"{buyer}\0{event.subject_id}\0{event.action_id}".encode()
        return self._store.add(
            Sale(
                tenant_id=event.tenant_id,
                sale_id=hashlib.blake2b(named, digest_size=16).hexdigest(),
                buyer=buyer,
                remembered=bool(event.visitor_id),
                creator_id=creator_id,
                post_id=event.subject_id,
                product_id=event.detail,
                at_ms=event.taken_at_ms,
            )
        )

    def came_back(self, event: FeedActionTaken) -> bool:
        """What was bought was sent back: it speaks against the creator. False when no such sale waits."""
        sale = self._store.oldest(event.tenant_id, _buyer(event), event.subject_id, event.detail)
        if sale is None:
            return False
        self._count(sale, event.taken_at_ms, returned=True)
        return True

    def count_kept(self) -> int:
        """What did not come back in time was kept, and vouches for the creator; how many. For a job beside."""
        kept = self._store.before(self._clock.now_ms() - self._returns_ms, _AT_ONCE)
        for sale in kept:
            self._count(sale, sale.at_ms + self._returns_ms, returned=False)
        return len(kept)

    def _count(self, sale: Sale, at_ms: int, *, returned: bool) -> None:
        buyer = sale.buyer if sale.remembered else ""
        # Counted first: after a crash between the two it is counted again, which changes nothing.
        self._reputations.sold(sale.tenant_id, sale.sale_id, buyer, sale.creator_id, at_ms, returned=returned)
        self._store.drop(sale.tenant_id, sale.sale_id)


def _buyer(event: FeedActionTaken) -> str:
    if event.visitor_id:
        return digest_of(event.tenant_id, "visitor", event.visitor_id)
    return digest_of(event.tenant_id, "session", event.session_id)
