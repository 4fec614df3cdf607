"""Who pays and who earns what was billed? Charges of one step of the ledger become entries that add up to nothing.

The publisher's share is cut out of what each publisher sold, to the micro (largest remainder), and divided among its
placements by what they sold; the rest is the exchange's margin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from common.money import split
from exchange.balances import AccountKind, Entry, month_of_day
from exchange.billing import Kind, Verdict
from exchange.ports import Spend

UNKNOWN_PUBLISHER = "unknown"
DEFAULT_SHARE = Decimal("0.8")
_DAY_MS = 86_400_000
_COUNTED = (Verdict.ACCEPTED, Verdict.BEYOND_BUDGET)


class Sale(msgspec.Struct):
    """What was counted and billed under one key."""

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    spend_micros: int = 0

    def count(self, spend: Spend) -> None:
        """Add one notice, or take back what one had added."""
        taken_back = spend.kind == Kind.CORRECTION
        kind, step = (spend.corrects_kind, -1) if taken_back else (spend.kind, 1)
        if spend.verdict in _COUNTED:
            self.impressions += step * (kind == Kind.IMPRESSION)
            self.clicks += step * (kind == Kind.CLICK)
            self.conversions += step * (kind == Kind.CONVERSION)
        self.spend_micros += spend.billed_micros


class LineItemDay(msgspec.Struct, frozen=True):
    """A line item of a campaign on one day (UTC, days since 1970)."""

    line_item_number: int
    day: int
    currency: str
    campaign_number: int


class PlacementDay(msgspec.Struct, frozen=True):
    """A placement of a publisher on one day (UTC, days since 1970)."""

    publisher_id: str
    placement_id: str
    day: int
    currency: str


class Payer(msgspec.Struct, frozen=True):
    """Who pays: the advertiser of a campaign, or an outside bidder by name."""

    campaign_number: int
    bidder: str


class Settlement(msgspec.Struct):
    """One step, added up: what line items were billed, what placements sold, and what publishers earn of it."""

    line_items: dict[LineItemDay, Sale]
    placements: dict[PlacementDay, Sale]
    revenue: dict[PlacementDay, int]
    # By currency and month.
    charges: dict[tuple[str, int], dict[Payer, int]]
    earned: dict[tuple[str, int], dict[str, int]]

    def credits(self, currency: str, month: int) -> list[Entry]:
        """Publishers' and the exchange's part of what payers are charged in a currency and month."""
        earned = self.earned.get((currency, month), {})
        entries = [Entry(AccountKind.PUBLISHER_PAYABLE, owner, -micros) for owner, micros in earned.items() if micros]
        margin = sum(self.charges[currency, month].values()) - sum(earned.values())
        return [*entries, Entry(AccountKind.MARGIN, "", -margin)] if margin else entries


def settlement(spends: Iterable[Spend], share: Decimal = DEFAULT_SHARE) -> Settlement:
    """Add up spends; `share` (0 to 1) is the publishers' part."""
    line_items: defaultdict[LineItemDay, Sale] = defaultdict(Sale)
    placements: defaultdict[PlacementDay, Sale] = defaultdict(Sale)
    charges: defaultdict[tuple[str, int], defaultdict[Payer, int]] = defaultdict(lambda: defaultdict(int))
    for spend in spends:
        if not spend.currency:
            continue
        day = spend.taken_at_ms // _DAY_MS
        if spend.line_item_number:
            key = LineItemDay(spend.line_item_number, day, spend.currency, spend.campaign_number)
            line_items[key].count(spend)
        publisher = spend.publisher_id or UNKNOWN_PUBLISHER
        placements[PlacementDay(publisher, spend.placement_id, day, spend.currency)].count(spend)
        if spend.billed_micros:
            bidder = "" if spend.line_item_number else spend.bidder
            charges[spend.currency, month_of_day(day)][Payer(spend.campaign_number, bidder)] += spend.billed_micros
    revenue = _revenue({key: sale.spend_micros for key, sale in placements.items()}, share)
    earned: defaultdict[tuple[str, int], defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place, micros in revenue.items():
        earned[place.currency, month_of_day(place.day)][place.publisher_id] += micros
    return Settlement(dict(line_items), dict(placements), revenue, {k: dict(v) for k, v in charges.items()}, {**earned})


def _revenue(sold: Mapping[PlacementDay, int], share: Decimal) -> dict[PlacementDay, int]:
    """The publisher's part of each placement: exact for what the publisher sold in a month, of each sign by itself."""
    part, whole = share.as_integer_ratio()
    groups: defaultdict[tuple[str, str, int, bool], list[PlacementDay]] = defaultdict(list)
    for key, micros in sold.items():
        if micros:
            groups[key.publisher_id, key.currency, month_of_day(key.day), micros < 0].append(key)
    revenue = dict.fromkeys(sold, 0)
    for (*_, negative), keys in groups.items():
        weights = [abs(sold[key]) for key in keys]
        earned = split(sum(weights), [part, whole - part])[0]
        for key, micros in zip(keys, split(earned, weights), strict=True):
            revenue[key] = -micros if negative else micros
    return revenue
