"""Where do services meet that never import one another? Adapters from one's words to the other's; no rules here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from backends.outbox_sql import OutboxEvent
from backends.sold_facts_sql import SqlSoldFacts
from exchange.auction import Auction
from exchange.notices import Notice, NoticeOutcome, Notices
from exchange.recovery import Facts
from exchange.request import Format, PageView, Placement, PriceRule
from feed.ports import AdRequest, FeedAd
from protos import exchange_pb2
from streams import schemas
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.topics import ALERTS, CAMPAIGN_CHANGES, POSTS

# A feed shows product listings between posts and square banners; the exchange's own floor of 0.20 keeps out pennies.
_FEED_SHAPES = ((int(Format.PRODUCT_LISTING), 0, 0), (int(Format.BANNER), 300, 250))
_FEED_FLOOR_MICROS = 200_000

_OUTBOX_EVENTS = {
    CAMPAIGN_CHANGES.name: schemas.CampaignChanged,
    ALERTS.name: schemas.BudgetAlerted,
    POSTS.name: schemas.PostChanged,
}


class FeedAds:
    """The feed's AdSource: its ad slots are the placements of one page view, sold in the same auction as any other."""

    def __init__(self, auction: Auction, currency: str) -> None:
        self._auction = auction
        self._currency = currency

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        """The ads that won, by slot; unsold slots are left out."""
        view = _page_view(request, self._currency)
        (answer,) = await self._auction.hold_auctions([view])
        return [
            FeedAd(
                slot=slot,
                auction_id=answer.auction_id,
                impression_id=ad.impression_id,
                line_item_id=ad.facts.line_item_id,
                creative_id=ad.facts.creative_id,
                advertiser_id=ad.facts.advertiser_id,
                advertiser_domain=ad.facts.advertiser_domain,
                product_id=ad.facts.product_id,
                format=ad.facts.format,
                width=ad.facts.width,
                height=ad.facts.height,
                markup=ad.markup,
                price_micros=ad.price_micros,
                pricing_model=ad.facts.pricing_model,
                currency=self._currency,
                bidder=ad.bidder,
            )
            for slot, placement in enumerate(answer.placements)
            if (ad := placement.ad) is not None
        ]


def _page_view(request: AdRequest, currency: str) -> PageView:
    placements = tuple(
        Placement(
            placement_id=f"feed-{slot + 1}", shapes=_FEED_SHAPES, floor_micros=_FEED_FLOOR_MICROS, position=slot + 1
        )
        for slot in range(request.slots)
    )
    return PageView(
        request_id=request.request_id,
        # Each page of a feed is a page view of its own: its slots are sold anew, not kept from the page before.
        session_id="",
        visitor_id=request.visitor_id,
        segments=request.segments,
        affinities=request.affinities,
        permissions=int(request.permissions),
        url=request.url,
        categories=request.categories,
        keywords=request.keywords,
        product_id=request.product_id,
        device_type=request.device_type,
        country=request.country,
        language=request.language,
        placements=placements,
        price_rule=int(PriceRule.SECOND_PRICE),
        tmax_ms=request.tmax_ms,
        viewed_at_ms=request.viewed_at_ms,
        wire=exchange_pb2.PageView(
            request_id=request.request_id,
            placements=[
                exchange_pb2.Placement(
                    placement_id=placement.placement_id,
                    floor_micros=placement.floor_micros,
                    position=placement.position,
                )
                for placement in placements
            ],
            currency=currency,
            viewed_at_ms=request.viewed_at_ms,
        ).SerializeToString(),
    )


def tell_outbox(publisher: Publisher, events: Sequence[OutboxEvent]) -> None:
    """Outbox rows into the event log, in order, durably: the relay marks them sent when this returns."""
    for event in events:
        fields = dict(event.fields)
        message = _OUTBOX_EVENTS[event.topic]
        if message is schemas.CampaignChanged:
            fields["sequence"] = event.sequence
        publisher.publish(event.topic, [schemas.encode(message(**fields))])
    if events:
        publisher.sync()


def facts_of(sold: SqlSoldFacts) -> Facts:
    """What recovery needs to know beyond the log."""
    return Facts(
        campaign_of=sold.campaign_of,
        pricing_model_of=sold.pricing_model_of,
        product_of=sold.product_of,
        visitor_of=lambda page_view: exchange_pb2.PageView.FromString(page_view).visitor.visitor_id,
    )


class CountedNotices:
    """Takes notices and counts their verdicts, for the metrics."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self.by_verdict: Counter[str] = Counter()

    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """As Notices.take."""
        outcomes = await self._notices.take(notices)
        self.by_verdict.update(outcome.verdict.name.lower() for outcome in outcomes)
        return outcomes


class ImpressionMemory:
    """Impressions of visitors who may be remembered, written to their profiles once a turn of the event loop."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._waiting: list[tuple[str, int, int]] = []

    def remember(self, visitor_id: str, line_item_number: int, at_ms: int) -> None:
        """Count one impression for frequency caps."""
        self._waiting.append((visitor_id, line_item_number, at_ms))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._profiles.remember_impressions(waiting)
