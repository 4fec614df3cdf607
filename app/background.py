"""What goes on beside the calls? Each job by itself, again and again; one that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.floor_files import RULES_FILE, learned_floors_of, load_rules
from app.haat import Haat
from common.errors import HaatError
from exchange.log_samples import batches, sample_of
from exchange.pacing_history import PacingHistory
from streams.ports import EventLog
from streams.topics import AUCTIONS, NOTICES, TOPICS

_DAY_MS = 86_400_000
# What pacing learns of the time before its start.
_REMEMBERED_DAYS = 14
_REMEMBERED_BATCHES = 2_000

# A count that is behind goes on for so long before others have their turn.
_STEP_S = 0.5

_log = logging.getLogger(__name__)


class Background:
    """The jobs of a running haat."""

    def __init__(self, haat: Haat) -> None:
        self._haat = haat
        self._tasks: list[asyncio.Task[None]] = []
        self._floors_seen: tuple[int, ...] = ()

    def start(self) -> None:
        """Begin all jobs."""
        haat = self._haat
        in_thread = asyncio.to_thread
        jobs: tuple[tuple[str, float, Callable[[], Awaitable[object]]], ...] = (
            ("releasing holds whose time is over", 0.1, self._expire),
            ("leaving out what is exhausted", 0.25, self._leave_out_exhausted),
            ("counting for reports", 0.5, lambda: caught_up(haat.measuring.reports.count_once, haat.log, _STEP_S)),
            ("telling bidders of wins and billing", 0.2, self._tell_bidders),
            ("seeing if the exchange is paused", 0.25, lambda: in_thread(haat.money.pause.refresh)),
            ("telling of budgets that run out", 1.0, lambda: in_thread(haat.money.alerts.evaluate)),
            ("counting what was offered", 1.0, lambda: caught_up(haat.money.revenue.count_once, haat.log, _STEP_S)),
            ("leasing budget", 0.25, self._lease),
            ("counting spend into the ledger", 0.5, self._count_spend),
            ("setting the pace of budgets", haat.settings.pacing_interval_s, self._pace),
            ("looking for budgets to pace", 15.0, self._look_for_budgets),
            ("counting statistics", 0.5, lambda: caught_up(haat.statistics.count_once, haat.log, _STEP_S)),
            ("looking for new floors", 1.0, self._look_for_floors),
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
        self._tasks.append(asyncio.create_task(self._remember_traffic()))

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

    async def _lease(self) -> None:
        """Nothing more is leased by figures that are too old; what is leased may be spent."""
        if not self._haat.spend_watch.stale:
            await self._haat.book.top_up()

    async def _count_spend(self) -> None:
        await asyncio.to_thread(self._haat.projector.catch_up)
        self._haat.spend_watch.counted()

    async def _pace(self) -> None:
        self._haat.pacer.step()

    async def _remember_traffic(self) -> None:
        """Once: when traffic came in the days before this process began. Without it every hour counts the same."""
        haat = self._haat
        if not haat.pacer.paced:
            return
        items = haat.follower.snapshot.items
        history = PacingHistory({item.number: item.campaign_number for item in items})
        now_ms = haat.clock.now_ms()
        try:
            sample = sample_of(haat.log, now_ms - _REMEMBERED_DAYS * _DAY_MS, now_ms, _REMEMBERED_BATCHES)
            await asyncio.to_thread(lambda: history.count(batches(haat.log, sample)))
            haat.pacer.remember(history)
        except HaatError as error:
            _log.warning("the traffic of the last days cannot be read, so all hours count the same: %s", error)

    async def _look_for_budgets(self) -> None:
        """Days begin, spend is counted by others, dates pass: what the ledger says is taken over."""
        await self._haat.pacer.refresh()

    async def _look_for_floors(self) -> None:
        """Rules that were set, and floors that were learned, while this process runs."""
        haat = self._haat
        paths = (haat.settings.data_dir / RULES_FILE, haat.settings.models_dir / "floors" / "manifest.json")
        seen = await asyncio.to_thread(lambda: tuple(_changed_ns(path) for path in paths))
        if seen == self._floors_seen:
            return
        first, self._floors_seen = not self._floors_seen, seen
        if first:
            return
        rules = await asyncio.to_thread(load_rules, haat.settings.data_dir, haat.settings.currency)
        haat.floors.use(rules, await asyncio.to_thread(learned_floors_of, haat.settings))
        _log.info("floors of version %s: %d rules", rules.version, len(rules.rules))

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


def _changed_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


async def caught_up(count: Callable[[EventLog], int], log: EventLog, within_s: float) -> bool:
    """Count step after step until nothing is new, or the time is over; True when nothing is."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while await asyncio.to_thread(count, log):
        if loop.time() >= until_s:
            return False
    return True


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
