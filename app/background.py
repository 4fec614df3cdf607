"""What goes on beside the calls? Each job by itself, again and again; one that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from app.floor_files import RULES_FILE, learned_floors_of, load_rules
from app.haat import Haat
from app.wiring_shared import take_in
from backends.budget_ledger_pooled import PooledBudgetLedger
from common.errors import HaatError
from exchange.log_samples import batches, sample_of
from exchange.pacing_history import PacingHistory
from exchange.report_counts import HOUR_MS
from exchange.viewable_rates import DAYS as VIEWABLE_DAYS
from streams.ports import EventLog
from streams.topics import AUCTIONS, FORWARDED_NOTICES, NOTICES, TOPICS

_DAY_MS = 86_400_000
# What pacing learns of the time before its start.
_REMEMBERED_DAYS = 14
_REMEMBERED_BATCHES = 2_000

# A count that is behind goes on for so long before others have their turn.
_STEP_S = 0.5
_COUNTED_BY_GROUPS = ("counting for reports", "counting statistics")

_log = logging.getLogger(__name__)


class Background:
    """The jobs of a running haat."""

    def __init__(self, haat: Haat) -> None:
        self._haat = haat
        self._tasks: list[asyncio.Task[None]] = []
        self._floors_seen: tuple[int, ...] = ()
        # What reads the log and counts has one thread: several would take the interpreter's lock from the auctions, and
        # SQLite's from one another, only to be done no sooner.
        self._counting = ThreadPoolExecutor(1, thread_name_prefix="counting")
        # A database in the network may be slow. Leases go by what was spent, so that is counted before all else there.
        apart = bool(haat.settings.database_url)
        self._spending = ThreadPoolExecutor(1, thread_name_prefix="spending") if apart else self._counting

    def start(self) -> None:
        """Begin all jobs."""
        haat = self._haat
        in_thread, in_line, log = asyncio.to_thread, self._in_line, haat.log

        def counted(count: Callable[[EventLog], int]) -> Callable[[], Awaitable[object]]:
            return lambda: caught_up(count, log, _STEP_S, in_line)

        on_duty = haat.nodes.on_duty
        jobs: tuple[tuple[str, float, Callable[[], Awaitable[object]]], ...] = (
            ("being heard of by other nodes", 2.0, haat.nodes.beat),
            ("handing on notices of other nodes' ads", 0.25, haat.nodes.forwarding.hand_on),
            ("releasing holds whose time is over", 0.1, self._expire),
            ("leaving out what is exhausted", 0.25, self._leave_out_exhausted),
            ("counting for reports", 2.0, counted(haat.measuring.reports.count_once)),
            ("telling bidders of wins and billing", 0.5, self._tell_bidders),
            ("seeing if the exchange is paused", 0.25, lambda: in_thread(haat.money.pause.refresh)),
            ("telling of budgets that run out", 1.0, on_duty(lambda: in_line(haat.money.alerts.evaluate))),
            ("counting what was offered", 2.0, counted(haat.money.revenue.count_once)),
            ("looking for a new recommender", 5.0, lambda: in_thread(haat.recommender.follow)),
            ("seeing how the queue of moderators is", 5.0, lambda: in_line(haat.moderation.look)),
            (
                "carrying out decisions of moderators",
                2.0,
                on_duty(lambda: in_line(haat.moderation.effects.carry_out_unfinished)),
            ),
            ("ordering the queue of moderators", 60.0, on_duty(lambda: in_line(haat.moderation.cases.refresh_reach))),
            (
                "hearing who vouches for whom",
                1.0,
                counted(haat.moderation.actions.count_once),
            ),
            ("making cases of posts", 0.5, counted(haat.moderation.posts.count_once)),
            ("seeing which posts stood", 3600.0, on_duty(self._posts_stood)),
            ("counting what was bought and kept", 10.0, on_duty(lambda: in_line(haat.moderation.sales.count_kept))),
            ("making reputations anew", 60.0, lambda: in_line(haat.moderation.reputations.refresh)),
            ("leasing budget", 0.25, self._lease),
            ("counting spend into the ledger", 0.5, self._count_spend),
            ("setting the pace of budgets", haat.settings.pacing_interval_s, self._pace),
            ("looking for budgets to pace", 15.0, self._look_for_budgets),
            ("counting statistics", 1.0, counted(haat.statistics.count_once)),
            ("looking for new floors", 1.0, self._look_for_floors),
            ("telling the log of changes", 0.25, lambda: in_line(haat.relay.relay_once)),
            ("counting what is in view", 60.0, lambda: in_line(self._count_what_is_in_view)),
            ("publishing posts whose time has come", 1.0, on_duty(haat.feed_server.posts.run_jobs)),
            ("following short links", 1.0, on_duty(self._follow_links)),
            ("following what becomes of posts", 0.25, lambda: in_line(haat.social.catch_up)),
            ("checking comments that wait", 1.0, on_duty(lambda: in_line(haat.social.check_waiting))),
            ("forgetting who was erased", 0.5, self._forget_who_was_erased),
            ("bringing the log to disk", 0.5, lambda: in_thread(haat.log.sync)),
            ("bringing profiles to disk", 1.0, lambda: in_thread(haat.profile_store.sync)),
            ("taking in products for look-alikes", 1.0, haat.look_alikes.keep_up),
            ("reading currency rates", 5.0, lambda: in_thread(haat.currencies.refresh)),
            ("looking for new API keys", 1.0, lambda: in_thread(haat.keys.refresh)),
            ("looking for a new vendor list", 30.0, lambda: in_thread(haat.consent.refresh)),
            ("reading publishers' ads.txt", 1.0, self._read_ads_txt),
            ("dropping what is too old", 3600.0, lambda: in_line(self._forget_what_is_too_old)),
        )
        if haat.shared is not None:
            jobs = (
                *jobs,
                ("taking in what other nodes are told", 0.25, partial(take_in, haat.shared, haat.catalogue)),
                ("taking in posts of other nodes", 0.25, lambda: haat.followed_posts.take_in(haat.feed_index.put)),
                ("forgetting who was erased on other nodes", 0.5, lambda: in_line(haat.social.erased_here.forget)),
            )
        if haat.redis is not None:
            jobs = (
                *jobs,
                ("tending the pool of budgets", 1.0, lambda: in_thread(self._tend_pool)),
                ("bringing sessions to Redis that it missed", 0.25, self._bring_sessions),
                ("counting profiles", 60.0, lambda: in_thread(self._count_profiles)),
            )
        if haat.kafka is not None:
            # Groups of consumers count these, of all nodes' logs.
            jobs = tuple(job for job in jobs if job[0] not in _COUNTED_BY_GROUPS)
            haat.kafka.start()
        self._tasks = [asyncio.create_task(_again(name, every_s, job)) for name, every_s, job in jobs]
        self._tasks.append(asyncio.create_task(haat.follower.follow()))
        if haat.elastic is not None:
            self._tasks.append(asyncio.create_task(haat.elastic.carry_over()))
        self._tasks.append(asyncio.create_task(self._remember_traffic()))

    async def stop(self) -> None:
        """End all jobs; one that is in a thread is waited for."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for threads in {self._counting, self._spending}:
            await asyncio.to_thread(partial(threads.shutdown, cancel_futures=True))

    def _in_line(self, work: Callable[..., object], *given: object) -> Awaitable[object]:
        """Do something that blocks, after what is being counted."""
        return asyncio.get_running_loop().run_in_executor(self._counting, partial(work, *given))

    async def _tell_bidders(self) -> None:
        haat = self._haat
        await self._in_line(haat.measuring.outgoing.catch_up, haat.clock.now_ms())
        await haat.measuring.delivery.round()

    async def _posts_stood(self) -> None:
        moderation = self._haat.moderation
        events = moderation.actions.posts_stood(self._haat.clock.now_ms())
        await self._in_line(moderation.reputations.record, events)

    async def _follow_links(self) -> None:
        """Ask short links where they lead, and check the posts that wait for it again."""
        if self._haat.moderation.followed is None:
            return
        posts = self._haat.feed_server.posts
        for tenant_id, post_id in await self._haat.moderation.followed.look_up():
            await asyncio.to_thread(posts.posts.check_again, tenant_id, post_id)
        posts.catch_up()

    async def _lease(self) -> None:
        """Nothing more is leased by figures that are too old; what is leased may be spent."""
        if not self._haat.spend_watch.stale:
            await self._haat.book.top_up()

    async def _count_spend(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._spending, self._haat.projector.catch_up)
        self._haat.spend_watch.counted()

    def _tend_pool(self) -> None:
        if isinstance(self._haat.ledger, PooledBudgetLedger):
            self._haat.ledger.tend(self._haat.book.holder, self._haat.book.now_ms())

    async def _bring_sessions(self) -> None:
        if self._haat.redis is not None and self._haat.redis.sessions is not None:
            self._haat.redis.sessions.bring_later(self._haat.clock.now_ms())

    def _count_profiles(self) -> None:
        if self._haat.redis is not None:
            self._haat.redis.profiles = self._haat.profile_store.count()

    async def _forget_who_was_erased(self) -> None:
        self._haat.social.index_erasure.forget_in(self._haat.feed_index)

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
        paths = (haat.settings.keys_dir / RULES_FILE, haat.settings.models_dir / "floors" / "manifest.json")
        seen = await asyncio.to_thread(lambda: tuple(_changed_ns(path) for path in paths))
        if seen == self._floors_seen:
            return
        first, self._floors_seen = not self._floors_seen, seen
        if first:
            return
        rules = await asyncio.to_thread(load_rules, haat.settings.keys_dir, haat.settings.currency)
        haat.floors.use(rules, await asyncio.to_thread(learned_floors_of, haat.settings))
        _log.info("floors of version %s: %d rules", rules.version, len(rules.rules))

    async def _read_ads_txt(self) -> None:
        if self._haat.ads_txt is not None:
            await self._haat.ads_txt.book.look_up()

    async def _expire(self) -> None:
        self._haat.notices.expire()

    async def _leave_out_exhausted(self) -> None:
        self._haat.follower.leave_out_exhausted()

    def _count_what_is_in_view(self) -> None:
        haat = self._haat
        haat.viewable.use(haat.shown.shown((haat.clock.now_ms() - VIEWABLE_DAYS * _DAY_MS) // HOUR_MS))

    def _forget_what_is_too_old(self) -> None:
        """Retention, topic by topic; what is counted from them, and bidders told, comes first."""
        haat = self._haat
        counted = {
            NOTICES.name: min(haat.ledger.counted_upto(), haat.measuring.outgoing.read_upto(NOTICES.name)),
            AUCTIONS.name: min(haat.money.revenue.counted_upto(), haat.measuring.outgoing.read_upto(AUCTIONS.name)),
        }
        if haat.kafka is not None:
            shipped = haat.kafka.shipper.shipped_upto
            counted = {topic: min(shipped(topic), counted.get(topic, shipped(topic))) for topic in TOPICS}
        else:
            counted[NOTICES.name] = min(
                counted[NOTICES.name],
                haat.statistics.counted_upto(),
                haat.measuring.reports.read_upto(NOTICES.name),
            )
            counted[AUCTIONS.name] = min(counted[AUCTIONS.name], haat.measuring.reports.read_upto(AUCTIONS.name))
        handed = haat.nodes.forwarding.handed_upto()
        counted[FORWARDED_NOTICES.name] = min(counted.get(FORWARDED_NOTICES.name, handed), handed)
        if haat.nodes.membership.on_duty:
            haat.money.pruning.prune(haat.clock.now_ms())
            haat.feed_server.posts.media.drop_stale_uploads()
            haat.social.expunge()
            haat.moderation.prune()
        haat.measuring.outgoing_store.forget_before(haat.clock.now_ms() - NOTICES.retention_days * _DAY_MS)
        for topic in TOPICS.values():
            if not topic.retention_days:
                continue
            before_ms = haat.clock.now_ms() - topic.retention_days * _DAY_MS
            offset = haat.log.first_offset_at(topic.name, before_ms)
            haat.log.drop_before(topic.name, min(offset, counted.get(topic.name, offset)))


def _changed_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


async def caught_up(
    count: Callable[[EventLog], int],
    log: EventLog,
    within_s: float,
    run: Callable[..., Awaitable[object]] = asyncio.to_thread,
) -> bool:
    """Count step after step until nothing is new, or the time is over; True when nothing is. `run` finds a thread."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while await run(count, log):
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
