"""How are pages asked for and actions told over HTTP in JSON? Their lines of the table in feed/rest.py.

A request is put into the words of the gRPC contract and goes the same way: one check, one answer, whichever door.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from common.errors import FieldError, InvalidInput
from feed import asking
from feed.post_view import MediaView, RenditionView
from feed.rest import Asked, Endpoint
from feed.server import FeedServer
from protos import common_pb2, exchange_pb2, feed_pb2

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Purpose = Literal["remember", "personalised_ads", "personalised_content", "share_with_bidders"]


def _at_most(entries: int) -> Any:
    return msgspec.Meta(extra_json_schema={"maxItems": entries})


class AffinityGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a visitor cared for a product before."""

    product_id: str
    weight: float


class VisitorGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who looks; used as far as consent allows."""

    visitor_id: str = ""
    segments: Annotated[tuple[str, ...], _at_most(asking.MAX_SEGMENTS)] = ()
    affinities: Annotated[tuple[AffinityGiven, ...], _at_most(asking.MAX_AFFINITIES)] = ()


class ConsentGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the visitor agreed to."""

    granted: tuple[Purpose, ...] = ()
    global_privacy_control: bool = False
    child_directed: bool = False


class AroundGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page that the feed stands on, and the visitor's device."""

    url: str = ""
    categories: Annotated[tuple[str, ...], _at_most(asking.MAX_CATEGORIES)] = ()
    keywords: Annotated[tuple[str, ...], _at_most(asking.MAX_KEYWORDS)] = ()
    product_id: str = ""
    country: str = ""
    region: str = ""
    language: str = ""


class PageAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One page: `page_size` 1 to 50, 0 is 12; `cursor` from the page before, empty for the first."""

    session_id: str
    visitor: VisitorGiven = VisitorGiven()
    consent: ConsentGiven = ConsentGiven()
    around: AroundGiven = AroundGiven()
    page_size: Whole = 0
    cursor: str = ""
    ad_slots: Whole = 0
    exclude_post_ids: Annotated[tuple[str, ...], _at_most(asking.MAX_EXCLUDED)] = ()


class TagShown(msgspec.Struct, frozen=True):
    """A product on the picture, 0 to 1 from the left and from the top."""

    product_id: str
    x: float
    y: float
    picture: int = 0


class PostShown(msgspec.Struct, frozen=True):
    """A post on a page."""

    post_id: str
    creator_id: str
    caption: str
    image_urls: tuple[str, ...]
    product_tags: tuple[TagShown, ...]
    hashtags: tuple[str, ...]
    published_at_ms: int
    likes: int
    saves: int
    media: tuple[MediaView, ...] = ()
    paid: bool = False
    disclosure: str = "none"
    partner: str = ""


class AdShown(msgspec.Struct, frozen=True):
    """An ad on a page: `markup` is what is shown, `impression_id` names it in notices."""

    impression_id: str
    advertiser_domain: str
    product_id: str
    format: str
    markup: str


class ItemShown(msgspec.Struct, frozen=True):
    """A post or an ad, and why it is here."""

    why: tuple[str, ...]
    post: PostShown | None = None
    ad: AdShown | None = None


class PageShown(msgspec.Struct, frozen=True):
    """A page; `next_cursor` is empty when there is nothing more."""

    page_id: str
    items: tuple[ItemShown, ...]
    next_cursor: str
    auction_id: str


class ActionGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was done; `kind` is like, hide, click, save, follow …; the same `action_id` counts once. `detail`
    is what is wrong (of a report), or the product (of a purchase or return), or empty.
    """

    kind: str
    subject_id: str
    action_id: str
    detail: str = ""


class ActionsGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a session did, in its order."""

    session_id: str
    visitor: VisitorGiven = VisitorGiven()
    consent: ConsentGiven = ConsentGiven()
    actions: Annotated[tuple[ActionGiven, ...], _at_most(asking.MAX_ACTIONS)] = ()


class ActionsTaken(msgspec.Struct, frozen=True):
    """How many actions were new, and how many had been recorded before."""

    recorded: int
    duplicates: int


class PageEndpoints:
    """Pages and actions over one feed."""

    def __init__(self, server: FeedServer) -> None:
        self._server = server

    def table(self) -> list[Endpoint]:
        """To be added to the endpoints of feed/rest.py."""
        return [
            # Asking for a page remembers what was shown, and the request may be long: no GET.
            Endpoint("POST", "/v1/feed/pages", "One page of the feed", PageShown, self.ask_page, body=PageAsked),
            Endpoint("POST", "/v1/feed/actions", "Tell what a session did", ActionsTaken, self.tell_actions,
                     body=ActionsGiven),
        ]  # fmt: skip

    async def ask_page(self, asked: Asked) -> PageShown:
        """A page, posts and ads in their order."""
        body: PageAsked = asked.body
        around = body.around
        page = await self._server.get_feed(
            feed_pb2.GetFeedRequest(
                session_id=body.session_id,
                visitor=_visitor(body.visitor),
                consent=_consent(body.consent),
                page=common_pb2.Page(
                    url=around.url,
                    categories=around.categories,
                    keywords=around.keywords,
                    product_id=around.product_id,
                ),
                device=common_pb2.Device(country=around.country, region=around.region, language=around.language),
                page_size=body.page_size,
                cursor=body.cursor,
                ad_slots=body.ad_slots,
                exclude_post_ids=body.exclude_post_ids,
            ),
            asked.tenant_id,
        )
        return PageShown(page.page_id, tuple(map(_shown, page.items)), page.next_cursor, page.auction_id)

    async def tell_actions(self, asked: Asked) -> ActionsTaken:
        """Take the actions; the next page answers to them."""
        body: ActionsGiven = asked.body
        errors = [
            FieldError(f"actions[{at}].kind", ascii(action.kind[:40]), f"give one of {', '.join(_KINDS)}")
            for at, action in enumerate(body.actions)
            if action.kind not in _KINDS
        ]
        if errors:
            raise InvalidInput(errors)
        taken = await self._server.record_actions(
            feed_pb2.RecordActionsRequest(
                session_id=body.session_id,
                visitor=_visitor(body.visitor),
                consent=_consent(body.consent),
                actions=[
                    feed_pb2.Action(
                        kind=_KINDS[action.kind],
                        subject_id=action.subject_id,
                        action_id=action.action_id,
                        detail=action.detail,
                    )
                    for action in body.actions
                ],
            ),
            asked.tenant_id,
        )
        return ActionsTaken(taken.recorded, taken.duplicates)


_KINDS = {name.removeprefix("KIND_").lower(): value for name, value in feed_pb2.Action.Kind.items() if value}


def _visitor(given: VisitorGiven) -> common_pb2.Visitor:
    return common_pb2.Visitor(
        visitor_id=given.visitor_id,
        segments=given.segments,
        affinities=[common_pb2.Affinity(product_id=one.product_id, weight=one.weight) for one in given.affinities],
    )


def _consent(given: ConsentGiven) -> common_pb2.Consent:
    return common_pb2.Consent(
        granted=[common_pb2.Purpose.Value(f"PURPOSE_{name.upper()}") for name in given.granted],
        global_privacy_control=given.global_privacy_control,
        child_directed=given.child_directed,
    )


def _shown(item: feed_pb2.FeedItem) -> ItemShown:
    if item.HasField("ad"):
        ad = item.ad
        name = exchange_pb2.Format.Name(ad.format).removeprefix("FORMAT_").lower()
        shown = AdShown(ad.impression_id, ad.advertiser_domain, ad.product_id, name, ad.markup)
        return ItemShown(tuple(item.why), ad=shown)
    post = item.post
    return ItemShown(
        tuple(item.why),
        post=PostShown(
            post.post_id,
            post.creator_id,
            post.caption,
            tuple(post.image_urls),
            tuple(TagShown(tag.product_id, tag.x, tag.y, tag.picture) for tag in post.product_tags),
            tuple(post.hashtags),
            post.published_at_ms,
            post.likes,
            post.saves,
            tuple(map(_medium, post.media)),
            post.paid,
            feed_pb2.Post.Disclosure.Name(post.disclosure).removeprefix("DISCLOSURE_").lower(),
            post.partner,
        ),
    )


def _medium(medium: feed_pb2.PostMedia) -> MediaView:
    return MediaView(
        media_id=medium.media_id,
        url=medium.url,
        alt_text=medium.alt_text,
        kind=feed_pb2.PostMedia.Kind.Name(medium.kind).removeprefix("KIND_").lower(),
        width=medium.width,
        height=medium.height,
        duration_ms=medium.duration_ms,
        renditions=tuple(
            RenditionView(one.url, one.content_type, one.width, one.height, one.size_bytes) for one in medium.renditions
        ),
    )
