"""Where do services meet that never import one another? Adapters from one's words to the other's; no rules here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from google.protobuf.message import DecodeError

from backends.outbox_sql import OutboxEvent
from backends.sold_facts_sql import SqlNames, SqlSoldFacts
from exchange.answer import Answer
from exchange.holds import Hold
from exchange.inventory import Snapshot
from exchange.notices import Notice, NoticeOutcome
from exchange.recovery import Facts
from exchange.request import Format, PageView, Placement, PriceRule
from exchange.session_impressions import SessionMemory
from feed.ports import AdRequest, FeedAd
from protos import exchange_pb2
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.feed_events import PostChanged
from streams.moderation_events import CaseDecided, TierChanged
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.topics import ALERTS, AUCTIONS, CAMPAIGN_CHANGES, CREATOR_TIERS, MODERATION, NOTICES, POSTS

# A feed shows product listings and native ads between posts, and square banners; the exchange's own floor of 0.20
# keeps out pennies.
_FEED_SHAPES = ((int(Format.PRODUCT_LISTING), 0, 0), (int(Format.BANNER), 300, 250), (int(Format.NATIVE), 0, 0))
_FEED_FLOOR_MICROS = 200_000

# Holds one auction, together with others that come at the same moment.
HoldAuction = Callable[[PageView], Awaitable[Answer]]

_OUTBOX_EVENTS = {
    CAMPAIGN_CHANGES.name: schemas.CampaignChanged,
    ALERTS.name: schemas.BudgetAlerted,
    POSTS.name: PostChanged,
    MODERATION.name: CaseDecided,
    CREATOR_TIERS.name: TierChanged,
}


class FeedAds:
    """The feed's AdSource: its ad slots are the placements of one page view, sold in the same auction as any other."""

    def __init__(self, hold: HoldAuction, currency: str, inventory: Callable[[], Snapshot]) -> None:
        self._hold = hold
        self._currency = currency
        self._inventory = inventory

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        """The ads that won, by slot; unsold slots are left out."""
        view = _page_view(request, self._currency)
        answer = await self._hold(view)
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
                mtype=ad.facts.mtype,
            )
            for slot, placement in enumerate(answer.placements)
            if (ad := placement.ad) is not None
        ]

    def still_sold(self, ads: Sequence[FeedAd]) -> list[FeedAd]:
        """Those whose line item is still in the inventory (outside bids have none) and whose product is in stock."""
        snapshot = self._inventory()
        in_stock = snapshot.book.product_in_stock
        kept = []
        for ad in ads:
            product = snapshot.product_rows.get(ad.product_id)
            running = not ad.line_item_id or ad.line_item_id in snapshot.item_rows
            if running and (product is None or in_stock[product]):
                kept.append(ad)
        return kept


@lru_cache(maxsize=256)
def _feed_placements(slots: int, blocked_advertisers: tuple[str, ...]) -> tuple[Placement, ...]:
    """The same objects each time, so that the auction knows them again."""
    return tuple(
        Placement(
            placement_id=f"feed-{slot + 1}",
            shapes=_FEED_SHAPES,
            floor_micros=_FEED_FLOOR_MICROS,
            position=slot + 1,
            blocked_advertisers=blocked_advertisers,
        )
        for slot in range(slots)
    )


def _page_view(request: AdRequest, currency: str) -> PageView:
    placements = _feed_placements(request.slots, request.blocked_advertisers)
    return PageView(
        request_id=request.request_id,
        # Each page of a feed is a page view of its own; the feed itself keeps what was sold for a page (feed/kept_ads).
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
                    blocked_advertisers=placement.blocked_advertisers,
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


def placements_of(page_view: bytes) -> list[str]:
    """The ids of the placements of a recorded page view, in their order; ValueError when it is none."""
    try:
        return [placement.placement_id for placement in exchange_pb2.PageView.FromString(page_view).placements]
    except DecodeError:
        raise ValueError(f"not a page view: {len(page_view)} bytes") from None


def facts_of(sold: SqlSoldFacts) -> Facts:
    """What recovery needs to know beyond the log."""
    return Facts(
        campaign_of=sold.campaign_of,
        pricing_model_of=sold.pricing_model_of,
        product_of=sold.product_of,
        visitor_of=lambda page_view: exchange_pb2.PageView.FromString(page_view).visitor.visitor_id,
        placements_of=placements_of,
    )


class CountedNotices:
    """Takes notices and counts their verdicts, for the metrics."""

    def __init__(self, take: Callable[[Sequence[Notice]], Awaitable[list[NoticeOutcome]]]) -> None:
        self._take = take
        self.by_verdict: Counter[str] = Counter()

    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """As Notices.take."""
        outcomes = await self._take(notices)
        self.by_verdict.update(outcome.verdict.name.lower() for outcome in outcomes)
        return outcomes


class TenantsOfLineItems:
    """Whose line items are these? Looked up once each; a line item never changes its owner."""

    def __init__(self, names: SqlNames) -> None:
        self._names = names
        self._known: dict[int, str] = {}

    async def tenant_of(self, line_item_number: int) -> str:
        """The tenant's id, "" when there is no such line item."""
        known = self._known.get(line_item_number)
        if known is None:
            known = self._known[line_item_number] = await asyncio.to_thread(self._names.tenant_of, line_item_number)
        return known


class ImpressionMemory:
    """Impressions for frequency caps: of sessions in memory at once, of visitors who may be remembered in their
    profiles, once a turn of the event loop.
    """

    def __init__(self, profiles: Profiles, sessions: SessionMemory) -> None:
        self._profiles = profiles
        self._sessions = sessions
        self._waiting: list[tuple[str, int, int, int]] = []

    def remember(self, hold: Hold, at_ms: int) -> None:
        """Count one impression."""
        if hold.session_key:
            self._sessions.remember(hold.session_key, hold.line_item_number, hold.creative_number, at_ms)
        if not hold.visitor_id:
            return
        self._waiting.append((hold.visitor_id, hold.line_item_number, at_ms, hold.creative_number))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._profiles.remember_impressions(waiting)


def publish_auctions(publisher: Publisher, columns: AuctionColumns) -> None:
    """A batch that was decided becomes one record of the log. BackendUnavailable when it cannot be written."""
    publisher.publish(AUCTIONS.name, [encode_auctions(columns)])


def publish_notices(publisher: Publisher, taken: schemas.NoticesTaken) -> None:
    """Notices that were taken become one record of the log. BackendUnavailable when it cannot be written."""
    publisher.publish(NOTICES.name, [schemas.encode(taken)])
