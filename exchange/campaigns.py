"""What can an advertiser do? The use cases of campaigns: create, read, list, change a bid or a budget, pause, review.

A write happens once: its rows, what it answered, who wrote it and its events are one transaction, and the same
idempotency key sent again answers the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from accounts.ports import Caller
from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound, PermissionDenied
from common.ids import new_id, new_ids, text_of
from exchange import campaign_checks as checks
from exchange.buying_terms import check_seat
from exchange.campaign_lookups import (
    find_advertiser,
    find_budgeted,
    find_campaign,
    find_creative,
    find_line_item,
    find_stateful,
    require_id,
    unknown,
)
from exchange.campaign_pages import Page, asked_page
from exchange.campaign_ports import Answered, Audit, CampaignStore, CampaignWrites, Change, SpentBudgets
from exchange.campaign_text import check_key
from exchange.campaign_values import (
    Advertiser,
    Budget,
    BudgetState,
    Campaign,
    Creative,
    LineItem,
    ReviewState,
    StateSet,
)
from exchange.creative_checks import changed_creative, checked_creative
from exchange.ports import CAMPAIGN_ACCOUNTS

T = TypeVar("T")


class Write(msgspec.Struct, frozen=True):
    """Whose write it is: the caller, the tenant it acts for, the key under which it happens once."""

    caller: Caller
    tenant_id: str
    idempotency_key: str


class Campaigns:
    """The use cases. All of them raise InvalidInput with every field at once, NotFound for what is another tenant's."""

    def __init__(
        self,
        *,
        store: CampaignStore,
        clock: Clock,
        currency: str,
        spent: SpentBudgets,
        knows_currency: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._currency = currency
        self._knows_currency = knows_currency
        self._spent = spent

    @property
    def currency(self) -> str:
        """The ISO 4217 code that the exchange sells in; a campaign may have another one."""
        return self._currency

    def create_advertiser(self, write: Write, draft: Advertiser) -> Advertiser:
        """A new advertiser, active."""
        errors: list[FieldError] = []
        checked = checks.checked_advertiser(draft, errors)

        def work(unit: CampaignWrites) -> tuple[Advertiser, list[Change]]:
            if not unit.has_tenant(write.tenant_id):
                raise unknown("tenant", write.tenant_id)
            fresh = replace(checked, advertiser_id=new_id(self._clock.now_ms()), revision=1)
            added = unit.add_advertiser(write.tenant_id, fresh)
            return added, [Change("advertiser", added.advertiser_id, 1)]

        return self.once(write, "CreateAdvertiser", draft, Advertiser, errors, work)

    def create_campaign(self, write: Write, draft: Campaign) -> Campaign:
        """A new campaign of an advertiser."""
        errors: list[FieldError] = []
        checked = checks.checked_campaign(draft, self._currency, errors, self._knows_currency)

        def work(unit: CampaignWrites) -> tuple[Campaign, list[Change]]:
            find_advertiser(unit, write.tenant_id, checked.advertiser_id)
            fresh = replace(checked, campaign_id=new_id(self._clock.now_ms()), revision=1)
            added = unit.add_campaign(write.tenant_id, fresh)
            return added, [Change("campaign", added.campaign_id, 1)]

        return self.once(write, "CreateCampaign", draft, Campaign, errors, work)

    def create_creative(self, write: Write, draft: Creative) -> Creative:
        """A new creative of an advertiser; it waits for its review."""
        errors: list[FieldError] = []
        checked = checked_creative(draft, errors)

        def work(unit: CampaignWrites) -> tuple[Creative, list[Change]]:
            find_advertiser(unit, write.tenant_id, checked.advertiser_id)
            made = new_id(self._clock.now_ms())
            fresh = replace(checked, creative_id=made, review_state=ReviewState.PENDING, revision=1)
            added = unit.add_creative(write.tenant_id, fresh)
            return added, [Change("creative", added.creative_id, 1)]

        return self.once(write, "CreateCreative", draft, Creative, errors, work)

    def change_creative(self, write: Write, creative_id: str, draft: Creative) -> Creative:
        """Another content for a creative, which is reviewed again; its advertiser and its format stay.

        Conflict when `draft.revision` is given and the creative has another one.
        """
        errors: list[FieldError] = []
        require_id("creative_id", creative_id, errors)
        # Which advertiser and format it has, only the store can say: the draft is checked as what it will be.
        with self._store.reading() as unit:
            before = unit.creative(write.tenant_id, creative_id)
        owned = replace(draft, advertiser_id=before.advertiser_id, format=before.format) if before else draft
        if before is not None and draft.format not in (0, before.format):
            remedy = "make a new creative: a creative keeps its format"
            errors.append(
                FieldError("creative.format", f"is {draft.format}, the creative's is {before.format}", remedy)
            )
        checked = checked_creative(owned, errors) if before is not None else draft

        def work(unit: CampaignWrites) -> tuple[Creative, list[Change]]:
            current = find_creative(unit, write.tenant_id, creative_id)
            if draft.revision not in (0, current.revision):
                raise Conflict("the creative changed meanwhile: read it and send the change again")
            changed = changed_creative(current, checked)
            if changed is None:
                return current, []
            unit.set_creative(changed)
            return changed, [Change("creative", creative_id, changed.revision)]

        return self.once(write, "ChangeCreative", (creative_id, draft), Creative, errors, work)

    def create_line_item(self, write: Write, draft: LineItem) -> LineItem:
        """A new line item of a campaign, with creatives of the campaign's advertiser."""
        errors: list[FieldError] = []
        checked = checks.checked_line_item(draft, errors)
        check_seat("line_item", checked.seat, write.caller.role, errors)

        def work(unit: CampaignWrites) -> tuple[LineItem, list[Change]]:
            added = self._add_line_items(unit, write.tenant_id, [checked])[0]
            return added, [Change("line_item", added.line_item_id, 1)]

        return self.once(write, "CreateLineItem", draft, LineItem, errors, work)

    def draft_line_item(self, tenant_id: str, draft: LineItem) -> tuple[LineItem, Campaign, Advertiser, list[Creative]]:
        """A draft checked as `create_line_item` checks it, with what it belongs to; nothing is saved."""
        errors: list[FieldError] = []
        checked = checks.checked_line_item(draft, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            campaign = find_campaign(unit, tenant_id, checked.campaign_id)
            advertiser = find_advertiser(unit, tenant_id, campaign.advertiser_id)
            found = unit.creatives_by_id(tenant_id, checked.creative_ids)
        for creative_id in checked.creative_ids:
            if creative_id not in found or found[creative_id].advertiser_id != advertiser.advertiser_id:
                raise NotFound(f"the campaign's advertiser has no creative {creative_id[:40]!r}")
        return checked, campaign, advertiser, [found[creative_id] for creative_id in checked.creative_ids]

    def import_line_items(self, caller: Caller, tenant_id: str, drafts: Sequence[LineItem]) -> list[LineItem]:
        """Many line items in one transaction, all or none; not idempotent, so for imports and benchmarks."""
        errors: list[FieldError] = []
        checked = [checks.checked_line_item(draft, errors, f"line_items[{at}]") for at, draft in enumerate(drafts)]
        if errors:
            raise InvalidInput(errors)
        with self._store.writing() as unit:
            added = self._add_line_items(unit, tenant_id, checked)
            changes = [Change("line_item", item.line_item_id, 1) for item in added]
            audit = Audit(self._clock.now_ms(), caller.tenant_id, caller.role, tenant_id, "ImportLineItems")
            unit.record(audit, changes)
        return added

    def change_bid(self, write: Write, line_item_id: str, bid_micros: int) -> LineItem:
        """Another bid for a line item."""
        errors: list[FieldError] = []
        checks.check_bid("bid_micros", bid_micros, errors)
        require_id("line_item_id", line_item_id, errors)

        def work(unit: CampaignWrites) -> tuple[LineItem, list[Change]]:
            item = find_line_item(unit, write.tenant_id, line_item_id)
            if item.bid_micros == bid_micros:
                return item, []
            changed = replace(item, bid_micros=bid_micros, revision=item.revision + 1)
            unit.set_bid(line_item_id, bid_micros, changed.revision)
            return changed, [Change("line_item", line_item_id, changed.revision)]

        return self.once(write, "ChangeBid", (line_item_id, bid_micros), LineItem, errors, work)

    def change_budget(self, write: Write, id: str, budget: Budget) -> BudgetState:
        """Another budget for a campaign or a line item; below what is spent already, it stops there."""
        errors: list[FieldError] = []
        checks.check_budget("budget", budget, errors, needs_limit=False)
        require_id("id", id, errors)
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        # What is spent is read before the transaction, which would keep the ledger waiting.
        with self._store.reading() as unit:
            thing = find_budgeted(unit, write.tenant_id, id)
        account = thing.number + (CAMPAIGN_ACCOUNTS if isinstance(thing, Campaign) else 0)
        if isinstance(thing, Campaign):
            checks.check_budget("budget", budget, errors, needs_limit=True)
        spent = self._spent.state(account, self._clock.now_ms())

        def work(unit: CampaignWrites) -> tuple[BudgetState, list[Change]]:
            found = find_budgeted(unit, write.tenant_id, id)
            state = BudgetState(budget, spent.spent_total_micros, spent.spent_today_micros)
            if found.budget == budget:
                return state, []
            kind = "campaign" if isinstance(found, Campaign) else "line_item"
            unit.set_budget(kind, id, budget, found.revision + 1)
            return state, [Change(kind, id, found.revision + 1)]

        return self.once(write, "ChangeBudget", (id, budget), BudgetState, errors, work)

    def set_state(self, write: Write, id: str, state: int) -> StateSet:
        """Pause or resume an advertiser, a campaign or a line item; what is below a paused one does not run."""
        errors: list[FieldError] = []
        checks.check_state("state", state, errors)
        require_id("id", id, errors)

        def work(unit: CampaignWrites) -> tuple[StateSet, list[Change]]:
            kind, thing = find_stateful(unit, write.tenant_id, id)
            if thing.state == state:
                return StateSet(id, state, thing.revision), []
            unit.set_state(kind, id, state, thing.revision + 1)
            return StateSet(id, state, thing.revision + 1), [Change(kind, id, thing.revision + 1)]

        return self.once(write, "SetState", (id, state), StateSet, errors, work)

    def set_pacing(self, write: Write, campaign_id: str, pacing: int) -> Campaign:
        """Spend a campaign's budgets evenly, or as fast as possible."""
        errors: list[FieldError] = []
        checks.check_pacing("pacing", pacing, errors)
        require_id("campaign_id", campaign_id, errors)

        def work(unit: CampaignWrites) -> tuple[Campaign, list[Change]]:
            campaign = find_campaign(unit, write.tenant_id, campaign_id)
            if campaign.pacing == pacing:
                return campaign, []
            changed = replace(campaign, pacing=pacing, revision=campaign.revision + 1)
            unit.set_pacing(campaign_id, pacing, changed.revision)
            return changed, [Change("campaign", campaign_id, changed.revision)]

        return self.once(write, "SetPacing", (campaign_id, pacing), Campaign, errors, work)

    def review_creative(self, write: Write, creative_id: str, review_state: int) -> Creative:
        """Approve or refuse a creative; PermissionDenied unless an operator does it."""
        if write.caller.role != "operator":
            raise PermissionDenied("creatives are reviewed by operators: use the API key of one")
        errors: list[FieldError] = []
        if review_state not in (ReviewState.APPROVED, ReviewState.REFUSED):
            errors.append(FieldError("review_state", f"is {review_state}", "choose approved or refused"))
        require_id("creative_id", creative_id, errors)

        def work(unit: CampaignWrites) -> tuple[Creative, list[Change]]:
            creative = find_creative(unit, write.tenant_id, creative_id)
            if creative.review_state == review_state:
                return creative, []
            changed = replace(creative, review_state=review_state, revision=creative.revision + 1)
            unit.set_review_state(creative_id, review_state, changed.revision)
            return changed, [Change("creative", creative_id, changed.revision)]

        return self.once(write, "ReviewCreative", (creative_id, review_state), Creative, errors, work)

    def advertiser(self, tenant_id: str, advertiser_id: str) -> Advertiser:
        """One advertiser."""
        with self._store.reading() as unit:
            return find_advertiser(unit, tenant_id, advertiser_id)

    def campaign(self, tenant_id: str, campaign_id: str) -> Campaign:
        """One campaign."""
        with self._store.reading() as unit:
            return find_campaign(unit, tenant_id, campaign_id)

    def creative(self, tenant_id: str, creative_id: str) -> Creative:
        """One creative."""
        with self._store.reading() as unit:
            return find_creative(unit, tenant_id, creative_id)

    def line_item(self, tenant_id: str, line_item_id: str) -> LineItem:
        """One line item."""
        with self._store.reading() as unit:
            return find_line_item(unit, tenant_id, line_item_id)

    def advertisers(self, tenant_id: str, page_size: int = 0, page_token: str = "") -> Page[Advertiser]:
        """The tenant's advertisers, oldest first."""
        errors: list[FieldError] = []
        asked = asked_page("advertisers", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            return asked.cut(lambda after, limit: unit.advertisers(tenant_id, after, limit))

    def campaigns(self, tenant_id: str, advertiser_id: str, page_size: int = 0, page_token: str = "") -> Page[Campaign]:
        """The campaigns of an advertiser, oldest first."""
        errors: list[FieldError] = []
        require_id("parent_id", advertiser_id, errors)
        asked = asked_page(f"campaigns {advertiser_id}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            find_advertiser(unit, tenant_id, advertiser_id)
            return asked.cut(lambda after, limit: unit.campaigns(tenant_id, advertiser_id, after, limit))

    def creatives(self, tenant_id: str, advertiser_id: str, page_size: int = 0, page_token: str = "") -> Page[Creative]:
        """The creatives of an advertiser, oldest first."""
        errors: list[FieldError] = []
        require_id("parent_id", advertiser_id, errors)
        asked = asked_page(f"creatives {advertiser_id}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            find_advertiser(unit, tenant_id, advertiser_id)
            return asked.cut(lambda after, limit: unit.creatives(tenant_id, advertiser_id, after, limit))

    def line_items(self, tenant_id: str, campaign_id: str, page_size: int = 0, page_token: str = "") -> Page[LineItem]:
        """The line items of a campaign, oldest first."""
        errors: list[FieldError] = []
        require_id("parent_id", campaign_id, errors)
        asked = asked_page(f"line_items {campaign_id}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            find_campaign(unit, tenant_id, campaign_id)
            return asked.cut(lambda after, limit: unit.line_items(tenant_id, campaign_id, after, limit))

    def once(
        self,
        write: Write,
        method: str,
        request: object,
        answer_type: type[T],
        errors: list[FieldError],
        work: Callable[[CampaignWrites], tuple[T, list[Change]]],
    ) -> T:
        """Do `work` in one transaction, unless this write was done before: then what it answered. For edits beside."""
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        digest = hashlib.sha256(msgspec.json.encode((method, request))).hexdigest()
        now_ms = self._clock.now_ms()
        with self._store.writing() as unit:
            before = unit.answered(write.tenant_id, write.idempotency_key)
            if before is not None:
                if (before.method, before.request_sha256) != (method, digest):
                    remedy = "give every write a key of its own"
                    raise Conflict(f"idempotency key {write.idempotency_key!r} was used for another request: {remedy}")
                return msgspec.json.decode(before.response, type=answer_type)
            answer, changes = work(unit)
            audit = Audit(now_ms, write.caller.tenant_id, write.caller.role, write.tenant_id, method)
            unit.record(audit, changes)
            answered = Answered(method, digest, msgspec.json.encode(answer))
            unit.remember(write.tenant_id, write.idempotency_key, answered, now_ms)
        return answer

    def _add_line_items(self, unit: CampaignWrites, tenant_id: str, drafts: Sequence[LineItem]) -> list[LineItem]:
        campaigns = {
            campaign_id: find_campaign(unit, tenant_id, campaign_id)
            for campaign_id in dict.fromkeys(draft.campaign_id for draft in drafts)
        }
        wanted = list(dict.fromkeys(creative_id for draft in drafts for creative_id in draft.creative_ids))
        creatives = unit.creatives_by_id(tenant_id, wanted)
        for draft in drafts:
            advertiser_id = campaigns[draft.campaign_id].advertiser_id
            for creative_id in draft.creative_ids:
                creative = creatives.get(creative_id)
                if creative is None or creative.advertiser_id != advertiser_id:
                    raise NotFound(f"the campaign's advertiser has no creative {creative_id[:40]!r}")
        made = new_ids(len(drafts), self._clock.now_ms())
        fresh = [
            replace(draft, line_item_id=text_of(number), revision=1)
            for draft, number in zip(drafts, sorted(made), strict=True)
        ]
        return unit.add_line_items(tenant_id, fresh)
