"""Can this draft be taken? Every field is checked, every complaint is collected, and words are put into one form.

Each `checked_…` returns the draft as it will be stored, and adds to `errors` what cannot be taken; its answer is only
good when there were none.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from functools import lru_cache

import msgspec

from common.errors import FieldError
from common.money import ABSURD_BUDGET_MICROS, ABSURD_PRICE_MICROS
from exchange.buying_terms import MAX_CAP_IMPRESSIONS, MAX_CAP_WINDOW_S, check_terms
from exchange.campaign_text import MAX_VALUES, checked_name, checked_values
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    FrequencyCap,
    LineItem,
    Schedule,
    State,
    Strategy,
    Targeting,
)
from exchange.pacing_ports import Pacing
from exchange.request import PricingModel

MAX_CREATIVES = 20
# 2100-01-01.
MAX_TIME_MS = 4_102_444_800_000
_MAX_DEVICE = 4

_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_SEGMENT = re.compile(r"[^=]+=.+", re.DOTALL)

Errors = list[FieldError]


def checked_advertiser(draft: Advertiser, errors: Errors) -> Advertiser:
    """A new advertiser; it starts active."""
    name = checked_name("advertiser.name", draft.name, errors)
    domain = draft.domain.strip().lower()
    if not _DOMAIN.fullmatch(domain):
        remedy = "give the host name of the advertiser's site, as in shop.example"
        errors.append(FieldError("advertiser.domain", f"{_shown(draft.domain)} is no domain", remedy))
    return msgspec.structs.replace(draft, name=name, domain=domain, state=State.ACTIVE)


def checked_campaign(
    draft: Campaign, currency: str, errors: Errors, knows_currency: Callable[[str], bool] = lambda _: False
) -> Campaign:
    """A new campaign; no time zone is UTC, no state is active. Its currency is the exchange's or one with a rate."""
    field = "campaign"
    _require(f"{field}.advertiser_id", draft.advertiser_id, errors)
    name = checked_name(f"{field}.name", draft.name, errors)
    if draft.currency != currency and not knows_currency(draft.currency):
        remedy = f"this exchange trades in {currency} and has no rate for that currency"
        errors.append(FieldError(f"{field}.currency", f"is {_shown(draft.currency)}", remedy))
    check_budget(f"{field}.budget", draft.budget, errors, needs_limit=True)
    time_zone = draft.time_zone or "UTC"
    if time_zone not in _time_zones():
        remedy = "give an IANA name, as in Asia/Dhaka, or leave it empty for UTC"
        errors.append(FieldError(f"{field}.time_zone", f"{_shown(time_zone)} is not known", remedy))
    state = _checked_state(f"{field}.state", draft.state, errors)
    pacing = draft.pacing or Pacing.EVEN
    check_pacing(f"{field}.pacing", pacing, errors)
    return msgspec.structs.replace(draft, name=name, time_zone=time_zone, state=state, pacing=pacing)


def checked_line_item(draft: LineItem, errors: Errors, field: str = "line_item") -> LineItem:
    """A new line item; whether its creatives are its advertiser's only the store can say."""
    _require(f"{field}.campaign_id", draft.campaign_id, errors)
    name = checked_name(f"{field}.name", draft.name, errors)
    if draft.strategy not in list(Strategy):
        remedy = "choose brand campaign, contextual, retarget or look-alike"
        errors.append(FieldError(f"{field}.strategy", f"is {draft.strategy}", remedy))
    if draft.pricing_model not in list(PricingModel):
        errors.append(FieldError(f"{field}.pricing_model", f"is {draft.pricing_model}", "choose CPM, CPC, CPA or vCPM"))
    check_bid(f"{field}.bid_micros", draft.bid_micros, errors)
    check_budget(f"{field}.budget", draft.budget, errors, needs_limit=False)
    targeting = _checked_targeting(f"{field}.targeting", draft.targeting, errors)
    _check_strategy(f"{field}.targeting", draft.strategy, targeting, errors)
    _check_cap(f"{field}.frequency_cap", draft.frequency_cap, errors)
    deal_ids, seat = check_terms(field, draft, errors)
    schedule = _checked_schedule(f"{field}.schedule", draft.schedule, errors)
    _check_creatives(f"{field}.creative_ids", draft.creative_ids, errors)
    state = _checked_state(f"{field}.state", draft.state, errors)
    return msgspec.structs.replace(
        draft, name=name, targeting=targeting, schedule=schedule, deal_ids=deal_ids, seat=seat, state=state
    )


def check_bid(field: str, bid_micros: int, errors: Errors) -> None:
    """A bid is above zero and not absurd."""
    _check_range(field, bid_micros, 1, ABSURD_PRICE_MICROS, "micros", errors)


def check_budget(field: str, budget: Budget, errors: Errors, *, needs_limit: bool) -> None:
    """Limits are not negative, not absurd, and a day's is within the whole."""
    before = len(errors)
    _check_range(f"{field}.total_micros", budget.total_micros, 0, ABSURD_BUDGET_MICROS, "micros", errors)
    _check_range(f"{field}.daily_micros", budget.daily_micros, 0, ABSURD_BUDGET_MICROS, "micros", errors)
    if len(errors) > before:
        return
    if needs_limit and not budget.total_micros and not budget.daily_micros:
        errors.append(FieldError(field, "has no limit", "set total_micros or daily_micros above 0"))
    if budget.total_micros and budget.daily_micros > budget.total_micros:
        value = f"is {budget.daily_micros}, more than the total of {budget.total_micros}"
        errors.append(FieldError(f"{field}.daily_micros", value, "lower it, or raise the total"))


def check_pacing(field: str, pacing: int, errors: Errors) -> None:
    """A pacing that can be asked for."""
    if pacing not in list(Pacing):
        errors.append(FieldError(field, f"is {pacing}", "choose even or ASAP"))


def check_state(field: str, state: int, errors: Errors) -> None:
    """A state that can be asked for."""
    if state not in list(State):
        errors.append(FieldError(field, f"is {state}", "choose active or paused"))


def _checked_state(field: str, state: int, errors: Errors) -> int:
    if state == 0:
        return State.ACTIVE
    check_state(field, state, errors)
    return state


def _checked_targeting(field: str, draft: Targeting, errors: Errors) -> Targeting:
    devices = tuple(dict.fromkeys(draft.devices[:MAX_VALUES]))
    if len(draft.devices) > MAX_VALUES:
        value = f"has {len(draft.devices)} values"
        errors.append(FieldError(f"{field}.devices", value, f"give at most {MAX_VALUES}"))
    for at, device in enumerate(devices):
        if not 1 <= device <= _MAX_DEVICE:
            remedy = "choose phone, tablet, desktop or TV"
            errors.append(FieldError(f"{field}.devices[{at}]", f"is {device}", remedy))
    two_letters = "give two letters of ISO 3166-1, as in BD"
    return Targeting(
        countries=checked_values(f"{field}.countries", draft.countries, errors, str.upper, _COUNTRY, two_letters),
        devices=devices,
        categories=checked_values(f"{field}.categories", draft.categories, errors, str.lower),
        keywords=checked_values(f"{field}.keywords", draft.keywords, errors, str.lower),
        segments=checked_values(f"{field}.segments", draft.segments, errors, str, _SEGMENT, "write it as name=value"),
        seen_products=checked_values(f"{field}.seen_products", draft.seen_products, errors),
        placement_ids=checked_values(f"{field}.placement_ids", draft.placement_ids, errors),
        languages=checked_values(
            f"{field}.languages", draft.languages, errors, str.lower, _LANGUAGE, "give a BCP 47 tag, as in bn or en-gb"
        ),
        near_products=checked_values(f"{field}.near_products", draft.near_products, errors),
    )


def _check_strategy(field: str, strategy: int, targeting: Targeting, errors: Errors) -> None:
    if strategy == Strategy.RETARGET and not targeting.seen_products:
        remedy = "name the products whose visitors shall be met again"
        errors.append(FieldError(f"{field}.seen_products", "is empty in a retarget line item", remedy))
    if strategy == Strategy.LOOK_ALIKE and not targeting.near_products:
        remedy = "name the products that visitors of ones like them shall meet"
        errors.append(FieldError(f"{field}.near_products", "is empty in a look-alike line item", remedy))
    if strategy == Strategy.CONTEXTUAL and not (targeting.keywords or targeting.categories):
        remedy = "give keywords or categories of the pages it is for"
        errors.append(FieldError(f"{field}.keywords", "is empty in a contextual line item", remedy))


def _check_cap(field: str, cap: FrequencyCap, errors: Errors) -> None:
    _check_range(f"{field}.impressions", cap.impressions, 0, MAX_CAP_IMPRESSIONS, "impressions", errors)
    _check_range(f"{field}.window_s", cap.window_s, 0, MAX_CAP_WINDOW_S, "seconds", errors)
    if cap.impressions and not cap.window_s:
        errors.append(FieldError(f"{field}.window_s", "is 0", "say within how many seconds the cap counts"))
    if cap.window_s and not cap.impressions:
        errors.append(FieldError(f"{field}.impressions", "is 0", "say how many impressions the window allows"))


def _checked_schedule(field: str, draft: Schedule, errors: Errors) -> Schedule:
    _check_range(f"{field}.starts_at_ms", draft.starts_at_ms, 0, MAX_TIME_MS, "ms since 1970", errors)
    _check_range(f"{field}.ends_at_ms", draft.ends_at_ms, 0, MAX_TIME_MS, "ms since 1970", errors)
    if draft.ends_at_ms and draft.ends_at_ms <= draft.starts_at_ms:
        value = f"is {draft.ends_at_ms}, not after the start at {draft.starts_at_ms}"
        errors.append(FieldError(f"{field}.ends_at_ms", value, "end later, or send 0 for no end"))
    if len(draft.hours_of_week) > 168:
        value = f"has {len(draft.hours_of_week)} values"
        errors.append(FieldError(f"{field}.hours_of_week", value, "a week has 168 hours: name each once"))
        return draft
    for at, hour in enumerate(draft.hours_of_week):
        _check_range(f"{field}.hours_of_week[{at}]", hour, 0, 167, "hours since Monday 00:00", errors)
    return msgspec.structs.replace(draft, hours_of_week=tuple(sorted(set(draft.hours_of_week))))


def _check_creatives(field: str, creative_ids: tuple[str, ...], errors: Errors) -> None:
    if not 1 <= len(creative_ids) <= MAX_CREATIVES:
        errors.append(FieldError(field, f"has {len(creative_ids)} values", f"give 1 to {MAX_CREATIVES} creatives"))
    elif len(set(creative_ids)) < len(creative_ids):
        errors.append(FieldError(field, "names a creative twice", "name each creative once"))


def _check_range(field: str, number: int, least: int, most: int, unit: str, errors: Errors) -> None:
    if not least <= number <= most:
        errors.append(FieldError(field, f"is {number}", f"give {least} to {most} {unit}"))


def _require(field: str, value: str, errors: Errors) -> None:
    if not value:
        errors.append(FieldError(field, "is empty", "name the one this belongs to"))


def _shown(text: str) -> str:
    return repr(text[:60])


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
