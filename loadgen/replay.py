"""What would have happened on those page views? Logged traffic through the front door, with the notices of a shop.

A click is taken from the log where the ad shows the logged product at the logged position; elsewhere the log knows
nothing, and a click is drawn from `click_rate(product_id, position)` and counted as simulated. Conversions are in no
log: a small share of the clicks is drawn. The draws depend on the seed and the page view alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import grpc

from client.errors import CallFailed, ClientClosed
from client.exchange import ExchangeClient
from common.clock import Clock, SystemClock
from common.errors import FieldError, InvalidInput
from loadgen.arrivals import Sleep, offer
from loadgen.notice_reporter import NoticeReporter, Notified
from loadgen.tally import ReplayTally
from loadgen.views import LoggedView, draw
from protos.exchange_pb2 import Ad, Answer, Notice, PageView

ClickRate = Callable[[str, int], float]


class Storefront(Notified, Protocol):
    """What holds auctions and takes notices; an ExchangeClient is one."""

    async def hold_auction(self, page_view: PageView) -> Answer:
        """The answer to one page view."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How to replay. `speed` 0 is the closed loop: `concurrency` page views are always under way.

    With `speed` above 0 page views come at the times of the log, so many times faster; at most `max_in_flight` wait for
    their answers. Both bounds hold: `max_page_views` and `max_seconds`.
    """

    speed: float = 0.0
    concurrency: int = 64
    connections: int = 2
    max_page_views: int = 1_000_000
    max_seconds: float = 3_600.0
    max_in_flight: int = 4_096
    timeout_ms: int = 1_000
    seed: int = 1
    conversion_share: float = 0.05
    notices: bool = True

    def __post_init__(self) -> None:
        wrong = [
            FieldError(name, str(getattr(self, name)), "give a number above 0")
            for name in ("concurrency", "connections", "max_page_views", "max_seconds", "max_in_flight", "timeout_ms")
            if not getattr(self, name) > 0
        ]
        if not 0 <= self.speed <= 1e9:
            wrong.append(FieldError("speed", str(self.speed), "give 0 for the closed loop, or a factor such as 60"))
        if not 0 <= self.conversion_share <= 1:
            wrong.append(FieldError("conversion_share", str(self.conversion_share), "give 0 to 1"))
        if wrong:
            raise InvalidInput(wrong)


async def replay(
    target: str,
    api_key: str,
    views: Iterable[LoggedView],
    settings: ReplaySettings | None = None,
    *,
    click_rate: ClickRate | None = None,
    progress: Callable[[ReplayTally], None] | None = None,
    progress_every: int = 500,
    stop: asyncio.Event | None = None,
    tally: ReplayTally | None = None,
) -> ReplayTally:
    """Replay `views` against the server at `target`; the tally. A set `stop` ends it after what is under way.

    Cancelled, it closes its connections; hand in a `tally` of your own to read how far it came.
    """
    settings = settings or ReplaySettings()
    clients = [
        ExchangeClient(target, api_key, timeout_ms=settings.timeout_ms, max_in_flight=settings.max_in_flight)
        for _ in range(settings.connections)
    ]
    try:
        one = Replay(clients, settings, click_rate=click_rate, progress=progress, progress_every=progress_every)
        return await one.run(views, stop=stop, tally=tally)
    finally:
        await asyncio.gather(*(client.close() for client in clients))


class Replay:
    """One run over storefronts that are already connected."""

    def __init__(
        self,
        storefronts: Sequence[Storefront],
        settings: ReplaySettings,
        *,
        click_rate: ClickRate | None = None,
        progress: Callable[[ReplayTally], None] | None = None,
        progress_every: int = 500,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._storefronts = storefronts
        self._settings = settings
        self._click_rate = click_rate
        self._progress = progress
        self._progress_every = progress_every
        self._clock: Clock = clock or SystemClock()
        self._sleep = sleep
        self._tally = ReplayTally()
        self._reporters: list[NoticeReporter[Ad]] = []
        self._started = 0

    async def run(
        self, views: Iterable[LoggedView], *, stop: asyncio.Event | None = None, tally: ReplayTally | None = None
    ) -> ReplayTally:
        """Replay; returns when the views or the time are over, or `stop` is set, and all notices are out."""
        settings = self._settings
        self._tally = tally if tally is not None else ReplayTally()
        self._started = 0
        self._reporters = [
            NoticeReporter(storefront, told=self._tally.count_outcome, lost=self._lost)
            for storefront in self._storefronts
        ]
        bounded = islice(views, settings.max_page_views)
        start_ns = self._clock.monotonic_ns()
        if settings.speed > 0:
            self._tally.pace = await offer(
                _at_logged_times(bounded, settings.speed),
                self._view,
                clock=self._clock,
                sleep=self._sleep,
                max_in_flight=settings.max_in_flight,
                duration_s=settings.max_seconds,
                stop=stop,
            )
        else:
            end_ns = start_ns + int(settings.max_seconds * 1e9)
            source = iter(bounded)
            await asyncio.gather(*(self._keep_viewing(source, end_ns, stop) for _ in range(settings.concurrency)))
        await asyncio.gather(*(reporter.drain() for reporter in self._reporters))
        self._tally.seconds = (self._clock.monotonic_ns() - start_ns) / 1e9
        if self._progress is not None:
            self._progress(self._tally)
        return self._tally

    async def _keep_viewing(self, source: Iterator[LoggedView], end_ns: int, stop: asyncio.Event | None) -> None:
        for view in source:
            await self._view(view, self._clock.monotonic_ns())
            if self._clock.monotonic_ns() >= end_ns or (stop is not None and stop.is_set()):
                return

    async def _view(self, view: LoggedView, intended_ns: int) -> None:
        tally = self._tally
        which = self._started % len(self._storefronts)
        self._started += 1
        try:
            answer = await self._storefronts[which].hold_auction(view.page_view)
        except CallFailed as error:
            tally.count_error(error.code.name, str(error))
            if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                tally.latencies.record_ns(self._clock.monotonic_ns() - intended_ns)
        except ClientClosed as error:
            tally.count_error("CANCELLED", str(error))
        else:
            tally.latencies.record_ns(self._clock.monotonic_ns() - intended_ns)
            tally.count_answer(answer)
            if self._settings.notices:
                await self._tell(view, answer, self._reporters[which])
        tally.page_views += 1
        if self._progress is not None and tally.page_views % self._progress_every == 0:
            self._progress(tally)

    async def _tell(self, view: LoggedView, answer: Answer, reporter: NoticeReporter[Ad]) -> None:
        positions = {placement.placement_id: placement.position for placement in view.page_view.placements}
        for placement in answer.placements:
            if placement.HasField("ad"):
                position = positions.get(placement.placement_id, 0)
                await reporter.report(placement.ad, self._notices(view, placement.placement_id, position, placement.ad))

    def _notices(self, view: LoggedView, placement_id: str, position: int, ad: Ad) -> list[Notice]:
        """What becomes of one ad: it is seen, perhaps clicked, perhaps bought."""
        tally, settings = self._tally, self._settings
        key = (settings.seed, view.page_view.request_id, placement_id)
        notices = [Notice(kind=Notice.KIND_IMPRESSION, impression_id=ad.impression_id)]
        tally.impressions += 1
        if view.item and ad.product_id == view.item and position == view.position:
            clicked = view.clicked
            tally.clicks_logged += clicked
        else:
            rate = self._click_rate(ad.product_id, position) if self._click_rate is not None else 0.0
            clicked = draw("click", *key) < rate
            tally.clicks_simulated += clicked
        if clicked:
            notices.append(Notice(kind=Notice.KIND_CLICK, impression_id=ad.impression_id))
            if draw("conversion", *key) < settings.conversion_share:
                order_id = f"order-{view.page_view.request_id}-{position}"[:64]
                notices.append(Notice(kind=Notice.KIND_CONVERSION, impression_id=ad.impression_id, order_id=order_id))
                tally.conversions_simulated += 1
        return notices

    def _lost(self, count: int, error: Exception) -> None:
        self._tally.notices_lost += count
        if len(self._tally.first_errors) < 10:
            self._tally.first_errors.append(str(error))


def _at_logged_times(views: Iterable[LoggedView], speed: float) -> Iterator[tuple[int, LoggedView]]:
    """Each view with its time in ns after the first; one that is older than its predecessor comes with it."""
    first_ms = last_ms = 0
    for view in views:
        at_ms = view.page_view.viewed_at_ms
        if not at_ms:
            raise InvalidInput([FieldError("speed", str(speed), "this log tells no times: replay it with speed 0")])
        first_ms = first_ms or at_ms
        last_ms = max(last_ms, at_ms)
        yield int((last_ms - first_ms) * 1e6 / speed), view
