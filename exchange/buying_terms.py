"""Under which terms does a line item buy? Its deals, its seat and its caps, checked as an advertiser sends them."""

from __future__ import annotations

from common.errors import FieldError
from exchange.campaign_text import checked_text, checked_values
from exchange.campaign_values import CapScope, LineItem
from exchange.consent_gate import HOUSE_SEAT

# A profile remembers this many impressions, so a higher cap could never be reached.
MAX_CAP_IMPRESSIONS = 64
MAX_CAP_WINDOW_S = 365 * 86_400
MAX_CAPS = 8
MAX_DEALS = 32
MAX_ID_CHARS = 64

Errors = list[FieldError]


def check_terms(field: str, draft: LineItem, errors: Errors) -> tuple[tuple[str, ...], str]:
    """The deal ids and the seat in the form in which they are stored; what cannot be taken is added to `errors`."""
    deal_ids = checked_values(f"{field}.deal_ids", draft.deal_ids, errors)
    if len(deal_ids) > MAX_DEALS:
        errors.append(FieldError(f"{field}.deal_ids", f"has {len(deal_ids)} values", f"give at most {MAX_DEALS}"))
    for at, deal_id in enumerate(deal_ids):
        if len(deal_id) > MAX_ID_CHARS:
            value = f"has {len(deal_id)} characters"
            errors.append(FieldError(f"{field}.deal_ids[{at}]", value, f"give at most {MAX_ID_CHARS}"))
    if draft.deals_only and not deal_ids:
        remedy = "name the deals that it bids under, or let it bid in the open"
        errors.append(FieldError(f"{field}.deals_only", "is set without deal_ids", remedy))
    _check_caps(f"{field}.caps", draft, errors)
    return deal_ids, checked_text(f"{field}.seat", draft.seat, MAX_ID_CHARS, errors)


def check_seat(field: str, seat: str, role: str, errors: Errors) -> None:
    """The house's own ads are shown where nobody else's may be, so operators alone set them up."""
    if seat == HOUSE_SEAT and role != "operator":
        remedy = "ads of the house are set up by operators: name another seat, or none"
        errors.append(FieldError(f"{field}.seat", f"is {HOUSE_SEAT!r}", remedy))


def _check_caps(field: str, draft: LineItem, errors: Errors) -> None:
    if len(draft.caps) > MAX_CAPS:
        errors.append(FieldError(field, f"has {len(draft.caps)} values", f"give at most {MAX_CAPS}"))
        return
    for at, cap in enumerate(draft.caps):
        here = f"{field}[{at}]"
        if cap.scope not in list(CapScope):
            remedy = "choose line item, campaign, advertiser or creative"
            errors.append(FieldError(f"{here}.scope", f"is {cap.scope}", remedy))
        if not 1 <= cap.impressions <= MAX_CAP_IMPRESSIONS:
            remedy = f"give 1 to {MAX_CAP_IMPRESSIONS} impressions"
            errors.append(FieldError(f"{here}.impressions", f"is {cap.impressions}", remedy))
        if not 1 <= cap.window_s <= MAX_CAP_WINDOW_S:
            remedy = f"give 1 to {MAX_CAP_WINDOW_S} seconds"
            errors.append(FieldError(f"{here}.window_s", f"is {cap.window_s}", remedy))
