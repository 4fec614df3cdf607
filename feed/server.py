"""FeedService: how do posts, pages and actions travel?"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from accounts.grpc_edge import Caller, Method, handlers_for
from accounts.ports import ApiKeys
from common.clock import Clock
from common.consent import Permission
from common.errors import BackendUnavailable, FieldError, InvalidInput
from feed import asking
from feed.actions import Action, ActionKind
from feed.ad_rules import fit
from feed.ad_slots import AdSlots
from feed.asking import AskedVisitor
from feed.cursor import Chain, Cursors
from feed.index import FeedIndex
from feed.kept_ads import key_of
from feed.mixing import mix
from feed.page import Page, Pick
from feed.page_events import served
from feed.ports import STRANGER, AdRequest, FeedAd, ProductLookup, Relation, Relations
from feed.posts_server import PostCalls
from feed.recording import Actor, Publish, Recorder
from feed.tenancy import check_tenant
from feed.timeline import Timeline
from feed.view import FeedQuery
from protos import common_pb2, exchange_pb2, feed_pb2
from streams import schemas
from streams.topics import FEED_PAGES

SERVICE_NAME = "haat.feed.v1.FeedService"
ROLES = ("storefront",)
# The longest cursor, a thousand excluded posts and a full page description fit in.
MAX_REQUEST_BYTES = 1 << 18

_log = logging.getLogger(__name__)


class FeedServer:
    """FeedService over the feed's own parts; runs in one event loop, blocking calls leave it for a thread."""

    def __init__(
        self,
        *,
        posts: PostCalls,
        index: FeedIndex,
        timeline: Timeline,
        recorder: Recorder,
        ads: AdSlots,
        cursors: Cursors,
        products: ProductLookup,
        publish: Publish,
        clock: Clock,
        chance: random.Random,
        relations: Relations | None = None,
        ranker_sentence: str = "",
        look_ahead: Callable[[FeedQuery], Awaitable[object]] | None = None,
    ) -> None:
        self.posts = posts
        self._index = index
        self._timeline = timeline
        # What a page is to know of a network is asked before it is decided.
        self._look_ahead = look_ahead
        self._recorder = recorder
        self._ads = ads
        self._cursors = cursors
        self._products = products
        self._relations = relations
        # Which ranking decides, and why, for the metrics and for people.
        self.ranker = timeline.ranker
        self.ranker_sentence = ranker_sentence
        self.watch = timeline.watch
        self._publish = publish
        self._clock = clock
        self._chance = chance
        self.pages_served = 0
        # Pages that went out and could not be told to the event log.
        self.pages_untold = 0

    def handlers(self, keys: ApiKeys) -> grpc.GenericRpcHandler:
        """All methods of FeedService, to be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            **{name: (kind, _for_tenant(method)) for name, (kind, method) in self.posts.methods().items()},
            "GetFeed": (feed_pb2.GetFeedRequest, _for_tenant(self.get_feed)),
            "RecordActions": (feed_pb2.RecordActionsRequest, _for_tenant(self.record_actions)),
        }
        return handlers_for(SERVICE_NAME, methods, keys, ROLES, MAX_REQUEST_BYTES)

    async def get_feed(self, request: feed_pb2.GetFeedRequest, tenant: str) -> feed_pb2.FeedPage:
        """One page: posts ranked for the visitor, and the ads that came in time."""
        check_tenant(request.tenant_id, tenant)
        self.posts.catch_up()
        now_ms = self._clock.now_ms()
        visitor = _visitor(request)
        relation = await self._relation(tenant, visitor)
        query = self._query(request, tenant, visitor, relation, now_ms)
        place = key_of(tenant, query.session_id, query.chain, request.ad_slots)
        async with self._ads.ask(_ad_request(request, query, visitor, self._ads.auction_ms), place) as asked:
            if self._look_ahead is not None:
                await self._look_ahead(query)
            page = self._timeline.page(query)
            ads = await asked.ads() if page.picks else {}
        self.posts.catch_up()
        ads = fit(ads, query.relation, self._products, tenant)
        decided = page
        page = self._timeline.still_published(page, tenant)
        items = mix(page.picks, ads, query.page_size, request.ad_slots)
        auction_id = next((ad.auction_id for ad in ads.values()), "")
        self.pages_served += 1
        if not page.replayed:
            self._tell(query, decided, auction_id, request.ad_slots)
        cursor = ""
        if page.next_chain is not None:
            cursor = self._cursors.write(page.next_chain, tenant, query.session_id, now_ms)
        return feed_pb2.FeedPage(
            page_id=page.page_id,
            items=[self._item(item, tenant, query.permissions) for item in items],
            next_cursor=cursor,
            auction_id=auction_id,
        )

    async def record_actions(
        self, request: feed_pb2.RecordActionsRequest, tenant: str
    ) -> feed_pb2.RecordActionsResponse:
        """Take likes, hides, follows and the like, and what takes them back; the next page answers to them."""
        check_tenant(request.tenant_id, tenant)
        given = [(int(one.kind), one.subject_id, one.action_id, one.detail) for one in request.actions]
        errors = asking.session_errors(request.session_id)
        errors += _visitor_errors(request.visitor)
        errors += asking.action_errors(given)
        if errors:
            raise InvalidInput(errors)
        visitor = _visitor(request)
        actor = Actor(
            tenant_id=tenant,
            session_id=request.session_id,
            permissions=visitor.permissions,
            visitor_id=visitor.visitor_id,
            learn=not visitor.child_directed,
        )
        actions = [Action(ActionKind(kind), *rest) for kind, *rest in given]
        recorded = await self._recorder.record(actor, actions)
        return feed_pb2.RecordActionsResponse(recorded=recorded.recorded, duplicates=recorded.duplicates)

    async def _relation(self, tenant: str, visitor: AskedVisitor) -> Relation:
        # A stranger, and one who did not agree to be remembered, has chosen nothing that could be looked up.
        if self._relations is None or not visitor.visitor_id or len(visitor.visitor_id) > asking.MAX_ID_CHARS:
            return STRANGER
        # Most are in memory: a thread would cost more than the look, and wait for its turn among others.
        if (known := self._relations.known(tenant, visitor.visitor_id)) is not None:
            return known
        return await asyncio.to_thread(self._relations.of, tenant, visitor.visitor_id)

    def _query(
        self,
        request: feed_pb2.GetFeedRequest,
        tenant: str,
        visitor: AskedVisitor,
        relation: Relation,
        now_ms: int,
    ) -> FeedQuery:
        page, device = request.page, request.device
        errors = asking.session_errors(request.session_id)
        errors += _visitor_errors(request.visitor)
        errors += asking.page_errors(page.url, page.categories, page.keywords, page.product_id)
        errors += asking.device_errors(device.country, device.region, device.language)
        errors += asking.size_errors(request.page_size, request.ad_slots, request.exclude_post_ids)
        chain: Chain | FieldError = Chain(self._chance.getrandbits(63))
        if request.cursor:
            chain = self._cursors.read(request.cursor, tenant, request.session_id, now_ms)
        if isinstance(chain, FieldError):
            raise InvalidInput([*errors, chain])
        if errors:
            raise InvalidInput(errors)
        return FeedQuery(
            tenant_id=tenant,
            session_id=request.session_id,
            now_ms=now_ms,
            chain=chain,
            page_size=request.page_size or asking.DEFAULT_PAGE_SIZE,
            permissions=visitor.permissions,
            learn=not visitor.child_directed,
            visitor_id=visitor.visitor_id,
            affinities=visitor.affinities,
            categories=tuple(page.categories),
            keywords=tuple(page.keywords),
            product_id=page.product_id,
            country=device.country,
            exclude=frozenset(request.exclude_post_ids),
            relation=relation,
        )

    def _tell(self, query: FeedQuery, page: Page, auction_id: str, ad_slots: int) -> None:
        event = served(query, page, auction_id=auction_id, ad_slots=ad_slots)
        try:
            self._publish(FEED_PAGES.name, [schemas.encode(event)])
        except BackendUnavailable as error:
            # The visitor gets the page all the same.
            self.pages_untold += 1
            _log.warning("a feed page was not told to the event log: %s", error)

    def _item(self, item: Pick | FeedAd, tenant: str, permissions: Permission) -> feed_pb2.FeedItem:
        if isinstance(item, FeedAd):
            return feed_pb2.FeedItem(ad=_ad_message(item), why=_why_ad(item, permissions))
        return feed_pb2.FeedItem(
            post=self.posts.public_message(self._index.shelf(tenant).posts[item.row]), why=item.why
        )


def _why_ad(ad: FeedAd, permissions: Permission) -> list[str]:
    """Who pays for an ad, and whether anything that is known of the visitor could choose it."""
    personal = Permission.PERSONALISE_ADS in permissions
    return [
        f"ad: {ad.advertiser_domain or 'an advertiser'} paid for this place, in an auction",
        "chosen by: this page and, as you agreed, your interests"
        if personal
        else "chosen by: this page, and nothing that is known of you",
    ]


def _for_tenant(
    method: Callable[[Any, str], Awaitable[Message]],
) -> Callable[[Any, Caller, object], Awaitable[Message]]:
    async def answer(request: Any, who: Caller, _: object) -> Message:
        return await method(request, who.tenant_id)

    return answer


def _visitor(request: feed_pb2.GetFeedRequest | feed_pb2.RecordActionsRequest) -> AskedVisitor:
    visitor, consent = request.visitor, request.consent
    return asking.visitor_of(
        consent.granted,
        global_privacy_control=consent.global_privacy_control,
        child_directed=consent.child_directed,
        visitor_id=visitor.visitor_id,
        segments=visitor.segments,
        affinities=[(affinity.product_id, affinity.weight) for affinity in visitor.affinities],
    )


def _visitor_errors(visitor: common_pb2.Visitor) -> list[FieldError]:
    affinities = [(affinity.product_id, affinity.weight) for affinity in visitor.affinities]
    return asking.visitor_errors(visitor.visitor_id, visitor.segments, affinities)


def _ad_request(request: feed_pb2.GetFeedRequest, query: FeedQuery, visitor: AskedVisitor, tmax_ms: int) -> AdRequest:
    personalise = Permission.PERSONALISE_ADS in visitor.permissions
    return AdRequest(
        request_id=f"{query.chain.chain_id:016x}-{query.chain.page_number}",
        tenant_id=query.tenant_id,
        session_id=query.session_id,
        permissions=int(visitor.permissions),
        slots=request.ad_slots,
        tmax_ms=tmax_ms,
        viewed_at_ms=query.now_ms,
        visitor_id=visitor.visitor_id,
        segments=visitor.segments if personalise else (),
        affinities=visitor.affinities if personalise else (),
        url=request.page.url,
        categories=query.categories,
        keywords=query.keywords,
        product_id=query.product_id,
        device_type=int(request.device.type),
        country=request.device.country,
        region=request.device.region,
        language=request.device.language,
        # Advertisers are blocked by their domains; ids are compared when the answer is there.
        blocked_advertisers=tuple(sorted(name for name in query.relation.blocked if "." in name)),
    )


def _ad_message(ad: FeedAd) -> exchange_pb2.Ad:
    return exchange_pb2.Ad(
        impression_id=ad.impression_id,
        line_item_id=ad.line_item_id,
        creative_id=ad.creative_id,
        advertiser_id=ad.advertiser_id,
        advertiser_domain=ad.advertiser_domain,
        product_id=ad.product_id,
        format=exchange_pb2.Format.ValueType(ad.format),
        width=ad.width,
        height=ad.height,
        markup=ad.markup,
        price_micros=ad.price_micros,
        pricing_model=exchange_pb2.PricingModel.ValueType(ad.pricing_model),
        currency=ad.currency,
        bidder=ad.bidder,
        mtype=ad.mtype,
    )
