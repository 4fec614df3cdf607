"""How is a forecast made? Check the draft, draw a sample of the last days' page views, hold one against the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from exchange.billing import Kind, Verdict
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    Creative,
    LineItem,
    ReviewState,
    Strategy,
    dimensions_of,
)
from exchange.campaigns import Campaigns
from exchange.forecast import Forecast, chances, forecast
from exchange.inventory import InventoryCompiler
from exchange.log_samples import Sample, batches, sample_of
from exchange.near_recorded import RecordedNear
from exchange.ports import CreativeRecord, LineItemRecord, Ranker
from exchange.request import PageView
from exchange.viewable_rates import PRIOR
from exchange.visitor import Visitor
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.ports import EventLog
from streams.topics import NOTICES

_DAY_MS = 86_400_000
MOST_DAYS = 28
_USUAL_DAYS = 7
_MOST_BATCHES = 1_500
_MOST_PAGE_VIEWS = 20_000
_MOST_NOTICES = 300
# Below this many page views the sample tells little.
_FEW = 1_000
# The exchange answers page views while a forecast is made: it gives way this long after each batch.
_GIVES_WAY_S = 0.0005


class Forecasts:
    """Forecasts of drafts; one at a time, since each costs as much as some thousand auctions."""

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        log: EventLog,
        clock: Clock,
        ranker: Ranker,
        read: Callable[[bytes, int], PageView],
        near: Callable[[], RecordedNear],
        viewable_rate: Callable[[], float] = lambda: PRIOR,
    ) -> None:
        """`read` reads a recorded page view, or raises InvalidInput; `near` is asked by drafts that want near products,
        once each; `viewable_rate` is that of all placements.
        """
        self._viewable_rate = viewable_rate
        self._near = near
        self._campaigns = campaigns
        self._log = log
        self._clock = clock
        self._ranker = ranker
        self._read = read
        self._one_at_a_time = threading.Lock()

    def line_item(self, tenant_id: str, draft: LineItem, days: int = 0) -> Forecast:
        """What the draft would come to per day; blocks. InvalidInput, NotFound, BackendUnavailable."""
        if not 0 <= days <= MOST_DAYS:
            raise InvalidInput([FieldError("days", str(days), f"give 1 to {MOST_DAYS}, or 0 for {_USUAL_DAYS}")])
        item, campaign, advertiser, creatives = self._campaigns.draft_line_item(tenant_id, draft)
        with self._one_at_a_time:
            return self._forecast(item, campaign, advertiser, creatives, days or _USUAL_DAYS)

    def _forecast(
        self, item: LineItem, campaign: Campaign, advertiser: Advertiser, creatives: list[Creative], days: int
    ) -> Forecast:
        compiler = InventoryCompiler(ranker=self._ranker, account_row=lambda account: account & 1)
        compiler.put([_record(item, campaign, advertiser, creatives)])
        now_ms = self._clock.now_ms()
        sample = sample_of(self._log, now_ms - days * _DAY_MS, now_ms, _MOST_BATCHES)
        covered = _Covered()

        def drawn() -> Iterator[AuctionColumns]:
            for columns in batches(self._log, sample):
                covered.saw(columns.held_at_ms, int((columns.winner_row_plus_one > 0).sum()))
                yield columns

        met = chances(
            compiler.compile(1, now_ms),
            drawn(),
            self._page_view,
            widened=self._near().widened if item.targeting.near_products else _as_they_are,
            between=lambda: time.sleep(_GIVES_WAY_S),
            most_page_views=_MOST_PAGE_VIEWS,
        )
        covered_days = max(covered.last_ms - covered.first_ms, 1) / _DAY_MS
        limit = daily_limit(item.budget, campaign.budget, item)
        return forecast(
            met,
            bid_micros=item.bid_micros,
            pricing_model=item.pricing_model,
            daily_limit_micros=limit,
            scale=sample.every / covered_days if met.page_views else 0.0,
            days=covered_days if met.page_views else 0.0,
            share=met.batches / sample.records if sample.records else 0.0,
            seen_share=self._seen_share(sample, covered),
            viewable_rate=self._viewable_rate(),
            notes=_notes(item, creatives, met.page_views, covered_days, days),
        )

    def _page_view(self, data: bytes, at_ms: int) -> PageView | None:
        try:
            view = self._read(data, at_ms)
        except InvalidInput:
            return None
        # Nobody will see what is tried out.
        return None if view.test else view

    def _seen_share(self, sample: Sample, covered: _Covered) -> float:
        """Which part of what was sold was seen, by the notices of the same time; 1 where there are none."""
        first = self._log.first_offset_at(NOTICES.name, covered.first_ms)
        end = self._log.first_offset_at(NOTICES.name, covered.last_ms + 1)
        if end <= first or not covered.sold:
            return 1.0
        every = max((end - first) // _MOST_NOTICES, 1)
        seen = 0
        for offset in range(first, end, every):
            for record in self._log.read(NOTICES.name, offset, 1):
                event = schemas.decode(NOTICES.name, record)
                if isinstance(event, schemas.NoticesTaken):
                    seen += sum(
                        notice.kind == Kind.IMPRESSION and notice.verdict == Verdict.ACCEPTED
                        for notice in event.notices
                    )
        return min(seen * every / (covered.sold * sample.every), 1.0) or 1.0


class _Covered:
    """Which time the drawn batches cover, and how much was sold in them."""

    def __init__(self) -> None:
        self.first_ms = self.last_ms = self.sold = 0

    def saw(self, at_ms: int, sold: int) -> None:
        self.first_ms = min(self.first_ms or at_ms, at_ms)
        self.last_ms = max(self.last_ms, at_ms)
        self.sold += sold


def daily_limit(own: Budget, campaigns: Budget, item: LineItem) -> int:
    """The least that any budget allows for a day, a total spread over the line item's dates; 0 is no limit."""
    limits = [micros for micros in (own.daily_micros, campaigns.daily_micros) if micros]
    schedule = item.schedule
    days = max((schedule.ends_at_ms - schedule.starts_at_ms) / _DAY_MS, 1.0) if schedule.ends_at_ms else 1.0
    if schedule.ends_at_ms and not schedule.starts_at_ms:
        days = 1.0
    limits += [int(micros / days) for micros in (own.total_micros, campaigns.total_micros) if micros]
    return min(limits, default=0)


def _notes(item: LineItem, creatives: list[Creative], page_views: int, covered_days: float, days: int) -> list[str]:
    notes = ["Others are taken to bid as they did, and the campaign's other line items not to share its money."]
    if page_views < _FEW:
        notes.append(f"Only {page_views} page views were recorded: the figures say little.")
    if covered_days < min(days, 1) * 0.9:
        notes.append(f"The record covers {covered_days * 24:.1f} hours, which are taken to be like any others.")
    elif covered_days < days * 0.9:
        notes.append(f"The record covers {covered_days:.1f} days.")
    if item.frequency_cap.impressions:
        notes.append("The frequency cap is not counted: the sample does not hold all page views of a visitor.")
    if any(creative.review_state != ReviewState.APPROVED for creative in creatives):
        notes.append("Creatives that wait for review, or were refused, are taken to be approved.")
    if item.targeting.segments or item.targeting.seen_products or item.targeting.near_products:
        notes.append("Visitors are known only where they agreed to it, and by what the storefront said of them.")
    if item.targeting.near_products:
        notes.append("What products are near others is taken from the catalogue as it is now.")
    if item.strategy == Strategy.LOOK_ALIKE:
        notes.append("A look-alike bids less for who looked at little like its products: the figures are for its bid.")
    return notes


def _as_they_are(visitors: Sequence[Visitor]) -> Sequence[Visitor]:
    return visitors


def _record(item: LineItem, campaign: Campaign, advertiser: Advertiser, creatives: list[Creative]) -> LineItemRecord:
    """The draft as the inventory would hold it: approved, without dates, caps and budgets."""
    schedule = replace(item.schedule, starts_at_ms=0, ends_at_ms=0)
    return LineItemRecord(
        line_item_id="draft", number=1, campaign_id=campaign.campaign_id, campaign_number=1,
        advertiser_id=advertiser.advertiser_id, advertiser_domain=advertiser.domain, strategy=item.strategy,
        pricing_model=item.pricing_model, bid_micros=item.bid_micros, currency=campaign.currency,
        targeting=dimensions_of(item.targeting), cap_impressions=0, cap_window_s=0, starts_at_ms=0, ends_at_ms=0,
        hours_of_week=schedule.hours_of_week, time_zone=campaign.time_zone,
        creatives=tuple(_creative(creative, number) for number, creative in enumerate(creatives, 1)), revision=1,
    )  # fmt: skip


def _creative(creative: Creative, number: int) -> CreativeRecord:
    known = set(CreativeRecord.__struct_fields__)
    fields = {name: getattr(creative, name) for name in Creative.__struct_fields__ if name in known}
    return CreativeRecord(**{**fields, "number": number, "review_state": int(ReviewState.APPROVED)})
