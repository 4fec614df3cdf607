"""What goes on beside the calls? Each job by itself, again and again; one that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from app.wiring import Haat
from common.errors import HaatError

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
            ("counting spend into the ledger", 0.2, lambda: in_thread(haat.projector.catch_up)),
            ("counting statistics", 0.5, lambda: in_thread(haat.statistics.count_once, haat.log)),
            ("telling the log of changes", 0.1, lambda: in_thread(haat.relay.relay_once)),
            ("bringing the log to disk", 0.5, lambda: in_thread(haat.log.sync)),
            ("looking for new API keys", 1.0, lambda: in_thread(haat.keys.refresh)),
            ("reading counts of events", 1.0, self._count_events),
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

    async def _expire(self) -> None:
        self._haat.notices.expire()

    async def _count_events(self) -> None:
        metrics, publisher = self._haat.metrics, self._haat.publisher
        for topic, count in publisher.published.items():
            metrics.events_written(topic, count - self._written.get(topic, 0))
        for topic, count in publisher.dropped.items():
            metrics.events_dropped(topic, count - self._dropped.get(topic, 0))
        self._written, self._dropped = dict(publisher.published), dict(publisher.dropped)

    _written: dict[str, int] = {}  # noqa: RUF012 — replaced whole, never changed
    _dropped: dict[str, int] = {}  # noqa: RUF012


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
