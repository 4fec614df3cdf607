"""FeedService over a real gRPC connection, with the embedded backends below it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accounts.ports import Caller
from backends.event_log_lmdb import LmdbEventLog
from backends.media_folder import FolderMediaStore
from backends.media_sql import SqlMediaRecords
from backends.posts_sql import SqlPostStore
from backends.profiles_lmdb import LmdbProfileStore
from backends.reactions_sql import SqlReactionStore
from common.clock import SteppedClock
from feed import features
from feed.ad_slots import AdSlots
from feed.cursor import Cursors
from feed.index import FeedIndex
from feed.media.addresses import MediaAddresses
from feed.media.tickets import Tickets
from feed.ports import STRANGER, AdRequest, FeedAd, Relation
from feed.post_view import PostViews
from feed.posts import Posts
from feed.posts_server import ChangedPosts, PostCalls
from feed.products import CatalogueProducts
from feed.recording import Recorder
from feed.server import FeedServer
from feed.sessions import InProcessSessions
from feed.timeline import SCORERS, Timeline
from feed.verdict import Outcome, Verdict
from feed.visitors import RememberedVisitors
from protos import common_pb2, exchange_pb2, feed_pb2
from protos.feed_pb2_grpc import FeedServiceStub
from streams import schemas
from streams.catalogue import Catalogue
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.schemas import Event
from tests.databases import open_database
from tests.feed_builders import HOUR_MS, NOW_MS, TENANT, ToldChecker, a_product
from tests.media_builders import SECRET, a_library

KEY = (("x-api-key", "shop"),)
OTHER_KEY = (("x-api-key", "other shop"),)
KINDS = ("shoe", "hat", "bag")
EVERYTHING = common_pb2.Consent(granted=[1, 2, 3, 4])  # type: ignore[list-item]
VISITOR = common_pb2.Visitor(
    visitor_id="visitor-secret",
    segments=["tier=secret-gold"],
    affinities=[common_pb2.Affinity(product_id="bag", weight=3.0)],
)


class Keys:
    def caller_of(self, key: str) -> Caller | None:
        callers = {
            "shop": Caller(TENANT, "storefront"), "other shop": Caller("b" * 32, "storefront"),
            "brand": Caller("c" * 32, "advertiser"),
        }  # fmt: skip
        return callers.get(key)


class Auction:
    """Sells the slots in `sold`; `broken` and `stuck` make trouble."""

    def __init__(self) -> None:
        self.sold: tuple[int, ...] = (0, 1)
        self.broken = False
        self.stuck = False
        self.advertiser_id = ""
        self.asked: list[AdRequest] = []

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        self.asked.append(request)
        if self.broken:
            raise RuntimeError("the auction is broken")
        if self.stuck:
            await asyncio.Event().wait()
        return [
            FeedAd(
                slot,
                "auction-1",
                f"impression-{slot}",
                format=2,
                pricing_model=1,
                price_micros=5,
                currency="EUR",
                advertiser_id=self.advertiser_id,
            )
            for slot in self.sold
        ]

    def still_sold(self, ads: Sequence[FeedAd]) -> list[FeedAd]:
        return list(ads)


class Chosen:
    """Relations over a dictionary."""

    def __init__(self) -> None:
        self.by_visitor: dict[str, Relation] = {}

    def of(self, tenant_id: str, visitor_id: str) -> Relation:
        return self.by_visitor.get(visitor_id, STRANGER)

    def known(self, tenant_id: str, visitor_id: str) -> Relation | None:
        return self.by_visitor.get(visitor_id)


class Scene:
    """A feed server, what is below it, and a client's stub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SteppedClock(NOW_MS)
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 26)
        self.profile_store = LmdbProfileStore(folder / "profiles", map_size_bytes=1 << 26)
        self.engine = open_database(folder)
        self.publisher = Publisher(self.log, self.clock)
        self.catalogue = Catalogue(self.log, self.publisher)
        self.catalogue.put(TENANT, [a_product(k, brand=f"brand {k}", category=f"{k}s") for k in KINDS])
        self.auction = Auction()
        self.relations = Chosen()
        self.ad_deadline_ms = 2_000
        self.store = SqlPostStore(self.engine)
        self.feed = self.opened()

    def opened(self) -> FeedServer:
        products = CatalogueProducts(self.catalogue)
        visitors = RememberedVisitors(Profiles(self.profile_store, self.clock))
        index = FeedIndex(products=products)
        index.fold(self.store.all())
        self.index = index
        sessions = InProcessSessions()
        changed = ChangedPosts()
        records = SqlMediaRecords(self.engine)
        media_store = FolderMediaStore(self.folder / "media", "http://media.example")
        self.library = a_library(media_store, records, self.folder / "work", clock=self.clock)
        self.checker = ToldChecker()
        posts = Posts(
            store=self.store,
            clock=self.clock,
            products=products,
            checker=self.checker,
            media=self.library,
            tell=changed.tell,
        )
        addresses = MediaAddresses("http://cdn.example", "http://media.example", Tickets(SECRET), self.clock)
        calls = PostCalls(
            posts=posts, media=self.library, index=index, views=PostViews(index, addresses), changed=changed
        )
        return FeedServer(
            posts=calls,
            index=index,
            timeline=Timeline(
                index=index, sessions=sessions, products=products, profiles=visitors, clock=self.clock
            ),
            recorder=Recorder(
                index=index, sessions=sessions, reactions=SqlReactionStore(self.engine), profiles=visitors,
                clock=self.clock, publish=self.publisher.publish,
            ),
            ads=AdSlots(source=self.auction, deadline_ms=self.ad_deadline_ms),
            cursors=Cursors(secret=b"a secret of sixteen bytes or more"),
            products=products,
            relations=self.relations,
            publish=self.publisher.publish,
            clock=self.clock,
            chance=random.Random(1),
        )  # fmt: skip

    async def serve(self) -> None:
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((self.feed.handlers(Keys()),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = FeedServiceStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(None)

    def close(self) -> None:
        self.engine.dispose()
        self.log.close()
        self.profile_store.close()

    def events(self, topic: str) -> list[Event]:
        events = [schemas.decode(topic, record) for record in self.log.read(topic, 0)]
        assert not any(isinstance(event, schemas.Unreadable) for event in events)
        return [event for event in events if not isinstance(event, schemas.Unreadable)]

    async def create(self, number: int, product: str, **changes: Any) -> feed_pb2.Post:
        facts: dict[str, Any] = {
            "creator_id": f"creator-{number % 7}", "image_urls": ["https://img.example/1.jpg"],
            "product_tags": [feed_pb2.ProductTag(product_id=product, x=0.5, y=0.25)],
            "published_at_ms": NOW_MS - 400 * HOUR_MS + number,
        }  # fmt: skip
        request = feed_pb2.CreatePostRequest(idempotency_key=f"key-{number}", post=feed_pb2.Post(**(facts | changes)))
        return await self.stub.CreatePost(request, metadata=KEY)

    async def fill(self, count: int = 45) -> list[feed_pb2.Post]:
        return [await self.create(number, KINDS[number % 3]) for number in range(count)]

    async def get(self, **changes: Any) -> feed_pb2.FeedPage:
        request = feed_pb2.GetFeedRequest(**({"tenant_id": TENANT, "session_id": "session-1"} | changes))
        return await self.stub.GetFeed(request, metadata=KEY)

    async def act(self, kind: int, subject_id: str, **changes: Any) -> feed_pb2.RecordActionsResponse:
        action = feed_pb2.Action(kind=kind, subject_id=subject_id, action_id=f"{kind}-{subject_id}")  # type: ignore[arg-type]
        request = feed_pb2.RecordActionsRequest(**({"session_id": "session-1", "actions": [action]} | changes))
        return await self.stub.RecordActions(request, metadata=KEY)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    await made.serve()
    yield made
    await made.stop()
    made.close()


def posts_of(page: feed_pb2.FeedPage) -> list[feed_pb2.Post]:
    return [item.post for item in page.items if item.HasField("post")]


def ids_of(page: feed_pb2.FeedPage) -> list[str]:
    return [post.post_id for post in posts_of(page)]


def products_of(page: feed_pb2.FeedPage) -> list[str]:
    return [post.product_tags[0].product_id for post in posts_of(page)]


async def refused_fields(call: Any) -> list[str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    return [violation.field for violation in bad.field_violations]


async def refused_code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


async def test_a_post_is_in_the_next_page_and_gone_when_it_is_withdrawn(scene: Scene) -> None:
    made = await scene.create(1, "shoe", caption="New boots 👢", hashtags=["#Boots"])
    read = await scene.stub.GetPost(feed_pb2.GetPostRequest(post_id=made.post_id), metadata=KEY)

    assert made == read
    assert (list(made.hashtags), made.state, made.revision) == (["boots"], feed_pb2.Post.STATE_CLEAN, 1)
    assert posts_of(await scene.get()) == [made]

    request = feed_pb2.WithdrawPostRequest(idempotency_key="w", post_id=made.post_id)
    withdrawn = await scene.stub.WithdrawPost(request, metadata=KEY)

    assert (withdrawn.state, withdrawn.revision) == (feed_pb2.Post.STATE_WITHDRAWN, 2)
    assert ids_of(await scene.get()) == []
    assert ids_of(await scene.get(session_id="another")) == []


@pytest.mark.parametrize("outcome", [Outcome.HELD, Outcome.REMOVED, Outcome.LIMITED])
async def test_what_is_not_clean_is_in_nobodys_feed(scene: Scene, outcome: Outcome) -> None:
    scene.checker.says(outcome)
    made = await scene.create(1, "shoe")

    assert made.verdict.outcome == outcome.name.lower()
    assert ids_of(await scene.get()) == []
    await scene.act(5, made.creator_id)
    followed = ids_of(await scene.get())
    assert followed == ([made.post_id] if outcome is Outcome.LIMITED else [])


async def test_a_moderators_word_is_in_the_very_next_page(scene: Scene) -> None:
    made = await scene.create(1, "shoe")
    posts = scene.feed.posts.posts
    await asyncio.to_thread(
        posts.decide, TENANT, made.post_id, Outcome.REMOVED, Verdict(Outcome.REMOVED, 1.0), "mod", 1
    )
    assert ids_of(await scene.get()) == []
    await asyncio.to_thread(posts.decide, TENANT, made.post_id, Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod", 2)

    assert ids_of(await scene.get()) == [made.post_id]


async def test_a_post_that_is_removed_while_the_auction_is_held_is_not_on_the_page(scene: Scene) -> None:
    made = await scene.fill(6)

    async def slow_ads(request: AdRequest) -> list[FeedAd]:
        verdict = Verdict(Outcome.REMOVED, 1.0)
        await asyncio.to_thread(
            scene.feed.posts.posts.decide, TENANT, made[0].post_id, Outcome.REMOVED, verdict, "mod", 1
        )
        return []

    scene.auction.ads = slow_ads  # type: ignore[method-assign]

    assert made[0].post_id not in ids_of(await scene.get(ad_slots=1))


async def test_a_creator_who_is_erased_in_the_middle_of_a_scroll_is_not_on_its_next_page(scene: Scene) -> None:
    made = await scene.fill(45)
    first = await scene.get(page_size=5)
    await asyncio.to_thread(scene.feed.posts.posts.erase_creator, TENANT, "creator-1")

    rest: list[str] = []
    cursor = first.next_cursor
    while cursor:
        page = await scene.get(page_size=5, cursor=cursor)
        rest += ids_of(page)
        cursor = page.next_cursor

    theirs = {post.post_id for post in made if post.creator_id == "creator-1"}
    assert theirs
    assert not theirs & set(rest)
    others = {post.post_id for post in made} - theirs - set(ids_of(first))
    assert set(rest) == others


async def test_an_edit_is_found_under_its_new_words_and_keeps_its_likes(scene: Scene) -> None:
    made = await scene.create(1, "shoe", hashtags=["old"])
    await scene.act(1, made.post_id)
    made.ClearField("hashtags")
    made.hashtags.append("new")
    edit = feed_pb2.EditPostRequest(
        idempotency_key="e", post_id=made.post_id, post=made, expected_revision=made.revision
    )
    edited = await scene.stub.EditPost(edit, metadata=KEY)

    assert (list(edited.hashtags), edited.revision, edited.likes) == (["new"], 2, 1)
    assert await scene.stub.EditPost(edit, metadata=KEY) == edited
    edit.idempotency_key = "e2"
    assert await refused_code(scene.stub.EditPost(edit, metadata=KEY)) == grpc.StatusCode.ABORTED
    assert posts_of(await scene.get(session_id="other")) == [edited]


async def test_a_disclosure_that_there_is_not_is_refused(scene: Scene) -> None:
    assert await refused_fields(scene.create(1, "shoe", disclosure=9)) == ["post.disclosure"]
    assert await refused_fields(scene.create(1, "shoe", paid=True)) == ["post.disclosure"]


async def test_a_full_scroll_repeats_nothing_and_ends(scene: Scene) -> None:
    made = await scene.fill(45)

    seen: list[str] = []
    page = await scene.get(page_size=7, ad_slots=2)
    seen += ids_of(page)
    while page.next_cursor:
        page = await scene.get(page_size=7, ad_slots=2, cursor=page.next_cursor)
        seen += ids_of(page)

    assert sorted(seen) == sorted(post.post_id for post in made)


async def test_the_same_cursor_gives_the_same_page(scene: Scene) -> None:
    await scene.fill()
    cursor = (await scene.get()).next_cursor

    second, again = await scene.get(cursor=cursor), await scene.get(cursor=cursor)

    assert second.page_id == again.page_id
    assert second.items == again.items
    assert len(scene.events("feed_pages")) == 2, "a page that is asked again is served once"


@pytest.mark.parametrize("kind", [1, 3, 4], ids=["like", "click", "save"])
async def test_an_action_leads_the_very_next_page(scene: Scene, kind: int) -> None:
    made = await scene.fill()
    first = await scene.get(consent=EVERYTHING)
    bag = next(post for post in made if post.product_tags[0].product_id == "bag" and post.post_id not in ids_of(first))
    await scene.act(kind, bag.post_id)

    page = await scene.get(cursor=first.next_cursor, consent=EVERYTHING)

    assert products_of(page)[0] == "bag"
    assert page.items[0].why[0].startswith(("similar: ", "companions: "))


async def test_a_hide_is_obeyed_on_the_very_next_page_and_at_once_where_it_was(scene: Scene) -> None:
    await scene.fill()
    first = await scene.get(consent=EVERYTHING)
    later = await scene.get(cursor=first.next_cursor, consent=EVERYTHING)
    hidden = posts_of(later)[0]
    await scene.act(2, hidden.post_id)

    page = await scene.get(cursor=first.next_cursor, consent=EVERYTHING)

    assert hidden.post_id not in ids_of(page)
    assert products_of(page)[0] != hidden.product_tags[0].product_id


async def test_likes_and_saves_are_counted_once_and_kept_over_a_restart(scene: Scene) -> None:
    made = await scene.create(1, "shoe")
    for session in ("a", "b"):
        await scene.act(1, made.post_id, session_id=session)
    answer = await scene.act(1, made.post_id, session_id="b")
    await scene.act(4, made.post_id, session_id="a")

    assert (answer.recorded, answer.duplicates) == (0, 1)
    assert [(post.likes, post.saves) for post in posts_of(await scene.get())] == [(2, 1)]

    await scene.stop()
    scene.feed = scene.opened()
    await scene.serve()

    assert (await scene.act(1, made.post_id, session_id="b")).duplicates == 1
    assert [(post.likes, post.saves) for post in posts_of(await scene.get())] == [(2, 1)]


async def test_ads_stand_among_the_posts_with_the_auction_that_sold_them(scene: Scene) -> None:
    await scene.fill()

    page = await scene.get(ad_slots=2)

    assert [item.WhichOneof("item") for item in page.items].index("ad") == 2
    ads = [item.ad for item in page.items if item.HasField("ad")]
    assert [ad.impression_id for ad in ads] == ["impression-0", "impression-1"]
    assert ads[0].format == exchange_pb2.FORMAT_PRODUCT_LISTING
    assert page.auction_id == "auction-1"
    assert len(posts_of(page)) == 12
    assert scene.auction.asked[0].slots == 2


@pytest.mark.parametrize("trouble", ["broken", "stuck"])
async def test_a_page_goes_out_without_ads_when_the_auction_fails_or_is_late(scene: Scene, trouble: str) -> None:
    await scene.fill()
    setattr(scene.auction, trouble, True)
    if trouble == "stuck":
        await scene.stop()
        scene.ad_deadline_ms = 20
        scene.feed = scene.opened()
        await scene.serve()

    page = await scene.get(ad_slots=2)

    assert len(posts_of(page)) == len(page.items) == 12
    assert page.auction_id == ""


async def test_a_post_that_is_withdrawn_while_the_auction_is_held_is_not_on_the_page(scene: Scene) -> None:
    made = await scene.fill(6)
    withdrawing = feed_pb2.WithdrawPostRequest(idempotency_key="w", post_id=made[0].post_id)

    async def slow_ads(request: AdRequest) -> list[FeedAd]:
        await scene.feed.posts.withdraw_post(withdrawing, TENANT)
        return []

    scene.auction.ads = slow_ads  # type: ignore[method-assign]

    page = await scene.get(ad_slots=1)

    assert sorted(ids_of(page)) == sorted(post.post_id for post in made[1:])


async def test_without_consent_nothing_personal_is_used_asked_or_published(scene: Scene) -> None:
    await scene.fill()
    plain = await scene.get(session_id="plain", ad_slots=2)
    for number, consent in enumerate([
        common_pb2.Consent(),
        common_pb2.Consent(granted=[2, 3, 4]),  # type: ignore[list-item]
        common_pb2.Consent(granted=[1, 2, 3, 4], child_directed=True),  # type: ignore[list-item]
    ]):  # fmt: skip
        mine = {"session_id": f"s{number}", "visitor": VISITOR, "consent": consent}
        page = await scene.get(ad_slots=2, **mine)
        await scene.act(1, ids_of(page)[0], **mine)

        assert not any("affinity" in reason for item in page.items for reason in item.why)
    assert len(plain.items) == 14
    for request in scene.auction.asked:
        assert (request.visitor_id, request.segments, request.affinities, request.permissions) == ("", (), (), 0)
    assert scene.profile_store.count() == 0
    for topic in ("feed_pages", "feed_actions"):
        assert scene.events(topic)
        for record in scene.log.read(topic, 0):
            assert b"secret" not in record.payload


async def test_an_ad_says_who_paid_and_whether_anything_of_the_visitor_could_choose_it(scene: Scene) -> None:
    await scene.fill()
    known = {"visitor": VISITOR, "consent": EVERYTHING}

    for changes, chosen_by in (
        ({}, "this page, and nothing that is known of you"),
        (known, "this page and, as you agreed, your interests"),
    ):
        page = await scene.get(session_id=chosen_by[-20:], ad_slots=2, **changes)
        ads = [item for item in page.items if item.HasField("ad")]
        assert len(ads) == 2
        for item in ads:
            paid = f"ad: {item.ad.advertiser_domain or 'an advertiser'} paid for this place, in an auction"
            assert list(item.why) == [paid, f"chosen by: {chosen_by}"]


async def test_a_page_for_children_does_not_follow_their_taste(scene: Scene) -> None:
    made = await scene.fill()
    consent = common_pb2.Consent(child_directed=True)
    bag = next(post for post in made if post.product_tags[0].product_id == "bag")
    await scene.act(1, bag.post_id, consent=consent)

    page = await scene.get(consent=consent)

    assert not any(reason.startswith(("taste", "similar")) for item in page.items for reason in item.why)


async def test_with_consent_a_visitor_is_known_again_in_another_session(scene: Scene) -> None:
    made = await scene.fill()
    known = {"visitor": common_pb2.Visitor(visitor_id="visitor-secret"), "consent": EVERYTHING}
    hat = next(post for post in made if post.product_tags[0].product_id == "hat")
    await scene.act(4, hat.post_id, **known)

    page = await scene.get(session_id="tomorrow", **known)

    assert products_of(page)[0] == "hat"
    assert page.items[0].why[0].startswith("affinity: ")
    actions, pages = scene.events("feed_actions"), scene.events("feed_pages")
    assert isinstance(actions[0], FeedActionTaken)
    assert isinstance(pages[0], FeedPageServed)
    assert {actions[0].visitor_id, pages[0].visitor_id} == {"visitor-secret"}


async def test_a_served_page_is_told_with_scores_sources_and_propensities(scene: Scene) -> None:
    await scene.fill()

    page = await scene.get(page_size=10, ad_slots=1)

    (told,) = scene.events("feed_pages")
    assert isinstance(told, FeedPageServed)
    assert told.page_id == page.page_id
    assert list(told.post_ids) == ids_of(page)
    assert told.auction_id == "auction-1"
    assert all(0 < propensity <= 1 for propensity in told.propensities)
    assert len(told.scores) == len(told.sources) == 10


async def test_every_field_that_cannot_be_taken_is_named_at_once(scene: Scene) -> None:
    request = feed_pb2.GetFeedRequest(
        page_size=51,
        ad_slots=9,
        cursor="forged",
        visitor=common_pb2.Visitor(affinities=[common_pb2.Affinity(product_id="p", weight=float("nan"))]),
        page=common_pb2.Page(keywords=["k"] * 65),
        device=common_pb2.Device(country="x" * 99),
        exclude_post_ids=[""],
    )

    assert sorted(await refused_fields(scene.stub.GetFeed(request, metadata=KEY))) == [
        "ad_slots", "cursor", "device.country", "exclude_post_ids[0]", "page.keywords", "page_size", "session_id",
        "visitor.affinities[0].weight",
    ]  # fmt: skip


async def test_a_post_that_cannot_be_taken_names_its_fields(scene: Scene) -> None:
    tags = [
        feed_pb2.ProductTag(product_id="shoe", x=0, y=1), feed_pb2.ProductTag(product_id="unknown", x=0.5, y=0.5),
        feed_pb2.ProductTag(product_id="hat", x=float("nan"), y=2),
    ]  # fmt: skip
    fields = await refused_fields(scene.create(1, "shoe", creator_id="", product_tags=tags, post_id="mine", likes=9))

    assert fields == [
        "post.creator_id", "post.product_tags[2].x", "post.product_tags[2].y", "post.post_id", "post.likes",
        "post.product_tags[1].product_id",
    ]  # fmt: skip


async def test_a_cursor_of_another_session_or_tenant_or_an_old_one_is_a_field_error(scene: Scene) -> None:
    await scene.fill()
    cursor = (await scene.get()).next_cursor
    foreign = feed_pb2.GetFeedRequest(session_id="session-1", cursor=cursor)

    assert await refused_fields(scene.get(cursor=cursor, session_id="other")) == ["cursor"]
    assert await refused_fields(scene.stub.GetFeed(foreign, metadata=OTHER_KEY)) == ["cursor"]
    scene.clock.step(7 * HOUR_MS)
    assert await refused_fields(scene.get(cursor=cursor)) == ["cursor"]


async def test_another_tenants_things_do_not_exist(scene: Scene) -> None:
    made = await scene.create(1, "shoe")
    read = feed_pb2.GetPostRequest(post_id=made.post_id)
    theirs = feed_pb2.GetFeedRequest(tenant_id=TENANT, session_id="s")
    withdraw = feed_pb2.WithdrawPostRequest(idempotency_key="k", post_id=made.post_id)

    for call in (
        scene.stub.GetPost(read, metadata=OTHER_KEY),
        scene.stub.GetFeed(theirs, metadata=OTHER_KEY),
        scene.stub.WithdrawPost(withdraw, metadata=OTHER_KEY),
    ):
        assert await refused_code(call) == grpc.StatusCode.NOT_FOUND
    page = await scene.stub.GetFeed(feed_pb2.GetFeedRequest(session_id="s"), metadata=OTHER_KEY)
    assert list(page.items) == []


async def test_keys_are_asked_for(scene: Scene) -> None:
    request = feed_pb2.GetFeedRequest(session_id="s")

    assert await refused_code(scene.stub.GetFeed(request)) == grpc.StatusCode.UNAUTHENTICATED
    brand = (("x-api-key", "brand"),)
    assert await refused_code(scene.stub.GetFeed(request, metadata=brand)) == grpc.StatusCode.PERMISSION_DENIED


async def test_a_key_that_is_used_for_another_post_is_a_conflict(scene: Scene) -> None:
    made = await scene.create(1, "shoe")

    assert await scene.create(1, "shoe") == made
    assert await refused_code(scene.create(1, "hat")) == grpc.StatusCode.ABORTED


async def test_garbage_is_an_invalid_argument_and_the_next_request_is_served(scene: Scene) -> None:
    await scene.fill(3)
    chance = random.Random(7)
    for method in (*scene.feed.posts.methods(), "GetFeed", "RecordActions"):
        raw: Any = scene.channel.unary_unary(f"/haat.feed.v1.FeedService/{method}")
        for _ in range(30):
            code = await refused_code(raw(chance.randbytes(chance.randrange(1, 60)), metadata=KEY))
            assert code in (
                grpc.StatusCode.INVALID_ARGUMENT,
                grpc.StatusCode.NOT_FOUND,
                # A ticket that is not ours.
                grpc.StatusCode.PERMISSION_DENIED,
            )
        assert await refused_code(raw(b"\0" * (1 << 19), metadata=KEY)) == grpc.StatusCode.INVALID_ARGUMENT

    assert len((await scene.get()).items) == 3


async def test_actions_that_cannot_be_taken_name_their_fields(scene: Scene) -> None:
    made = await scene.create(1, "shoe")
    actions = [
        feed_pb2.Action(kind=1, subject_id=made.post_id, action_id="ok"),  # type: ignore[arg-type]
        feed_pb2.Action(kind=99, subject_id="", action_id=""),  # type: ignore[arg-type]
    ]
    request = feed_pb2.RecordActionsRequest(actions=actions)

    assert await refused_fields(scene.stub.RecordActions(request, metadata=KEY)) == [
        "session_id", "actions[1].kind", "actions[1].subject_id", "actions[1].action_id",
    ]  # fmt: skip
    assert await refused_fields(scene.act(1, "no such post")) == ["actions[0].subject_id"]


async def test_a_log_that_takes_nothing_costs_no_page(scene: Scene) -> None:
    await scene.fill(3)
    scene.log.close()

    assert len((await scene.get()).items) == 3


async def test_a_page_that_is_asked_again_has_the_ads_that_were_sold_for_it(scene: Scene) -> None:
    await scene.fill()
    cursor = (await scene.get(ad_slots=2)).next_cursor
    second = await scene.get(cursor=cursor, ad_slots=2)
    sold = len(scene.auction.asked)
    await scene.act(2, posts_of(second)[0].post_id)
    scene.clock.step(60_000)

    again = await scene.get(cursor=cursor, ad_slots=2)

    # The posts answer to what was done; the ads were sold for this page and are not sold again.
    assert ids_of(again) != ids_of(second)
    assert ads_of(again) == ads_of(second) != []
    assert len(scene.auction.asked) == sold

    scene.clock.step(120_000)
    await scene.get(cursor=cursor, ad_slots=2)

    assert len(scene.auction.asked) == sold + 1, "an impression that can no longer be billed is not shown"


async def test_what_a_visitor_blocked_and_muted_holds_for_posts_and_ads(scene: Scene) -> None:
    made = await scene.fill()
    blocked = made[0].creator_id
    scene.relations.by_visitor["visitor-secret"] = Relation(
        blocked=frozenset({blocked, "brand.example", "advertiser-9"}),
        muted_words=("bag",),
        follows=(made[1].creator_id,),
    )
    scene.auction.advertiser_id = "advertiser-9"

    page = await scene.get(visitor=VISITOR, consent=EVERYTHING, ad_slots=2, page_size=50)
    nobody = await scene.get(visitor=VISITOR, session_id="s2", ad_slots=2, page_size=50)

    assert blocked not in {post.creator_id for post in posts_of(page)}
    assert ads_of(page) == []
    assert scene.auction.asked[0].blocked_advertisers == ("brand.example",)
    assert any("followed: " in item.why[0] for item in page.items)
    # Without consent to be remembered the visitor is a stranger.
    assert blocked in {post.creator_id for post in posts_of(nobody)}
    assert len(ads_of(nobody)) == 2


async def test_a_page_is_recorded_with_its_features_where_consent_covers_it(scene: Scene) -> None:
    await scene.fill()
    await scene.get(page_size=8, ad_slots=2)
    await scene.get(page_size=8, ad_slots=2, session_id="s2", consent=EVERYTHING)

    silent, told = (event for event in scene.events("feed_pages") if isinstance(event, FeedPageServed))

    assert (silent.features, silent.alternative_ids, silent.ranker) == ((), (), "hand-weighted")
    assert len(told.features) == 8 * len(features.names(SCORERS))
    assert told.features_version == features.version(SCORERS)
    assert len(told.alternative_features) == len(told.alternative_ids) * len(features.names(SCORERS))
    assert (told.page_size, told.ad_slots) == (8, 2)


def ads_of(page: feed_pb2.FeedPage) -> list[exchange_pb2.Ad]:
    return [item.ad for item in page.items if item.HasField("ad")]
