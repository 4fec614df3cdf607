"""Where is what an advertiser names by its id? Found among the tenant's own things, or NotFound."""

from __future__ import annotations

from common.errors import FieldError, NotFound
from exchange.campaign_ports import CampaignReads
from exchange.campaign_values import Advertiser, Campaign, Creative, LineItem


def find_advertiser(unit: CampaignReads, tenant_id: str, advertiser_id: str) -> Advertiser:
    """The advertiser; NotFound when the tenant has none of this id."""
    found = unit.advertiser(tenant_id, advertiser_id)
    if found is None:
        raise unknown("advertiser", advertiser_id)
    return found


def find_campaign(unit: CampaignReads, tenant_id: str, campaign_id: str) -> Campaign:
    """The campaign; NotFound when the tenant has none of this id."""
    found = unit.campaign(tenant_id, campaign_id)
    if found is None:
        raise unknown("campaign", campaign_id)
    return found


def find_creative(unit: CampaignReads, tenant_id: str, creative_id: str) -> Creative:
    """The creative; NotFound when the tenant has none of this id."""
    found = unit.creative(tenant_id, creative_id)
    if found is None:
        raise unknown("creative", creative_id)
    return found


def find_line_item(unit: CampaignReads, tenant_id: str, line_item_id: str) -> LineItem:
    """The line item; NotFound when the tenant has none of this id."""
    found = unit.line_item(tenant_id, line_item_id)
    if found is None:
        raise unknown("line item", line_item_id)
    return found


def find_budgeted(unit: CampaignReads, tenant_id: str, id: str) -> Campaign | LineItem:
    """The line item or the campaign whose budget this id names; NotFound without."""
    found = unit.line_item(tenant_id, id) or unit.campaign(tenant_id, id)
    if found is None:
        raise unknown("campaign or line item", id)
    return found


def find_stateful(unit: CampaignReads, tenant_id: str, id: str) -> tuple[str, Advertiser | Campaign | LineItem]:
    """(kind, the thing) of whatever can be paused under this id; NotFound without."""
    line_item = unit.line_item(tenant_id, id)
    if line_item is not None:
        return "line_item", line_item
    campaign = unit.campaign(tenant_id, id)
    if campaign is not None:
        return "campaign", campaign
    advertiser = unit.advertiser(tenant_id, id)
    if advertiser is not None:
        return "advertiser", advertiser
    raise unknown("advertiser, campaign or line item", id)


def require_id(field: str, id: str, errors: list[FieldError]) -> None:
    """An error where an id is missing."""
    if not id:
        errors.append(FieldError(field, "is empty", "name one"))


def unknown(kind: str, id: str) -> NotFound:
    """What is said of an id that the tenant does not have."""
    return NotFound(f"there is no {kind} {id[:40]!r}")
