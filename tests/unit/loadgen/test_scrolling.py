from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import grpc
import pytest

from client.errors import CallFailed
from loadgen.feed_tally import FeedTally
from loadgen.scrolling import Scene, scroll
from loadgen.shoppers import Kin, Shopper, in_turn, shopper, shoppers_of_views
from loadgen.views import LoggedView
from protos.common_pb2 import Affinity, Consent, Device, Page, Purpose, Visitor
from protos.exchange_pb2 import Ad, Notice, NoticeOutcome, PageView
from protos.feed_pb2 import (
    Action,
    FeedItem,
    FeedPage,
    GetFeedRequest,
    Post,
    ProductTag,
    RecordActionsRequest,
    RecordActionsResponse,
)

pytestmark = pytest.mark.slow

KIN = {"shoe": Kin("shoes", "north"), "boot": Kin("shoes", "south"), "hat": Kin("hats", "north")}


def a_shopper(name: str = "ana", agrees: bool = True, **liked: float) -> Shopper:
    return shopper(name, liked or {"shoe": 3.0}, KIN, agrees=agrees, device=Device(), page=Page(), seed=1)


def a_post(number: int, product: str = "shoe") -> Post:
    return Post(post_id=f"{number:032x}", creator_id="maker", product_tags=[ProductTag(product_id=product)])


class Desk:
    """A feed and an exchange that remember what they were told."""

    def __init__(self, product: str = "shoe", repeats: bool = False) -> None:
        self.asked: list[GetFeedRequest] = []
        self.actions: list[Action] = []
        self.notices: list[Notice] = []
        self._product, self._repeats = product, repeats
        self.fails = False

    async def get_feed(self, request: GetFeedRequest) -> FeedPage:
        if self.fails:
            raise CallFailed("GetFeed", grpc.StatusCode.UNAVAILABLE, "away")
        kept = GetFeedRequest()
        kept.CopyFrom(request)
        self.asked.append(kept)
        first = 0 if self._repeats else 12 * len(self.asked)
        items = [FeedItem(post=a_post(first + n, self._product), why=["similar: it fits"]) for n in range(12)]
        items.insert(2, FeedItem(ad=Ad(impression_id=f"{len(self.asked):032x}-1", product_id="shoe")))
        return FeedPage(items=items, next_cursor=f"page {len(self.asked)}")

    async def record_actions(self, request: RecordActionsRequest) -> RecordActionsResponse:
        assert request.session_id == self.asked[-1].session_id
        self.actions += request.actions
        return RecordActionsResponse(recorded=len(request.actions))

    async def report_notices(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        self.notices += notices
        return [NoticeOutcome(verdict=NoticeOutcome.VERDICT_ACCEPTED, billed_micros=5, currency="EUR") for _ in notices]


async def scrolled(desk: Desk, visits: Iterator[tuple[int, Shopper]]) -> FeedTally:
    tally = FeedTally()
    await scroll(Scene(desk, desk, KIN, tally, 1, "run"), visits, asyncio.Event(), at_once=1)
    return tally


def visits(count: int, one: Shopper) -> Iterator[tuple[int, Shopper]]:
    return iter([(number, one) for number in range(count)])


async def test_pages_of_a_visit_follow_one_another_and_all_is_counted() -> None:
    desk = Desk()
    tally = await scrolled(desk, visits(60, a_shopper()))

    assert tally.sessions == 60
    assert tally.shoppers == {"ana"}
    assert tally.pages == len(desk.asked) > 120
    assert (tally.posts, tally.ads) == (12 * tally.pages, tally.pages)
    by_session: dict[str, list[str]] = {}
    for at, asked in enumerate(desk.asked):
        by_session.setdefault(asked.session_id, []).append(asked.cursor)
        assert asked.cursor in ("", f"page {at}")
    assert all(cursors[0] == "" and "" not in cursors[1:] for cursors in by_session.values())
    assert sum(tally.shown.values()) == tally.posts
    assert (
        sum(tally.clicked.values())
        == tally.actions["click"]
        == len([action for action in desk.actions if action.kind == Action.KIND_CLICK])
    )
    assert tally.hidden_shown == tally.repeated == 0


async def test_what_fits_is_clicked_and_bought_and_what_does_not_is_hidden() -> None:
    fits = await scrolled(Desk("shoe"), visits(100, a_shopper()))
    not_at_all = await scrolled(Desk("hat"), visits(100, a_shopper(boot=2.0)))

    assert fits.actions["click"] > 3 * not_at_all.actions["click"]
    assert fits.actions["purchase"] > 0
    assert fits.actions["hide"] == 0
    assert not_at_all.actions["hide"] > 0


async def test_the_first_places_are_clicked_more() -> None:
    tally = await scrolled(Desk(), visits(300, a_shopper()))

    assert tally.clicked["similar", 0] > 1.15 * tally.clicked["similar", 3]


async def test_an_ad_is_seen_before_anything_else_is_said_of_it_and_an_order_is_named() -> None:
    desk = Desk()
    tally = await scrolled(desk, visits(400, a_shopper()))

    told: dict[str, list[int]] = {}
    for notice in desk.notices:
        told.setdefault(notice.impression_id, []).append(notice.kind)
        assert bool(notice.order_id) == (notice.kind == Notice.KIND_CONVERSION)
    assert len(told) == tally.ads
    assert all(kinds[0] == Notice.KIND_IMPRESSION for kinds in told.values())
    assert 0 < tally.ad_clicks < tally.ads / 5
    assert tally.billed_micros["EUR"] == 5 * len(desk.notices)


async def test_what_is_shown_twice_is_counted() -> None:
    tally = await scrolled(Desk(repeats=True), visits(20, a_shopper()))

    assert tally.repeated == 12 * (tally.pages - tally.sessions)


async def test_a_feed_that_fails_ends_the_visit_and_not_the_scrolling() -> None:
    desk = Desk()
    desk.fails = True
    tally = await scrolled(desk, visits(3, a_shopper()))

    assert (tally.sessions, tally.failed, tally.pages) == (3, 3, 0)
    assert "away" in tally.first_errors[0]


async def test_who_does_not_agree_is_not_named() -> None:
    desk = Desk()
    await scrolled(desk, visits(1, a_shopper(agrees=False)))

    assert desk.asked[0].visitor.visitor_id == ""
    assert list(desk.asked[0].consent.granted) == []


def logged(name: str, *, agrees: bool = True, **liked: float) -> LoggedView:
    view = PageView(
        visitor=Visitor(
            visitor_id=name,
            affinities=[Affinity(product_id=product, weight=weight) for product, weight in liked.items()],
        ),
        consent=Consent(granted=[Purpose.ValueType(1)] if agrees else []),
    )
    return LoggedView(view)


def test_shoppers_have_the_tastes_of_the_logs_visitors_who_liked_something() -> None:
    views = [logged("a", shoe=2.0), logged("b"), logged("c", agrees=False, hat=1.0), logged("a", boot=9.0)]

    made = shoppers_of_views(views, KIN, most=5, seed=1)

    assert [one.agrees for one in made] == [True, False, True, False, True]
    assert len({one.visitor_id for one in made}) == 5
    assert [set(one.taste) for one in made[:2]] == [{"shoe"}, {"hat"}]
    assert shoppers_of_views([logged("b")], KIN, most=5, seed=1) == []


def test_half_of_the_taste_is_sent_at_most_the_64_strongest_of_it() -> None:
    def sent(count: int) -> list[float]:
        liked = {f"product-{n}": 1.0 + n for n in range(count)}
        return [
            weight for _, weight in shopper("ana", liked, KIN, agrees=True, device=Device(), page=Page(), seed=1).sent
        ]

    assert 25 < len(sent(80)) < 55
    assert len(sent(400)) == 64
    assert min(sent(400)) > 200


def test_kin_of_what_is_liked_fit_a_little_and_the_rest_not_at_all() -> None:
    one = a_shopper(shoe=3.0)

    fits = [one.fits(a_post(1, product), KIN) for product in ("shoe", "boot", "hat", "unknown")]

    assert fits[0] > fits[1] > fits[2] > fits[3] == 0.0
    assert one.click_chance(1.0, 0) > one.click_chance(1.0, 11) > one.click_chance(0.0, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_comes_once_before_anybody_comes_again(seed: int) -> None:
    shoppers = [a_shopper(f"s{n}") for n in range(7)]
    turn = in_turn(shoppers, seed)

    first, second = ([next(turn) for _ in range(7)] for _ in range(2))

    assert [number for number, _ in first + second] == list(range(14))
    assert {one.visitor_id for _, one in first} == {one.visitor_id for _, one in second} == {f"s{n}" for n in range(7)}
    assert list(in_turn([], seed)) == []
