"""What do campaigns need from outside? A store that writes a change with all that belongs to it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from exchange.campaign_values import Advertiser, Budget, Campaign, Creative, LineItem


class Answered(msgspec.Struct, frozen=True):
    """What a write with an idempotency key was, and what it answered (the value as JSON)."""

    method: str
    request_sha256: str
    response: bytes


class Change(msgspec.Struct, frozen=True):
    """One thing that was changed; `kind` is "advertiser", "campaign", "creative" or "line_item"."""

    kind: str
    id: str
    revision: int


class Audit(msgspec.Struct, frozen=True):
    """Who wrote what, and when: the caller's tenant and role, the tenant it acted for, the method."""

    at_ms: int
    actor_tenant_id: str
    actor_role: str
    tenant_id: str
    action: str


class ChangeMade(msgspec.Struct, frozen=True):
    """One entry of the history: who did what to a thing, and the thing before and after as JSON (empty: it was not)."""

    number: int
    at_ms: int
    tenant_id: str
    actor_tenant_id: str
    actor_role: str
    action: str
    kind: str
    id: str
    revision: int
    before: str
    after: str


class CampaignReads(Protocol):
    """One state of a tenant's campaigns. An id that is unknown or another tenant's reads as None."""

    def advertiser(self, tenant_id: str, advertiser_id: str) -> Advertiser | None:
        """The advertiser."""

    def campaign(self, tenant_id: str, campaign_id: str) -> Campaign | None:
        """The campaign."""

    def creative(self, tenant_id: str, creative_id: str) -> Creative | None:
        """The creative."""

    def line_item(self, tenant_id: str, line_item_id: str) -> LineItem | None:
        """The line item."""

    def creatives_by_id(self, tenant_id: str, creative_ids: Sequence[str]) -> dict[str, Creative]:
        """Those of the creatives that there are, in one batch."""

    def advertisers(self, tenant_id: str, after_number: int, limit: int) -> list[Advertiser]:
        """At most `limit` advertisers in order of their numbers, beyond `after_number`."""

    def campaigns(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Campaign]:
        """The same for the campaigns of an advertiser."""

    def creatives(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Creative]:
        """The same for the creatives of an advertiser."""

    def line_items(self, tenant_id: str, campaign_id: str, after_number: int, limit: int) -> list[LineItem]:
        """The same for the line items of a campaign."""

    def changes(self, tenant_id: str, id: str, after_number: int, limit: int) -> list[ChangeMade]:
        """What was changed of a thing, of everything without an id; oldest first."""

    def change(self, tenant_id: str, number: int) -> ChangeMade | None:
        """One entry of the history."""

    def by_external_id(self, tenant_id: str, kind: str, external_ids: Sequence[str]) -> dict[str, str]:
        """Our ids of campaigns or line items that the tenant calls by names of its own."""

    def external_ids(self, tenant_id: str, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """The tenant's names, by our ids; what has none is left out."""


class CampaignWrites(CampaignReads, Protocol):
    """One transaction. What is added comes back with its number, in the order it was given."""

    def has_tenant(self, tenant_id: str) -> bool:
        """Is there such a tenant?"""

    def answered(self, tenant_id: str, idempotency_key: str) -> Answered | None:
        """What this key was used for before."""

    def remember(self, tenant_id: str, idempotency_key: str, answered: Answered, at_ms: int) -> None:
        """Keep what this key was used for."""

    def add_advertiser(self, tenant_id: str, advertiser: Advertiser) -> Advertiser:
        """Store a new advertiser, with the id it carries."""

    def add_campaign(self, tenant_id: str, campaign: Campaign) -> Campaign:
        """Store a new campaign of an advertiser that exists."""

    def add_creative(self, tenant_id: str, creative: Creative) -> Creative:
        """Store a new creative of an advertiser that exists."""

    def add_line_items(self, tenant_id: str, line_items: Sequence[LineItem]) -> list[LineItem]:
        """Store new line items in bulk; their campaigns and creatives exist."""

    def set_state(self, kind: str, id: str, state: int, revision: int) -> None:
        """Set the state of an advertiser, a campaign or a line item."""

    def set_review_state(self, creative_id: str, review_state: int, revision: int) -> None:
        """Set the review state of a creative."""

    def set_creative(self, creative: Creative) -> None:
        """Set all of a creative but its advertiser; it carries its new revision."""

    def set_bid(self, line_item_id: str, bid_micros: int, revision: int) -> None:
        """Set the bid of a line item."""

    def set_budget(self, kind: str, id: str, budget: Budget, revision: int) -> None:
        """Set the budget of a campaign or a line item."""

    def replace_advertiser(self, tenant_id: str, advertiser: Advertiser) -> None:
        """Store another state of an advertiser, whose revision is one more than what is stored; else Conflict."""

    def replace_campaign(self, tenant_id: str, campaign: Campaign) -> None:
        """The same for a campaign, with its budget."""

    def replace_line_item(self, tenant_id: str, line_item: LineItem) -> None:
        """The same for a line item, with its budget and its creatives."""

    def call_by(self, tenant_id: str, kind: str, names: Mapping[str, str]) -> None:
        """From now on the tenant calls things by these names: our ids by external id."""

    def set_pacing(self, campaign_id: str, pacing: int, revision: int) -> None:
        """Set the pacing of a campaign."""

    def record(self, audit: Audit, changes: Sequence[Change]) -> None:
        """Write the audit rows of the changes, the history of what was written, and events into the outbox."""


class CampaignStore(Protocol):
    """Where campaigns are kept. Trouble is BackendUnavailable; a lost race is Conflict."""

    def reading(self) -> AbstractContextManager[CampaignReads]:
        """One state of everything, for as long as the context lasts."""

    def writing(self) -> AbstractContextManager[CampaignWrites]:
        """One transaction: committed when the context ends, undone when an exception leaves it."""


class Spent(Protocol):
    """What was spent of a budget, in micros: in all, and today in its time zone."""

    @property
    def spent_total_micros(self) -> int:
        """In all."""

    @property
    def spent_today_micros(self) -> int:
        """Today."""


class SpentBudgets(Protocol):
    """What the ledger knows of spent budgets; `account` as in exchange.ports.BudgetLedger."""

    def state(self, account: int, now_ms: int) -> Spent:
        """What was spent of one account."""
