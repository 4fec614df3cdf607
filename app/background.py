"""What goes on beside the calls? Each job by itself, again and again; one that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from app.wiring import Haat
from common.errors import HaatError
from streams.topics import AUCTIONS, NOTICES, TOPICS

_DAY_MS = 86_400_000

_log = logging.getLogger(__name__)


class Background:
    """The jobs of a running haat."""

    def __init__(self, haat: Haat) -> None:
        self._haat = haat
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin all jobs."""
        haat = self._haat
        in_thread = asyncio.to_thread
        jobs: tuple[tuple[str, float, Callable[[], Awaitable[object]]], ...] = (
            ("releasing holds whose time is over", 0.1, self._expire),
            ("leasing budget", 0.25, haat.book.top_up),
            ("leaving out what is exhausted", 0.25, self._leave_out_exhausted),
            ("counting for reports", 0.5, lambda: in_thread(haat.measuring.reports.count_once, haat.log)),
            ("telling bidders of wins and billing", 0.2, self._tell_bidders),
            ("counting spend into the ledger", 0.5, lambda: in_thread(haat.projector.catch_up)),
            ("counting statistics", 0.5, lambda: in_thread(haat.statistics.count_once, haat.log)),
            ("seeing if the exchange is paused", 0.25, lambda: in_thread(haat.money.pause.refresh)),
            ("telling of budgets that run out", 1.0, lambda: in_thread(haat.money.alerts.evaluate)),
            ("counting what placements were offered", 1.0, lambda: in_thread(haat.money.revenue.count_once, haat.log)),
            ("telling the log of changes", 0.1, lambda: in_thread(haat.relay.relay_once)),
            ("bringing the log to disk", 0.5, lambda: in_thread(haat.log.sync)),
            ("bringing profiles to disk", 1.0, lambda: in_thread(haat.profile_store.sync)),
            ("reading currency rates", 5.0, lambda: in_thread(haat.currencies.refresh)),
            ("looking for new API keys", 1.0, lambda: in_thread(haat.keys.refresh)),
            ("looking for a new vendor list", 30.0, lambda: in_thread(haat.consent.refresh)),
            ("dropping what is too old", 3600.0, lambda: in_thread(self._forget_what_is_too_old)),
        )
        self._tasks = [asyncio.create_task(_again(name, every_s, job)) for name, every_s, job in jobs]
        self._tasks.append(asyncio.create_task(haat.follower.follow()))

    async def stop(self) -> None:
        """End all jobs; one that is in a thread is waited for."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tell_bidders(self) -> None:
        haat = self._haat
        await asyncio.to_thread(haat.measuring.outgoing.catch_up, haat.clock.now_ms())
        await haat.measuring.delivery.round()

    async def _expire(self) -> None:
        self._haat.notices.expire()

    async def _leave_out_exhausted(self) -> None:
        self._haat.follower.leave_out_exhausted()

    def _forget_what_is_too_old(self) -> None:
        """Retention, topic by topic; what is counted from them, and bidders told, comes first."""
        haat = self._haat
        counted = {
            NOTICES.name: min(
                haat.ledger.counted_upto(),
                haat.statistics.counted_upto(),
                haat.measuring.reports.read_upto(NOTICES.name),
                haat.measuring.outgoing.read_upto(NOTICES.name),
            ),
            AUCTIONS.name: min(
                haat.money.revenue.counted_upto(),
                haat.measuring.reports.read_upto(AUCTIONS.name),
                haat.measuring.outgoing.read_upto(AUCTIONS.name),
            ),
        }
        haat.money.pruning.prune(haat.clock.now_ms())
        haat.measuring.outgoing_store.forget_before(haat.clock.now_ms() - NOTICES.retention_days * _DAY_MS)
        for topic in TOPICS.values():
            if not topic.retention_days:
                continue
            before_ms = haat.clock.now_ms() - topic.retention_days * _DAY_MS
            offset = haat.log.first_offset_at(topic.name, before_ms)
            haat.log.drop_before(topic.name, min(offset, counted.get(topic.name, offset)))


async def _again(name: str, every_s: float, job: Callable[[], Awaitable[object]]) -> None:
    failing = False
    while True:
        try:
            await job()
            if failing:
                _log.info("%s works again", name)
            failing = False
        except HaatError as error:
            if not failing:
                _log.warning("%s fails and is tried again: %s", name, error)
            failing = True
        except Exception:
            # A mistake of ours in one job must not end the others.
            if not failing:
                _log.exception("%s fails and is tried again", name)
            failing = True
        await asyncio.sleep(every_s)
