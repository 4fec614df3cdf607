"""What goes on beside the calls? Each job by itself, again and again; one that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from app.floor_files import RULES_FILE, learned_floors_of, load_rules
from app.haat import Haat
from app.huge_pages import use_huge_pages
from app.job_lines import Job, JobLine, Trouble
from app.wiring_shared import take_in
from backends.budget_ledger_pooled import PooledBudgetLedger
from common.errors import HaatError
from exchange.log_samples import batches, sample_of
from exchange.pacing_history import PacingHistory
from exchange.report_counts import HOUR_MS
from exchange.viewable_rates import DAYS as VIEWABLE_DAYS
from streams.ports import EventLog
from streams.topics import AUCTIONS, FEED_ACTIONS, FORWARDED_NOTICES, NOTICES, POSTS, TOPICS

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
        self._lines: list[JobLine] = []
        self._floors_seen: tuple[int, ...] = ()

    def start(self) -> None:
        """Begin all jobs."""
        haat = self._haat
        self._lines = [JobLine(name, jobs) for name, jobs in self._blocking().items()]
        for line in self._lines:
            line.start()
        if haat.kafka is not None:
            haat.kafka.start()
        self._tasks = [asyncio.create_task(_again(name, every_s, job)) for name, every_s, job in self._on_the_loop()]
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
        for line in self._lines:
            await asyncio.to_thread(line.stop)

    def _blocking(self) -> dict[str, list[Job]]:
        """What blocks, by its line.

        What reads the log and counts has one thread: several would take the interpreter's lock from the auctions, and
        SQLite's from one another, only to be done no sooner.
        """
        haat, log = self._haat, self._haat.log
        follows, on_duty = partial(following, log), haat.nodes.on_duty
        counting = [
            Job("telling the log of changes", 0.25, haat.relay.relay_once),
            Job("following what becomes of posts", 0.25, haat.social.catch_up),
            Job("making cases of posts", 0.5, follows(haat.moderation.posts.count_once, POSTS.name)),
            Job("finding out whom to tell of wins and billing", 0.5, self._find_whom_to_tell),
            Job("hearing who vouches for whom", 1.0, follows(haat.moderation.actions.count_once, FEED_ACTIONS.name)),
            Job("telling of budgets that run out", 1.0, on_duty(haat.money.alerts.evaluate)),
            Job("checking comments that wait", 1.0, on_duty(haat.social.check_waiting)),
            Job("counting what was offered", 2.0, follows(haat.money.revenue.count_once, AUCTIONS.name)),
            Job("carrying out decisions of moderators", 2.0, on_duty(haat.moderation.effects.carry_out_unfinished)),
            Job("seeing how the queue of moderators is", 5.0, haat.moderation.look),
            Job("counting what was bought and kept", 10.0, on_duty(haat.moderation.sales.count_kept)),
            Job("ordering the queue of moderators", 60.0, on_duty(haat.moderation.cases.refresh_reach)),
            Job("making reputations anew", 60.0, haat.moderation.reputations.refresh),
            Job("counting what is in view", 60.0, self._count_what_is_in_view),
            Job("dropping what is too old", 3600.0, self._forget_what_is_too_old),
        ]
        if haat.kafka is None:
            # Otherwise groups of consumers count these, of all nodes' logs.
            counting += [
                Job("counting statistics", 1.0, follows(haat.statistics.count_once, NOTICES.name)),
                Job(
                    "counting for reports",
                    2.0,
                    follows(haat.measuring.reports.count_once, AUCTIONS.name, NOTICES.name),
                ),
            ]
        looking = [
            Job("seeing if the exchange is paused", 0.25, haat.money.pause.refresh),
            Job("looking for new API keys", 1.0, haat.keys.refresh),
        ]
        # Apart, as reading a new recommender takes seconds, and a pause is to be seen at once.
        reading = [
            Job("reading currency rates", 5.0, haat.currencies.refresh),
            Job("looking for a new recommender", 5.0, haat.recommender.follow),
            Job("looking for a new vendor list", 30.0, haat.consent.refresh),
        ]
        syncing = [
            Job("bringing the log to disk", 0.5, log.sync),
            Job("bringing profiles to disk", 1.0, haat.profile_store.sync),
        ]
        if haat.shared is not None:
            counting.append(Job("forgetting who was erased on other nodes", 0.5, haat.social.erased_here.forget))
        spend = Job("counting spend into the ledger", 0.5, self._count_spend)
        lines = {"counting": [spend, *counting], "looking": looking, "reading": reading, "syncing": syncing}
        if haat.redis is not None:
            lines["pooling"] = [
                Job("tending the pool of budgets", 1.0, self._tend_pool),
                Job("counting profiles", 60.0, self._count_profiles),
            ]
        if haat.settings.database_url:
            # A database in the network may be slow. Leases go by what was spent, so that is counted apart there.
            lines |= {"counting": counting, "spending": [spend]}
        return lines

    def _on_the_loop(self) -> list[tuple[str, float, Callable[[], Awaitable[object]]]]:
        """What touches what auctions read, and what waits without blocking."""
        haat = self._haat
        on_duty = haat.nodes.on_duty_awaited
        jobs: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
            ("being heard of by other nodes", 2.0, haat.nodes.beat),
            ("handing on notices of other nodes' ads", 0.25, haat.nodes.forwarding.hand_on),
            ("releasing holds whose time is over", 0.1, self._expire),
            ("leaving out what is exhausted", 0.25, self._leave_out_exhausted),
            ("telling bidders of wins and billing", 0.5, haat.measuring.delivery.round),
            ("seeing which posts stood", 3600.0, on_duty(self._posts_stood)),
            ("leasing budget", 0.25, self._lease),
            ("setting the pace of budgets", haat.settings.pacing_interval_s, self._pace),
            ("looking for budgets to pace", 15.0, self._look_for_budgets),
            ("looking for new floors", 1.0, self._look_for_floors),
            ("publishing posts whose time has come", 1.0, on_duty(haat.feed_server.posts.run_jobs)),
            ("following short links", 1.0, on_duty(self._follow_links)),
            ("forgetting who was erased", 0.5, self._forget_who_was_erased),
            ("taking in products for look-alikes", 1.0, haat.look_alikes.keep_up),
            ("reading publishers' ads.txt", 1.0, self._read_ads_txt),
        ]
        if haat.settings.huge_pages == "auto":
            jobs.append(("bringing memory together in huge pages", 60.0, lambda: asyncio.to_thread(use_huge_pages)))
        if haat.shared is not None:
            jobs += [
                ("taking in what other nodes are told", 0.25, partial(take_in, haat.shared, haat.catalogue)),
                ("taking in posts of other nodes", 0.25, lambda: haat.followed_posts.take_in(haat.feed_index.put)),
            ]
        if haat.redis is not None:
            jobs.append(("bringing sessions to Redis that it missed", 0.25, self._bring_sessions))
        return jobs

    def _find_whom_to_tell(self) -> None:
        self._haat.measuring.outgoing.catch_up(self._haat.clock.now_ms())

    async def _posts_stood(self) -> None:
        moderation = self._haat.moderation
        events = moderation.actions.posts_stood(self._haat.clock.now_ms())
        await asyncio.to_thread(moderation.reputations.record, events)

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

    def _count_spend(self) -> None:
        self._haat.projector.catch_up()
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


def caught_up(count: Callable[[EventLog], int], log: EventLog, within_s: float) -> bool:
    """Count step after step until nothing is new, or the time is over; True when nothing is. Blocks."""
    until_s = time.monotonic() + within_s
    while count(log):
        if time.monotonic() >= until_s:
            return False
    return True


def following(log: EventLog, count: Callable[[EventLog], int], *topics: str) -> Callable[[], None]:
    """A job that counts what these topics say, and rests while they say nothing new."""
    counted: list[int] = []

    def catch_up() -> None:
        nonlocal counted
        # Looked at before: what comes meanwhile is looked for the next time.
        ends = [log.end(topic) for topic in topics]
        if ends != counted and caught_up(count, log, _STEP_S):
            counted = ends

    return catch_up


async def _again(name: str, every_s: float, job: Callable[[], Awaitable[object]]) -> None:
    trouble = Trouble(name)
    while True:
        with trouble.told():
            await job()
        await asyncio.sleep(every_s)
