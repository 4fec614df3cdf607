"""Whatever is sold, said, forgotten and restarted in whichever order: no account is spent beyond its limits.

The model knows only what anybody outside can know: the limits that were set, the ads that were sold, and the answers
to notices. The ledger is SQLite, the log is LMDB, and a restart keeps nothing but these two.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from exchange.billing import SAYABLE
from exchange.budgets import BudgetBook
from exchange.holds import Holds, Terms
from exchange.notices import Kind, Notice, Notices, Verdict
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget
from exchange.recovery import recover
from exchange.request import PricingModel
from exchange.spend import SpendProjector
from streams.schemas import NoticesTaken, decode, encode
from tests.databases import open_database
from tests.examples import examples
from tests.won_batches import FACTS, Sold, a_batch, by_the_thousand, campaign_of, columns_of, pricing_of, reserve

pytestmark = pytest.mark.slow

T = TypeVar("T")
TERMS = Terms(unseen_ms=120_000, seen_ms=1_800_000, clicked_ms=86_400_000)
LINE_ITEMS = range(1, 7)
ACCOUNTS = [*LINE_ITEMS, *sorted({CAMPAIGN_ACCOUNTS + campaign_of(n) for n in LINE_ITEMS})]
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
START = int(datetime(2026, 3, 5, 17, tzinfo=UTC).timestamp() * 1000)
# Limits and prices of one size, so that a few ads are too many.
MICROS = st.integers(1, 8_000)
LIMIT = st.one_of(st.just(0), MICROS)

# Which of the newest ads, what happened, which order.
SAID = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(SAYABLE)), st.sampled_from(["1", "2"])), max_size=8)


class Selling(RuleBasedStateMachine):
    """One exchange process after the other, on one ledger and one log."""

    @initialize(limits=st.lists(st.tuples(LIMIT, LIMIT), min_size=len(ACCOUNTS), max_size=len(ACCOUNTS)))
    def open(self, limits: list[tuple[int, int]]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.clock = SteppedClock(START)
        self.engine = open_database(self.folder)
        self.ledger = SqlBudgetLedger(self.engine, least_lease_micros=500)
        self.log = LmdbEventLog(self.folder / "log", map_size_bytes=1 << 26)
        self.limits = {}
        for at, (account, (total, daily)) in enumerate(zip(ACCOUNTS, limits, strict=True)):
            self.limits[account] = Budget(account, total, daily, "EUR", ZONES[at % len(ZONES)])
            self.ledger.put_budget(self.limits[account])
        self.sold: dict[str, Sold] = {}
        self.said: dict[tuple[str, int, str], int] = {}
        self.latest_ms = START
        self.begin()

    def begin(self) -> None:
        self.book = BudgetBook(self.ledger, "exchange", self.clock, share=3)
        self.holds = Holds(TERMS)
        recovered = recover(
            log=self.log, ledger=self.ledger, holds=self.holds, book=self.book, facts=FACTS, now_ms=self.clock.now_ms()
        )
        assert recovered.missing == 0
        self.notices = Notices(
            holds=self.holds,
            book=self.book,
            clock=self.clock,
            record=lambda event: self.append("notices", encode(event)),
            sync=lambda: None,
            remember=lambda *_: None,
            carried=recovered.carried,
        )
        self.projector = SpendProjector(self.log, self.ledger, "exchange")
        for account in ACCOUNTS:
            self.book.row_of(account)
        self.run(self.book.top_up())

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def append(self, topic: str, payload: bytes) -> None:
        self.log.append(topic, [payload], self.clock.now_ms())

    @rule(
        wanted=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 8_000)), min_size=1, max_size=6),
        pages=st.integers(1, 3),
        top_up=st.booleans(),
        told=SAID,
    )
    def hold_auctions(
        self, wanted: list[tuple[int, int]], pages: int, top_up: bool, told: list[tuple[int, Kind, str]]
    ) -> None:
        """Each wins where the money can be reserved; of some there is news at once."""
        if top_up:
            self.run(self.book.top_up())
        sold = []
        for at, (line_item, price) in enumerate(wanted):
            pricing = pricing_of(line_item) if line_item else PricingModel.CPM
            # Per thousand impressions, with thousandths of a micro left over; or per click, per conversion.
            micros = price * 397 if pricing in (PricingModel.CPM, PricingModel.VCPM) else price
            entry = Sold(line_item, micros, pricing, at % pages, at // pages)
            if reserve(self.book, entry):
                sold.append(entry)
        if sold:
            batch, ids = a_batch(self.book, self.clock.now_ms(), sold)
            self.append("auctions", encode(columns_of(batch)))
            self.holds.add(batch)
            self.sold.update(zip(ids, sold, strict=True))
            self.take(told)

    @rule(chosen=SAID)
    def take_notices(self, chosen: list[tuple[int, Kind, str]]) -> None:
        self.take(chosen)

    def take(self, chosen: list[tuple[int, Kind, str]]) -> None:
        """Of any ads sold so far, newest first, in any order, said any number of times."""
        newest = list(self.sold)[::-1]
        said = [
            Notice(kind, newest[at % len(newest)], order if kind == Kind.CONVERSION else "")
            for at, kind, order in chosen
            if newest
        ]
        for notice, outcome in zip(said, self.run(self.notices.take(said)), strict=True):
            if outcome.verdict in (Verdict.ACCEPTED, Verdict.BEYOND_BUDGET):
                key = (notice.impression_id, notice.kind, notice.order_id)
                assert key not in self.said, f"{key} was accepted twice"
                self.said[key] = outcome.billed_micros
                if outcome.verdict == Verdict.BEYOND_BUDGET:
                    assert outcome.billed_micros == 0 or notice.kind != Kind.IMPRESSION
            else:
                assert outcome.billed_micros == 0

    @rule(ms=st.one_of(st.integers(1, 100_000), st.integers(1_000_000, 100_000_000)))
    def pass_time(self, ms: int) -> None:
        self.clock.step(ms)

    @rule()
    def pass_midnight(self) -> None:
        """To the minute before it or behind it in one of the time zones: 18:30, 0:00, 5:00."""
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        minutes = now.hour * 60 + now.minute
        ahead = min((mark - minutes - 1) % 1440 + 1 for mark in (0, 299, 301, 1109, 1111, 1439))
        self.clock.step(ahead * 60_000)

    @rule()
    def set_the_clock_back(self) -> None:
        self.latest_ms = max(self.latest_ms, self.clock.now_ms())
        self.clock.step(-120_000)

    @rule()
    def expire(self) -> None:
        self.notices.expire()

    @rule()
    def top_up(self) -> None:
        self.run(self.book.top_up())

    @rule(account=st.sampled_from(ACCOUNTS))
    def renew(self, account: int) -> None:
        self.run(self.book.renew([account]))

    @rule()
    def count(self) -> None:
        self.projector.catch_up()

    @rule(account=st.sampled_from(ACCOUNTS), more=MICROS)
    def raise_limits(self, account: int, more: int) -> None:
        old = self.limits[account]
        new = Budget(
            account, old.total_micros and old.total_micros + more, old.daily_micros and old.daily_micros + more,
            old.currency, old.time_zone,
        )  # fmt: skip
        self.limits[account] = new
        self.ledger.put_budget(new)

    @rule(account=st.sampled_from(ACCOUNTS), micros=MICROS, end=st.sampled_from(["keeps", "gives back", "dies"]))
    def another_process_leases(self, account: int, micros: int, end: str) -> None:
        granted = self.ledger.lease("another", {account: micros}, self.clock.now_ms())
        if end == "gives back":
            self.ledger.give_back("another", granted)
        elif end == "dies":
            self.ledger.give_back_all("another")

    @rule()
    def restart_after_a_crash(self) -> None:
        """What the log says is what memory held."""
        self.notices.expire()
        before = self.remembered()
        self.begin()
        # What had run out by a clock that was set back since is open once more.
        assert self.clock.now_ms() < self.latest_ms or self.remembered() == before
        self.say_all_again()

    @rule()
    def restart_in_order(self) -> None:
        self.run(self.notices.drain())
        self.run(self.book.give_back_all())
        self.restart_after_a_crash()

    def remembered(self) -> tuple[object, ...]:
        reserved = self.holds.reserved_by_row()
        by_account = {a: reserved.get(self.book.row_of(a), 0) for a in ACCOUNTS}
        ads = {impression_id: self.holds.find(impression_id) for impression_id in self.sold}
        plain = {i: (h.left_micros, h.seen_at_ms, h.clicked_at_ms, h.order_ids) for i, h in ads.items() if h}
        return by_account, plain, {payer: carry for payer, carry in self.notices._carried.items() if carry}

    def say_all_again(self) -> None:
        said = [Notice(kind, impression_id, order) for impression_id, kind, order in self.said]
        for outcome in self.run(self.notices.take(said)):
            assert outcome.verdict in (Verdict.DUPLICATE, Verdict.EXPIRED)

    @invariant()
    def money_adds_up(self) -> None:
        """Leased = spent + reserved + available in each account, and reserved is what open ads have reserved."""
        reserved = self.holds.reserved_by_row()
        for account in ACCOUNTS:
            standing = self.book.standing(account)
            assert standing.reserved_micros == reserved.get(self.book.row_of(account), 0)

    @invariant()
    def limits_hold(self) -> None:
        """Total and daily, of what is billed, reserved and leased; by the log, by the ledger, by the book."""
        now_ms = self.book.now_ms()
        billed: defaultdict[int, int] = defaultdict(int)
        by_day: defaultdict[tuple[int, str], int] = defaultdict(int)
        worth: defaultdict[int, int] = defaultdict(int)
        paid: defaultdict[int, int] = defaultdict(int)
        carried: dict[int, int] = {}
        in_log: defaultdict[str, int] = defaultdict(int)
        counted_upto = self.ledger.counted_upto()
        counted: defaultdict[tuple[int, str], int] = defaultdict(int)
        for record in self.log.read("notices", 0, 100_000):
            event = decode("notices", record)
            assert isinstance(event, NoticesTaken)
            for notice in event.notices:
                in_log[notice.impression_id] += notice.billed_micros
                number = notice.line_item_number
                if not number:
                    continue
                for account in (number, CAMPAIGN_ACCOUNTS + notice.campaign_number):
                    billed[account] += notice.billed_micros
                    zone = ZoneInfo(self.limits[account].time_zone)
                    day = datetime.fromtimestamp(event.taken_at_ms / 1000, zone).date().isoformat()
                    by_day[account, day] += notice.billed_micros
                    if record.offset < counted_upto:
                        counted[account, day] += notice.billed_micros
                if by_the_thousand(notice.kind, pricing_of(number)):
                    carried[number] = notice.carried_thousandths
                    if notice.verdict == Verdict.ACCEPTED:
                        worth[number] += self.sold[notice.impression_id].price_micros
                        paid[number] += notice.billed_micros

        told: defaultdict[str, int] = defaultdict(int)
        for (impression_id, _, _), micros in self.said.items():
            told[impression_id] += micros
        assert {i: m for i, m in in_log.items() if m} == {i: m for i, m in told.items() if m}
        for number in carried:
            assert worth[number] == 1000 * paid[number] + carried[number]

        standings = self.ledger.standings(ACCOUNTS, now_ms)
        for account, limits in self.limits.items():
            book, ledger = self.book.standing(account), standings[account]
            # Below zero only when the clock was set back: what had run out was sold again, and is now both.
            held = book.reserved_micros + min(book.available_micros, 0)
            assert ledger.spent_total_micros <= billed[account]
            if limits.total_micros:
                assert billed[account] + held <= limits.total_micros
                assert ledger.spent_total_micros + ledger.leased_micros <= limits.total_micros
            if limits.daily_micros:
                today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(limits.time_zone)).date().isoformat()
                assert by_day[account, today] + held <= limits.daily_micros
                assert counted[account, today] + ledger.leased_micros <= limits.daily_micros
                assert all(micros <= limits.daily_micros for (a, _), micros in by_day.items() if a == account)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.projector.catch_up()
            billed: defaultdict[int, int] = defaultdict(int)
            for record in self.log.read("notices", 0, 100_000):
                event = decode("notices", record)
                assert isinstance(event, NoticesTaken)
                for notice in event.notices:
                    billed[notice.line_item_number] += notice.billed_micros
            standings = self.ledger.standings(LINE_ITEMS, START)
            assert {n: standings[n].spent_total_micros for n in LINE_ITEMS} == {n: billed[n] for n in LINE_ITEMS}
            self.log.close()
            self.engine.dispose()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)


TestBudgetsNeverOversell = Selling.TestCase
TestBudgetsNeverOversell.settings = settings(
    max_examples=examples(40), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
