"""What do reputations need from outside, and what do others ask of them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.reputation.beta import Beta
from feed.reputation.events import ReputationEvent, Role
from feed.reputation.standing import Standing, Tier
from feed.reputation.trust import EdgeKind


class CreatorReputation(Protocol):
    """What scorers, limits and commissions ask: in memory, without I/O, as of the last refresh."""

    def values(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float32]:
        """Standing of each, 0 to 1, shape (creators,); a newcomer's for whom nothing is known of."""

    def reach(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float32]:
        """The factor for each one's posts, shape (creators,)."""

    def standing(self, tenant_id: str, creator_id: str) -> Standing:
        """All that is known of one."""


class Edge(msgspec.Struct, frozen=True):
    """`source_id` vouches for `target_id`; `edge_id` makes it count once. Of a PURCHASE, it was bought and paid for."""

    tenant_id: str
    edge_id: str
    source_id: str
    target_id: str
    kind: EdgeKind
    at_ms: int


class Person(msgspec.Struct, frozen=True):
    """Somebody's record in one role."""

    person_id: str
    beta: Beta


class Link(msgspec.Struct, frozen=True):
    """How often one person vouched for another in one way."""

    source_id: str
    target_id: str
    kind: EdgeKind
    count: int


class TierHeld(msgspec.Struct, frozen=True):
    """The tier that a creator has, and where it stood when it came to it."""

    creator_id: str
    tier: Tier
    since_ms: int
    reputation: float
    trust: float


class ReputationStore(Protocol):
    """The record of reputations: events once each, and what they add up to."""

    def add(self, events: Sequence[ReputationEvent]) -> int:
        """Take events; how many were new."""

    def take_back(self, tenant_id: str, cause_ids: Sequence[str]) -> int:
        """These decisions were taken back: their events count no more; how many there were."""

    def add_edges(self, edges: Sequence[Edge]) -> int:
        """Take edges; how many were new."""

    def records(self, tenant_id: str, role: Role, person_ids: Sequence[str]) -> list[Beta]:
        """One for each person, empty where nothing is known."""

    def people(self, tenant_id: str, role: Role) -> Iterator[Person]:
        """Everybody with a record in a role, read in bounded portions."""

    def links(self, tenant_id: str) -> Iterator[Link]:
        """Who vouches for whom, read in bounded portions."""

    def tenants(self) -> list[str]:
        """Who has records or links."""

    def events_of(self, tenant_id: str, person_id: str, role: Role, limit: int) -> list[ReputationEvent]:
        """A person's events, newest first."""

    def tiers(self, tenant_id: str) -> dict[str, TierHeld]:
        """The tier of each creator that has ever had one."""

    def set_tiers(self, tenant_id: str, tiers: Sequence[tuple[TierHeld, Tier]], now_ms: int) -> None:
        """Store tiers, each with the one before, and with an event that tells of it, in one transaction."""

    def forget(self, tenant_id: str, person_id: str) -> int:
        """Drop all of a person, as whom others vouched for and as who vouched; how many rows."""

    def prune(self, before_ms: int) -> int:
        """Drop events that count for next to nothing, and links of the same age; how many. Sums stay."""
