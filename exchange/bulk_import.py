"""What would a file of campaigns change, and how is it done? All of it in one transaction, or nothing.

Rows are found by the tenant's own names, so the same file sent again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from common.clock import Clock
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import new_ids, text_of
from exchange import bulk_csv
from exchange import campaign_checks as checks
from exchange.bulk_csv import OWN_ID, CsvRow, at, raise_all
from exchange.buying_terms import check_seat
from exchange.campaign_edits import changed_fields
from exchange.campaign_pages import NumberedT
from exchange.campaign_ports import CampaignReads, CampaignStore, CampaignWrites, Change
from exchange.campaign_values import Campaign, LineItem, Targeting
from exchange.campaigns import Campaigns, Write

Action = Literal["create", "change", "unchanged"]
ThingT = TypeVar("ThingT", Campaign, LineItem)

_FIXED_CAMPAIGN = ("advertiser_id", "time_zone", "currency")
_FIXED_LINE_ITEM = ("campaign_id", "pricing_model")
_EXPORT_PAGE = 500


class ImportedRow(msgspec.Struct, frozen=True):
    """What becomes of one campaign or line item; `id` is empty while it is not made."""

    line: int
    kind: str
    external_id: str
    action: Action
    id: str
    changed_fields: tuple[str, ...] = ()


class ImportReport(msgspec.Struct, frozen=True):
    """What a file does, or would do."""

    rows: tuple[ImportedRow, ...]

    def count(self, action: Action) -> int:
        """How many campaigns and line items it does this to."""
        return sum(row.action == action for row in self.rows)


class _Plan(msgspec.Struct):
    """Everything of the file beside what there is."""

    rows: list[ImportedRow] = []
    # By external id; what is new has no id yet. A line item stands beside the name of its campaign.
    campaigns: dict[str, tuple[Action, Campaign]] = {}
    line_items: dict[str, tuple[Action, str, LineItem]] = {}


class BulkImport:
    """Import and export. InvalidInput names line and column of every cell that cannot be taken."""

    def __init__(self, *, campaigns: Campaigns, store: CampaignStore, clock: Clock) -> None:
        self._campaigns = campaigns
        self._store = store
        self._clock = clock

    def dry_run(self, tenant_id: str, data: bytes) -> ImportReport:
        """What `run` would do now."""
        rows = bulk_csv.read(data, self._campaigns.currency)
        with self._store.reading() as unit:
            return ImportReport(tuple(_plan(unit, tenant_id, rows).rows))

    def run(self, write: Write, data: bytes) -> ImportReport:
        """Do what the file says, all or nothing."""
        rows = bulk_csv.read(data, self._campaigns.currency)

        def work(unit: CampaignWrites) -> tuple[ImportReport, list[Change]]:
            plan = _plan(unit, write.tenant_id, rows)
            _check_seats(plan, rows, write.caller.role)
            return _carry_out(unit, write.tenant_id, plan, self._clock.now_ms())

        digest = hashlib.sha256(data).hexdigest()
        return self._campaigns.once(write, "ImportCampaigns", digest, ImportReport, [], work)

    def export(self, tenant_id: str, advertiser_id: str = "") -> tuple[bytes, int]:
        """(the file of all line items of an advertiser or of all, how many they are), which imports as no change."""
        found: list[tuple[Campaign, LineItem]] = []
        with self._store.reading() as unit:
            for own_id in _advertiser_ids(unit, tenant_id, advertiser_id):
                campaigns = _every(partial(_campaigns, unit, tenant_id, own_id))
                for campaign in campaigns:
                    found += [
                        (campaign, item) for item in _every(partial(_items, unit, tenant_id, campaign.campaign_id))
                    ]
            campaign_names = unit.external_ids(tenant_id, "campaign", list({c.campaign_id for c, _ in found}))
            item_names = unit.external_ids(tenant_id, "line_item", [item.line_item_id for _, item in found])
        if len(found) > bulk_csv.MAX_ROWS:
            remedy = "export one advertiser at a time"
            raise InvalidInput([FieldError("advertiser_id", f"has more than {bulk_csv.MAX_ROWS} rows", remedy)])
        rows = [
            (
                campaign_names.get(campaign.campaign_id, OWN_ID + campaign.campaign_id),
                campaign,
                item_names.get(item.line_item_id, OWN_ID + item.line_item_id),
                item,
            )
            for campaign, item in found
        ]
        return bulk_csv.write(rows), len(rows)


def _campaigns(unit: CampaignReads, tenant_id: str, advertiser_id: str, after: int) -> list[Campaign]:
    return unit.campaigns(tenant_id, advertiser_id, after, _EXPORT_PAGE)


def _items(unit: CampaignReads, tenant_id: str, campaign_id: str, after: int) -> list[LineItem]:
    return unit.line_items(tenant_id, campaign_id, after, _EXPORT_PAGE)


def _plan(unit: CampaignReads, tenant_id: str, rows: Sequence[CsvRow]) -> _Plan:
    errors: list[FieldError] = []
    plan = _Plan()
    campaign_ids = _ids(unit, tenant_id, "campaign", [row.campaign_external_id for row in rows])
    item_ids = _ids(unit, tenant_id, "line_item", [row.external_id for row in rows])
    for row in rows:
        name = row.campaign_external_id
        if name not in plan.campaigns:
            _plan_campaign(unit, tenant_id, plan, row, campaign_ids.get(name, ""), errors)
        campaign = plan.campaigns[name][1]
        _plan_line_item(unit, tenant_id, plan, row, campaign, item_ids.get(row.external_id, ""), errors)
    raise_all(errors)
    return plan


def _plan_campaign(
    unit: CampaignReads, tenant_id: str, plan: _Plan, row: CsvRow, id: str, errors: list[FieldError]
) -> None:
    found: list[FieldError] = []
    name = row.campaign_external_id
    current = unit.campaign(tenant_id, id) if id else None
    draft = checks.checked_campaign(_with_untold(row.campaign, current, row.told), row.campaign.currency, found)
    if current is None:
        if name.startswith(OWN_ID):
            found.append(
                FieldError("campaign.external_id", f"{name[:64]!r} is no campaign of yours", "use your own name")
            )
        elif draft.advertiser_id and unit.advertiser(tenant_id, draft.advertiser_id) is None:
            found.append(
                FieldError("campaign.advertiser_id", f"there is no {draft.advertiser_id[:40]!r}", "name yours")
            )
    else:
        _check_fixed(draft, current, _FIXED_CAMPAIGN, "campaign", found)
    errors += [_in_cell(row.line, error, "campaign") for error in found]
    plan.campaigns[name] = _against(plan, row.line, "campaign", name, draft, current)


def _plan_line_item(
    unit: CampaignReads, tenant_id: str, plan: _Plan, row: CsvRow, campaign: Campaign, id: str, errors: list[FieldError]
) -> None:
    found: list[FieldError] = []
    current = unit.line_item(tenant_id, id) if id else None
    told = _with_untold(row.line_item, current, row.told)
    # A campaign that is yet to be made has no id; any stands for it in the checks.
    draft = checks.checked_line_item(replace(told, campaign_id=campaign.campaign_id or "new"), found)
    if current is None and row.external_id.startswith(OWN_ID):
        value = f"{row.external_id[:64]!r} is no line item of yours"
        found.append(FieldError("line_item.external_id", value, "use your own name"))
    if current is not None:
        _check_fixed(draft, current, _FIXED_LINE_ITEM, "line_item", found)
    creatives = unit.creatives_by_id(tenant_id, draft.creative_ids)
    for creative_id in draft.creative_ids:
        if creative_id not in creatives or creatives[creative_id].advertiser_id != campaign.advertiser_id:
            value = f"the advertiser has no creative {creative_id[:40]!r}"
            found.append(FieldError("line_item.creative_ids", value, "name creatives of the campaign's advertiser"))
    errors += [_in_cell(row.line, error, "line_item") for error in found]
    action, item = _against(plan, row.line, "line_item", row.external_id, draft, current)
    plan.line_items[row.external_id] = (action, row.campaign_external_id, item)


def _against(
    plan: _Plan, line: int, kind: str, name: str, draft: ThingT, current: ThingT | None
) -> tuple[Action, ThingT]:
    if current is None:
        plan.rows.append(ImportedRow(line, kind, name, "create", ""))
        return "create", draft
    id_name = f"{kind}_id"
    own = {id_name: getattr(current, id_name), "revision": current.revision, "number": current.number}
    draft = replace(draft, **own)
    fields = changed_fields(current, draft)
    action: Action = "change" if fields else "unchanged"
    plan.rows.append(ImportedRow(line, kind, name, action, own[id_name], tuple(fields)))
    return action, draft


# Which columns tell of a field; those of a campaign's in the file begin with its kind.
_TOLD_BY = {
    "bid_micros": ("bid",),
    "budget": ("total_budget", "daily_budget"),
    "targeting": Targeting.__struct_fields__,
    "frequency_cap": ("cap_impressions", "cap_window_s"),
    "schedule": ("starts_at", "ends_at", "hours_of_week"),
}


def _check_seats(plan: _Plan, rows: Sequence[CsvRow], role: str) -> None:
    errors: list[FieldError] = []
    for row in rows:
        if plan.line_items[row.external_id][0] != "unchanged":
            found: list[FieldError] = []
            check_seat("line_item", row.line_item.seat, role, found)
            errors += [_in_cell(row.line, error, "line_item") for error in found]
    raise_all(errors)


def _with_untold(draft: ThingT, current: ThingT | None, columns: frozenset[str]) -> ThingT:
    """What the file has no column for stays as it is."""
    if current is None:
        return draft
    before = "campaign_" if isinstance(draft, Campaign) else ""
    untold = [
        field
        for field in draft.__struct_fields__
        if columns.isdisjoint(before + name for name in _TOLD_BY.get(field, (field,)))
    ]
    # These are no columns by their names, and yet the file says them.
    told = ("advertiser_id", "campaign_id", "currency")
    return replace(draft, **{field: getattr(current, field) for field in untold if field not in told})


def _carry_out(unit: CampaignWrites, tenant_id: str, plan: _Plan, now_ms: int) -> tuple[ImportReport, list[Change]]:
    fresh = iter([text_of(number) for number in sorted(new_ids(len(plan.rows), now_ms))])
    changes: list[Change] = []
    made: dict[tuple[str, str], str] = {}
    for name, (action, campaign) in plan.campaigns.items():
        if action == "create":
            made["campaign", name] = next(fresh)
            added = replace(campaign, campaign_id=made["campaign", name], revision=1)
            changes.append(Change("campaign", unit.add_campaign(tenant_id, added).campaign_id, 1))
        elif action == "change":
            changed = replace(campaign, revision=campaign.revision + 1)
            unit.replace_campaign(tenant_id, changed)
            changes.append(Change("campaign", changed.campaign_id, changed.revision))
    new: list[LineItem] = []
    for name, (action, campaign_name, item) in plan.line_items.items():
        if action == "create":
            made["line_item", name] = next(fresh)
            campaign_id = plan.campaigns[campaign_name][1].campaign_id or made["campaign", campaign_name]
            new.append(replace(item, line_item_id=made["line_item", name], campaign_id=campaign_id, revision=1))
        elif action == "change":
            changed_item = replace(item, revision=item.revision + 1)
            unit.replace_line_item(tenant_id, changed_item)
            changes.append(Change("line_item", changed_item.line_item_id, changed_item.revision))
    changes += [Change("line_item", item.line_item_id, 1) for item in unit.add_line_items(tenant_id, new)]
    for kind in ("campaign", "line_item"):
        unit.call_by(tenant_id, kind, {name: id for (of, name), id in made.items() if of == kind})
    done = [replace(row, id=row.id or made[row.kind, row.external_id]) for row in plan.rows]
    return ImportReport(tuple(done)), changes


def _ids(unit: CampaignReads, tenant_id: str, kind: str, names: Sequence[str]) -> dict[str, str]:
    """Our ids of what there is, by the names in the file; a name may be our own id."""
    distinct = list(dict.fromkeys(names))
    own = {name: name.removeprefix(OWN_ID) for name in distinct if name.startswith(OWN_ID)}
    return own | unit.by_external_id(tenant_id, kind, [name for name in distinct if name not in own])


def _check_fixed(draft: ThingT, current: ThingT, names: Sequence[str], kind: str, errors: list[FieldError]) -> None:
    for name in names:
        if getattr(draft, name) != getattr(current, name):
            value = f"is {str(getattr(draft, name))[:40]!r}, and was {str(getattr(current, name))[:40]!r}"
            errors.append(FieldError(f"{kind}.{name}", value, "it never changes: put a new one under another name"))


# What checks call by the name of a field, and the file by another.
_CELLS = {
    "bid_micros": "bid",
    "budget": "total_budget",
    "budget.total_micros": "total_budget",
    "budget.daily_micros": "daily_budget",
    "frequency_cap.impressions": "cap_impressions",
    "frequency_cap.window_s": "cap_window_s",
    "schedule.starts_at_ms": "starts_at",
    "schedule.ends_at_ms": "ends_at",
    "schedule.hours_of_week": "hours_of_week",
    "campaign_id": "campaign_external_id",
}


def _in_cell(line: int, error: FieldError, kind: str) -> FieldError:
    """The same complaint, of the cell that the value came from."""
    field = error.field.removeprefix(f"{kind}.").partition("[")[0]
    column = _CELLS.get(field, field.removeprefix("targeting."))
    if kind == "campaign" and column != "advertiser_id":
        column = f"campaign_{column}"
    return FieldError(at(line, column), error.value, error.remedy)


def _advertiser_ids(unit: CampaignReads, tenant_id: str, advertiser_id: str) -> list[str]:
    if not advertiser_id:
        every = _every(lambda after: unit.advertisers(tenant_id, after, _EXPORT_PAGE))
        return [advertiser.advertiser_id for advertiser in every]
    if unit.advertiser(tenant_id, advertiser_id) is None:
        raise NotFound(f"there is no advertiser {advertiser_id[:40]!r}")
    return [advertiser_id]


def _every(read: Callable[[int], list[NumberedT]]) -> list[NumberedT]:
    """All pages one after the other; InvalidInput when they are more than a file holds."""
    found: list[NumberedT] = []
    while page := read(found[-1].number if found else 0):
        found += page
        if len(found) > bulk_csv.MAX_ROWS:
            remedy = "export one advertiser at a time"
            raise InvalidInput([FieldError("advertiser_id", f"has more than {bulk_csv.MAX_ROWS} rows", remedy)])
    return found
