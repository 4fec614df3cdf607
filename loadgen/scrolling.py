"""How does somebody scroll? Page after page; what is done on one changes the next, and ads are told of as seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from client.errors import CallFailed, ClientClosed
from common.clock import Clock, SystemClock
from loadgen.feed_tally import FeedTally
from loadgen.notice_reporter import NoticeReporter, Notified
from loadgen.readers.fields import ALL_PURPOSES
from loadgen.shoppers import Kin, Shopper
from loadgen.views import draw
from protos.common_pb2 import Consent
from protos.exchange_pb2 import PRICING_MODEL_CPA, Ad, Notice
from protos.feed_pb2 import Action, FeedPage, GetFeedRequest, Post, RecordActionsRequest, RecordActionsResponse

PAGE_SIZE, AD_SLOTS = 12, 2
_MOST_PAGES = 6
_SCROLLS_ON = 0.7
# Of those who clicked: chances that grow with how well the post fits.
_AFTER_CLICK = (
    (Action.KIND_LIKE, 0.5),
    (Action.KIND_SAVE, 0.25),
    (Action.KIND_PURCHASE, 0.12),
    (Action.KIND_FOLLOW, 0.08),
    (Action.KIND_SHARE, 0.03),
)
# A like that is taken back; a hide and a report of what does not fit at all.
_UNLIKE, _HIDE, _REPORT, _NO_FIT = 0.05, 0.03, 0.004, 0.1
# Of ads that were seen; one whose product fits is clicked more often.
_VIEWABLE, _AD_CLICK, _AD_CLICK_FITS, _AD_BUYS, _AD_BUYS_ON_CPA = 0.7, 0.004, 0.05, 0.05, 0.3


class Feed(Protocol):
    """What scrolling needs of a feed; a FeedClient is one."""

    async def get_feed(self, request: GetFeedRequest) -> FeedPage:
        """One page."""

    async def record_actions(self, request: RecordActionsRequest) -> RecordActionsResponse:
        """What was done."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where shoppers scroll: the feed, who takes notices, what is known of products, and what is counted."""

    feed: Feed
    exchange: Notified
    kin: Mapping[str, Kin]
    tally: FeedTally
    seed: int
    run: str


async def scroll(
    scene: Scene,
    visits: Iterator[tuple[int, Shopper]],
    stop: asyncio.Event,
    *,
    at_once: int,
    pause_s: float = 0.0,
    told: Callable[[FeedTally], None] = lambda tally: None,
    clock: Clock | None = None,
) -> None:
    """Visit after visit, `at_once` of them at a time, until `stop` or there are no more; what is under way ends first.

    Calls that fail are counted and end their visit.
    """
    clock = clock or SystemClock()

    async def one_after_the_other() -> None:
        reporter: NoticeReporter[Ad] = NoticeReporter(
            scene.exchange, told=scene.tally.count_outcome, lost=lambda count, error: _failed(scene.tally, error)
        )
        while not stop.is_set() and (visit := next(visits, None)) is not None:
            try:
                await _Visit(scene, *visit, reporter, clock).run()
            except (CallFailed, ClientClosed) as error:
                _failed(scene.tally, error)
            told(scene.tally)
            if pause_s:
                await _wait(stop, pause_s)
        await reporter.drain()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))


class _Visit:
    """One shopper's scroll, from the first page to the last."""

    def __init__(self, scene: Scene, number: int, shopper: Shopper, reporter: NoticeReporter[Ad], clock: Clock) -> None:
        self._scene = scene
        self._shopper = shopper
        self._reporter = reporter
        self._clock = clock
        self._key = (scene.seed, shopper.visitor_id, number)
        self._request = GetFeedRequest(
            visitor=shopper.visitor(),
            session_id=f"{scene.run}-{number}",
            consent=Consent(granted=ALL_PURPOSES if shopper.agrees else ()),
            page=shopper.page,
            device=shopper.device,
            page_size=PAGE_SIZE,
            ad_slots=AD_SLOTS,
        )
        self._shown: set[str] = set()
        self._hidden: set[str] = set()
        self._followed: set[str] = set()

    async def run(self) -> None:
        """Scroll until the shopper has enough, or there is nothing more."""
        scene, tally = self._scene, self._scene.tally
        tally.sessions += 1
        tally.shoppers.add(self._shopper.visitor_id)
        for number in range(_MOST_PAGES):
            begun_ns = self._clock.monotonic_ns()
            page = await scene.feed.get_feed(self._request)
            now_ns = self._clock.monotonic_ns()
            tally.latencies.record_ns(now_ns - begun_ns)
            actions = await self._look_at(page, number, now_ns)
            if actions:
                asked = RecordActionsRequest(
                    visitor=self._request.visitor, session_id=self._request.session_id, consent=self._request.consent,
                    actions=actions,
                )  # fmt: skip
                await scene.feed.record_actions(asked)
            if not page.next_cursor or draw("scrolls on", *self._key, number) >= _SCROLLS_ON:
                return
            self._request.cursor = page.next_cursor

    async def _look_at(self, page: FeedPage, number: int, now_ns: int) -> list[Action]:
        tally = self._scene.tally
        tally.pages += 1
        actions: list[Action] = []
        place = 0
        for item in page.items:
            if item.HasField("ad"):
                await self._see(item.ad)
                continue
            post = item.post
            tally.posts += 1
            tally.repeated += post.post_id in self._shown
            tally.hidden_shown += post.post_id in self._hidden
            tally.saw(post.post_id, now_ns)
            self._shown.add(post.post_id)
            source = item.why[0].partition(":")[0] if item.why else "?"
            done = self._react(post, number, place)
            tally.count_post(source, place, clicked=bool(done) and done[0].kind == Action.KIND_CLICK)
            actions += done
            place += 1
        for action in actions:
            tally.count_action(action)
        return actions

    def _react(self, post: Post, page: int, place: int) -> list[Action]:
        """What the shopper does with a post: the first action is a click, or a hide or a report alone."""
        key = (*self._key, page, post.post_id)
        fits = self._shopper.fits(post, self._scene.kin)

        def action(kind: Action.Kind.ValueType, subject_id: str = "", detail: str = "") -> Action:
            subject_id = subject_id or post.post_id
            name = Action.Kind.Name(kind).removeprefix("KIND_").lower()
            return Action(
                kind=kind, subject_id=subject_id, action_id=f"{name}-{page}-{post.post_id}"[:64], detail=detail
            )

        if draw("click", *key) >= self._shopper.click_chance(fits, place):
            if fits < _NO_FIT and draw("report", *key) < _REPORT:
                self._hidden.add(post.post_id)
                return [action(Action.KIND_REPORT, detail="spam")]
            if fits < _NO_FIT and draw("hide", *key) < _HIDE:
                self._hidden.add(post.post_id)
                return [action(Action.KIND_HIDE)]
            return []
        done = [action(Action.KIND_CLICK)]
        for kind, chance in _AFTER_CLICK:
            if draw("after click", kind, *key) >= chance * (0.3 + 0.7 * fits):
                continue
            if kind == Action.KIND_PURCHASE:
                if post.product_tags:
                    done.append(action(kind, detail=self._best_product(post)))
            elif kind == Action.KIND_FOLLOW:
                if post.creator_id not in self._followed:
                    self._followed.add(post.creator_id)
                    done.append(action(kind, post.creator_id))
            else:
                done.append(action(kind))
                if kind == Action.KIND_LIKE and draw("unlike", *key) < _UNLIKE:
                    done.append(action(Action.KIND_UNLIKE))
        return done

    def _best_product(self, post: Post) -> str:
        return max((tag.product_id for tag in post.product_tags), key=lambda one: self._shopper.taste.get(one, 0.0))

    async def _see(self, ad: Ad) -> None:
        """An ad is seen, perhaps in view, perhaps clicked, perhaps bought."""
        tally, key = self._scene.tally, (*self._key, ad.impression_id)
        tally.ads += 1
        tally.ad_impressions += 1
        kinds = [Notice.KIND_IMPRESSION]
        if draw("viewable", *key) < _VIEWABLE:
            kinds.append(Notice.KIND_VIEWABLE)
        chance = _AD_CLICK + _AD_CLICK_FITS * self._shopper.taste.get(ad.product_id, 0.0)
        if draw("ad click", *key) < chance:
            kinds.append(Notice.KIND_CLICK)
            tally.ad_clicks += 1
            buys = _AD_BUYS_ON_CPA if ad.pricing_model == PRICING_MODEL_CPA else _AD_BUYS
            if draw("ad buys", *key) < buys:
                kinds.append(Notice.KIND_CONVERSION)
                tally.ad_conversions += 1
        order_id = f"feed-{ad.impression_id}"[:64]
        await self._reporter.report(
            ad,
            [
                Notice(
                    kind=kind, impression_id=ad.impression_id,
                    order_id=order_id if kind == Notice.KIND_CONVERSION else "",
                )
                for kind in kinds
            ],
        )  # fmt: skip


def _failed(tally: FeedTally, error: Exception) -> None:
    tally.failed += 1
    if len(tally.first_errors) < 5:
        tally.first_errors.append(str(error)[:300])


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
