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
from common.errors import BackendUnavailable, FieldError, InvalidInput, NotFound
from feed import asking
from feed.actions import Action, ActionKind
from feed.ad_slots import AdSlots
from feed.asking import AskedVisitor
from feed.cursor import Chain, Cursors
from feed.index import FeedIndex
from feed.mixing import mix
from feed.page import Page, Pick
from feed.ports import AdRequest, FeedAd
from feed.post import Post, PostDraft, ProductTag
from feed.post_rules import shown
from feed.posts import Posts
from feed.recording import Actor, Publish, Recorder
from feed.timeline import Timeline
from feed.view import FeedQuery
from protos import common_pb2, exchange_pb2, feed_pb2
from streams import schemas
from streams.schemas import FeedPageServed
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
        posts: Posts,
        index: FeedIndex,
        timeline: Timeline,
        recorder: Recorder,
        ads: AdSlots,
        cursors: Cursors,
        publish: Publish,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._posts = posts
        self._index = index
        self._timeline = timeline
        self._recorder = recorder
        self._ads = ads
        self._cursors = cursors
        self._publish = publish
        self._clock = clock
        self._chance = chance
        self.pages_served = 0
        # Pages that went out and could not be told to the event log.
        self.pages_untold = 0

    def handlers(self, keys: ApiKeys) -> grpc.GenericRpcHandler:
        """All methods of FeedService, to be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "CreatePost": (feed_pb2.CreatePostRequest, _for_tenant(self.create_post)),
            "GetPost": (feed_pb2.GetPostRequest, _for_tenant(self.get_post)),
            "WithdrawPost": (feed_pb2.WithdrawPostRequest, _for_tenant(self.withdraw_post)),
            "GetFeed": (feed_pb2.GetFeedRequest, _for_tenant(self.get_feed)),
            "RecordActions": (feed_pb2.RecordActionsRequest, _for_tenant(self.record_actions)),
        }
        return handlers_for(SERVICE_NAME, methods, keys, ROLES, MAX_REQUEST_BYTES)

    async def create_post(self, request: feed_pb2.CreatePostRequest, tenant: str) -> feed_pb2.Post:
        """Publish a post; it is in the next page."""
        _check_tenant(request.tenant_id, tenant)
        post = await asyncio.to_thread(self._posts.create, tenant, request.idempotency_key, _draft(request.post))
        self._index.put(post)
        return self._message(post)

    async def get_post(self, request: feed_pb2.GetPostRequest, tenant: str) -> feed_pb2.Post:
        """One post of the caller's."""
        _check_tenant(request.tenant_id, tenant)
        return self._message(await asyncio.to_thread(self._posts.get, tenant, request.post_id))

    async def withdraw_post(self, request: feed_pb2.WithdrawPostRequest, tenant: str) -> feed_pb2.Post:
        """Take a post out of every feed; it is gone from the next page."""
        _check_tenant(request.tenant_id, tenant)
        post = await asyncio.to_thread(self._posts.withdraw, tenant, request.idempotency_key, request.post_id)
        self._index.put(post)
        return self._message(post)

    async def get_feed(self, request: feed_pb2.GetFeedRequest, tenant: str) -> feed_pb2.FeedPage:
        """One page: posts ranked for the visitor, and the ads that came in time."""
        _check_tenant(request.tenant_id, tenant)
        now_ms = self._clock.now_ms()
        visitor = _visitor(request)
        query = self._query(request, tenant, visitor, now_ms)
        async with self._ads.ask(_ad_request(request, query, visitor, self._ads.auction_ms)) as asked:
            page = self._timeline.page(query)
            ads = await asked.ads() if page.picks else {}
        page = self._timeline.still_published(page, tenant)
        items = mix(page.picks, ads, query.page_size, request.ad_slots)
        auction_id = next((ad.auction_id for ad in ads.values()), "")
        self.pages_served += 1
        if not page.replayed:
            self._tell(query, page, auction_id)
        cursor = ""
        if page.next_chain is not None:
            cursor = self._cursors.write(page.next_chain, tenant, query.session_id, now_ms)
        return feed_pb2.FeedPage(
            page_id=page.page_id,
            items=[self._item(item, tenant) for item in items],
            next_cursor=cursor,
            auction_id=auction_id,
        )

    async def record_actions(
        self, request: feed_pb2.RecordActionsRequest, tenant: str
    ) -> feed_pb2.RecordActionsResponse:
        """Take likes, hides, clicks, saves and follows; the next page answers to them."""
        _check_tenant(request.tenant_id, tenant)
        given = [(int(action.kind), action.subject_id, action.action_id) for action in request.actions]
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
        actions = [Action(ActionKind(kind), subject_id, action_id) for kind, subject_id, action_id in given]
        recorded = await self._recorder.record(actor, actions)
        return feed_pb2.RecordActionsResponse(recorded=recorded.recorded, duplicates=recorded.duplicates)

    def _query(self, request: feed_pb2.GetFeedRequest, tenant: str, visitor: AskedVisitor, now_ms: int) -> FeedQuery:
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
            exclude=frozenset(request.exclude_post_ids),
        )

    def _tell(self, query: FeedQuery, page: Page, auction_id: str) -> None:
        picks = page.picks
        event = FeedPageServed(
            served_at_ms=query.now_ms,
            tenant_id=query.tenant_id,
            page_id=page.page_id,
            session_id=query.session_id,
            visitor_id=query.visitor_id if Permission.REMEMBER in query.permissions else "",
            post_ids=tuple(pick.post_id for pick in picks),
            scores=tuple(pick.score for pick in picks),
            sources=tuple(pick.source for pick in picks),
            propensities=tuple(pick.propensity for pick in picks),
            auction_id=auction_id,
        )
        try:
            self._publish(FEED_PAGES.name, [schemas.encode(event)])
        except BackendUnavailable as error:
            # The visitor gets the page all the same.
            self.pages_untold += 1
            _log.warning("a feed page was not told to the event log: %s", error)

    def _item(self, item: Pick | FeedAd, tenant: str) -> feed_pb2.FeedItem:
        if isinstance(item, FeedAd):
            return feed_pb2.FeedItem(ad=_ad_message(item), why=["ad: won the auction for this place"])
        return feed_pb2.FeedItem(post=self._message(self._index.shelf(tenant).posts[item.row]), why=item.why)

    def _message(self, post: Post) -> feed_pb2.Post:
        shelf = self._index.shelf(post.tenant_id)
        # Likes are counted here as they come; a post that is not on the shelf yet is as the store has it.
        row = shelf.row_of.get(post.post_id)
        return feed_pb2.Post(
            post_id=post.post_id,
            creator_id=post.creator_id,
            caption=post.caption,
            image_urls=post.image_urls,
            product_tags=[feed_pb2.ProductTag(product_id=t.product_id, x=t.x, y=t.y) for t in post.product_tags],
            hashtags=post.hashtags,
            published_at_ms=post.published_at_ms,
            state=feed_pb2.Post.State.ValueType(post.state),
            revision=post.revision,
            likes=post.likes if row is None else shelf.likes(row),
            saves=post.saves if row is None else shelf.saves(row),
        )


def _for_tenant(
    method: Callable[[Any, str], Awaitable[Message]],
) -> Callable[[Any, Caller, object], Awaitable[Message]]:
    async def answer(request: Any, who: Caller, _: object) -> Message:
        return await method(request, who.tenant_id)

    return answer


def _check_tenant(tenant_id: str, caller_tenant: str) -> None:
    # Empty means the caller's own; another's does not exist for the caller.
    if tenant_id not in ("", caller_tenant):
        raise NotFound(f"there is no tenant {shown(tenant_id)} that this key may speak for")


def _draft(post: feed_pb2.Post) -> PostDraft:
    of_the_feed = ("post_id", "revision", "likes", "saves")
    claimed = [name for name in of_the_feed if getattr(post, name)]
    if post.state not in (feed_pb2.Post.STATE_UNSPECIFIED, feed_pb2.Post.STATE_PUBLISHED):
        claimed.append("state")
    return PostDraft(
        creator_id=post.creator_id,
        caption=post.caption,
        image_urls=tuple(post.image_urls),
        product_tags=tuple(ProductTag(tag.product_id, tag.x, tag.y) for tag in post.product_tags),
        hashtags=tuple(post.hashtags),
        published_at_ms=post.published_at_ms,
        claimed=tuple(claimed),
    )


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
