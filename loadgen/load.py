"""How much can the exchange take, and how long does it take then? Closed loop or constant arrivals, always bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

import grpc

from client.errors import AuctionRefused, CallFailed, ClientClosed
from client.exchange import MAX_PAGE_VIEWS, ExchangeClient
from common.clock import Clock, SystemClock
from common.errors import FieldError, InvalidInput
from loadgen.arrivals import constant_rate, offer
from loadgen.notice_reporter import NoticeReporter
from loadgen.report import LoadReport
from loadgen.synthetic import FreshViews
from protos.exchange_pb2 import Ad, Answer, Notice, NoticeOutcome, PageView

MODES = ("unary", "stream", "batch")


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How to load. `rate_per_s` 0 is the closed loop with `concurrency` calls under way; above 0 the open loop.

    A call is one page view, or `batch_size` of them in mode `batch`; rates and bounds count page views. Calls that
    start within `warmup_s` are not counted.
    """

    mode: str = "stream"
    batch_size: int = 64
    connections: int = 2
    concurrency: int = 64
    rate_per_s: float = 0.0
    duration_s: float = 10.0
    max_page_views: int = 5_000_000
    warmup_s: float = 1.0
    max_in_flight: int = 4_096
    timeout_ms: int = 1_000
    notices: bool = False

    def __post_init__(self) -> None:
        wrong = [
            FieldError(name, str(getattr(self, name)), "give a number above 0")
            for name in ("connections", "concurrency", "duration_s", "max_page_views", "max_in_flight", "timeout_ms")
            if not getattr(self, name) > 0
        ]
        if self.mode not in MODES:
            wrong.append(FieldError("mode", repr(self.mode[:20]), f"give one of {', '.join(MODES)}"))
        if not 1 <= self.batch_size <= MAX_PAGE_VIEWS:
            wrong.append(FieldError("batch_size", str(self.batch_size), f"give 1 to {MAX_PAGE_VIEWS}"))
        if not 0 <= self.rate_per_s <= 1e7:
            wrong.append(FieldError("rate_per_s", str(self.rate_per_s), "give 0 for the closed loop, or a rate"))
        if not 0 <= self.warmup_s < self.duration_s:
            wrong.append(FieldError("warmup_s", str(self.warmup_s), f"give less than duration_s ({self.duration_s})"))
        if wrong:
            raise InvalidInput(wrong)

    @property
    def page_views_a_call(self) -> int:
        """How many page views travel in one call."""
        return self.batch_size if self.mode == "batch" else 1


async def load(
    target: str,
    api_key: str,
    page_views: Sequence[PageView],
    settings: LoadSettings | None = None,
    *,
    progress: Callable[[LoadReport], None] | None = None,
    clock: Clock | None = None,
) -> LoadReport:
    """Load the server at `target` with copies of `page_views`; what was seen. `progress` is called once a second."""
    settings = settings or LoadSettings()
    clients = [
        ExchangeClient(
            target,
            api_key,
            coalesce=settings.mode == "stream",
            timeout_ms=settings.timeout_ms,
            max_in_flight=settings.max_in_flight,
        )
        for _ in range(settings.connections)
    ]
    run = _LoadRun(clients, FreshViews(list(page_views), uuid4().hex[:12]), settings, clock or SystemClock())
    watching = asyncio.create_task(_watch(run, progress)) if progress is not None else None
    try:
        return await run.run()
    finally:
        if watching is not None:
            watching.cancel()
        await asyncio.gather(*(client.close() for client in clients))


async def _watch(run: _LoadRun, progress: Callable[[LoadReport], None]) -> None:
    while True:
        await asyncio.sleep(1.0)
        progress(run.report_so_far())


class _LoadRun:
    def __init__(
        self, clients: Sequence[ExchangeClient], views: FreshViews, settings: LoadSettings, clock: Clock
    ) -> None:
        self._clients = clients
        self._views = views
        self._settings = settings
        self._clock = clock
        self._report = LoadReport(mode=settings.mode, rate_per_s=settings.rate_per_s)
        self._calls = 0
        self._start_ns = 0
        self._measured_from_ns = 0
        self._cpu_s = 0.0
        self._reporters: list[NoticeReporter[Ad]] = [
            NoticeReporter(client, told=self._told, lost=self._lost) for client in clients
        ]

    async def run(self) -> LoadReport:
        settings = self._settings
        self._start_ns = self._clock.monotonic_ns()
        self._measured_from_ns = self._start_ns + int(settings.warmup_s * 1e9)
        self._cpu_s = time.process_time()
        most_calls = -(-settings.max_page_views // settings.page_views_a_call)
        if settings.rate_per_s > 0:
            self._report.pace = await offer(
                constant_rate(settings.rate_per_s / settings.page_views_a_call, range(most_calls)),
                lambda _, intended_ns: self._call(intended_ns),
                clock=self._clock,
                max_in_flight=settings.max_in_flight,
                duration_s=settings.duration_s,
            )
        else:
            calls = iter(range(most_calls))
            await asyncio.gather(*(self._keep_calling(calls) for _ in range(settings.concurrency)))
        report = self.report_so_far()
        await asyncio.gather(*(reporter.drain() for reporter in self._reporters))
        return report

    def report_so_far(self) -> LoadReport:
        report, now_ns = self._report, self._clock.monotonic_ns()
        report.seconds = max(now_ns - self._measured_from_ns, 0) / 1e9
        elapsed_s = max((now_ns - self._start_ns) / 1e9, 1e-9)
        report.generator_cpu_share = (time.process_time() - self._cpu_s) / elapsed_s
        return report

    async def _keep_calling(self, calls: Iterator[int]) -> None:
        end_ns = self._start_ns + int(self._settings.duration_s * 1e9)
        for _ in calls:
            now_ns = self._clock.monotonic_ns()
            if now_ns >= end_ns:
                return
            await self._call(now_ns)

    async def _call(self, intended_ns: int) -> None:
        size = self._settings.page_views_a_call
        which = self._calls % len(self._clients)
        self._calls += 1
        views = [self._views.next() for _ in range(size)]
        errors: dict[str, int] = {}
        answers: list[Answer] = []
        late = 0
        try:
            if self._settings.mode == "batch":
                for result in await self._clients[which].hold_auctions(views):
                    if isinstance(result, AuctionRefused):
                        errors[result.code.name] = errors.get(result.code.name, 0) + 1
                    else:
                        answers.append(result)
            else:
                answers = [await self._clients[which].hold_auction(views[0])]
        except CallFailed as error:
            errors[error.code.name] = size
            late = size if error.code is grpc.StatusCode.DEADLINE_EXCEEDED else 0
            self._report.remember(str(error))
        except ClientClosed as error:
            errors["CANCELLED"] = size
            self._report.remember(str(error))
        if self._settings.notices:
            await self._tell(answers, self._reporters[which])
        if intended_ns >= self._measured_from_ns:
            self._report.count(answers, errors, late, self._clock.monotonic_ns() - intended_ns)

    async def _tell(self, answers: list[Answer], reporter: NoticeReporter[Ad]) -> None:
        for answer in answers:
            for placement in answer.placements:
                if placement.HasField("ad"):
                    seen = Notice(kind=Notice.KIND_IMPRESSION, impression_id=placement.ad.impression_id)
                    await reporter.report(placement.ad, [seen])

    def _told(self, ad: Ad, notice: Notice, outcome: NoticeOutcome) -> None:
        self._report.notices += 1

    def _lost(self, count: int, error: Exception) -> None:
        self._report.notices_lost += count
        self._report.remember(str(error))
