"""Does a process that is killed at any moment lose or double anything? `python -m tests.simulation.kills --kills 200`

A child holds auctions and takes notices on the embedded log and ledger, says on a pipe what it has told the world, and
is killed with SIGKILL. The parent then reads the log and the ledger, recovers, and holds the child to its word. What
the child does is drawn from the seed; when the kill meets it is up to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Engine, func, select
from starlette.applications import Starlette
from starlette.types import Message

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from backends.outgoing_sql import SqlOutgoingStore
from backends.sql import reading
from backends.sql_tables_measurement import OUTGOING
from backends.sql_tables_money import BALANCE_ACCOUNTS, BALANCE_POSTINGS
from common.clock import SteppedClock
from exchange.billing import Kind, Known, Notice, NoticeOutcome, Verdict, decide
from exchange.budgets import BudgetBook
from exchange.creatives.templates import EventUrls
from exchange.event_endpoints import EventEndpoints
from exchange.event_urls import SignedUrls
from exchange.holds import Holds, Terms
from exchange.invalid_traffic import Agents, Limits
from exchange.networks import Networks
from exchange.notice_delivery import NoticeDelivery, Sent
from exchange.notices import Notices
from exchange.outgoing import OutgoingProjector, OutgoingState
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget
from exchange.recovery import recover
from exchange.request import PricingModel
from exchange.spend import SpendProjector
from exchange.tokens import SigningKey, Tokens
from streams.schemas import NoticesTaken, NoticeTaken, decode, encode
from tests.databases import open_database
from tests.won_batches import FACTS, Sold, a_batch, by_the_thousand, campaign_of, columns_of, pricing_of, reserve

TERMS = Terms(unseen_ms=20_000, seen_ms=120_000, clicked_ms=3_600_000)
LINE_ITEMS = range(1, 10)
ACCOUNTS = [*LINE_ITEMS, *sorted({CAMPAIGN_ACCOUNTS + campaign_of(n) for n in LINE_ITEMS})]
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
START = int(datetime(2026, 3, 5, 17, tzinfo=UTC).timestamp() * 1000)
HOLDER = "exchange"


class Told(msgspec.Struct):
    """A line of the child: its time, what it sold and what it answered."""

    now_ms: int
    # Impression id, line item, price.
    sold: list[tuple[str, int, int]] = []
    # Kind, impression id, order, verdict, billed.
    answered: list[tuple[int, str, str, int, int]] = []
    # What an outside bidder heard of.
    heard: list[str] = []


class Report(msgspec.Struct):
    """What all children together did."""

    kills: int = 0
    sold: int = 0
    accepted: int = 0
    beyond_budget: int = 0
    billed_micros: int = 0
    # Notices in the log that no answer named: implied impressions, and those whose answer the kill cut off.
    unanswered: int = 0
    # Records that the ledger had yet to count.
    uncounted: int = 0
    # Ads that were open when the parent recovered.
    open_ads: int = 0
    # Billings that bidders are told of, and how often they heard of them.
    to_tell: int = 0
    told: int = 0


def limits_of(account: int) -> Budget:
    """Limits small enough that many accounts reach them; by number, so child and parent know the same."""
    chance = random.Random(account)
    total, daily = chance.choice([0, 400_000, 3_000_000]), chance.choice([0, 150_000, 400_000])
    return Budget(account, total, daily, "EUR", ZONES[account % len(ZONES)])


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Report:
    """Kill as often and check after each; AssertionError with the seed and the turn."""
    report = Report()
    chance = random.Random(seed)
    engine = open_database(folder)
    for account in ACCOUNTS:
        SqlBudgetLedger(engine).put_budget(limits_of(account))
    engine.dispose()
    told: list[Told] = []
    for turn in range(kills):
        told += one_life(folder, told, chance)
        report.kills += 1
        try:
            check(folder, told, report)
        except AssertionError as error:
            error.add_note(f"seed={seed} turn={turn}")
            raise
    asyncio.run(tell_the_rest(folder, told, report))
    return report


def one_life(folder: Path, told: list[Told], chance: random.Random) -> list[Told]:
    """What the child told until it was killed; a line that was cut off was told to nobody."""
    reader, writer = os.pipe()
    seed = chance.getrandbits(32)
    lines_to_live, last_wait_s = chance.randrange(1, 150), chance.random() * 0.01
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            asyncio.run(live(folder, told, random.Random(seed), writer))
        except BaseException as error:
            os.write(2, f"the child failed: {error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(writer)
    data = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while data.count(b"\n") < lines_to_live and (part := pipe.read(1 << 16)):
            data += part
        # So that it dies in the middle of anything, not just behind a line.
        time.sleep(last_wait_s)
        os.kill(child, signal.SIGKILL)
        while part := pipe.read(1 << 16):
            data += part
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    assert os.WTERMSIG(status) == signal.SIGKILL
    return [msgspec.json.decode(line, type=Told) for line in data.split(b"\n")[:-1]]


async def live(folder: Path, told: list[Told], chance: random.Random, pipe: int) -> None:
    """Sell, take notices, top up, count and let time pass, side by side, until killed."""
    clock = SteppedClock(told[-1].now_ms if told else START)
    engine = open_database(folder)
    ledger = SqlBudgetLedger(engine, least_lease_micros=20_000)
    log = LmdbEventLog(folder / "log", map_size_bytes=1 << 30)
    book, holds = BudgetBook(ledger, HOLDER, clock), Holds(TERMS)
    recovered = recover(log=log, ledger=ledger, holds=holds, book=book, facts=FACTS, now_ms=clock.now_ms())
    notices = Notices(
        holds=holds,
        book=book,
        clock=clock,
        record=lambda event: append("notices", encode(event)),
        sync=log.sync,
        remember=lambda *_: None,
        carried=recovered.carried,
    )
    projector = SpendProjector(log, ledger, HOLDER)
    sold = [impression_id for line in told[-40:] for impression_id, _, _ in line.sold]

    def append(topic: str, payload: bytes) -> None:
        log.append(topic, [payload], clock.now_ms())

    def tell(line: Told) -> None:
        os.write(pipe, msgspec.json.encode(line) + b"\n")

    def sell() -> None:
        wanted = []
        for at in range(chance.randrange(1, 12)):
            line_item = chance.randrange(len(LINE_ITEMS) + 1)
            pricing = pricing_of(line_item) if line_item else PricingModel.CPM
            by_view = pricing in (PricingModel.CPM, PricingModel.VCPM)
            price = chance.randrange(1, 9_000_000 if by_view else 90_000)
            wanted.append(Sold(line_item, price, pricing, at // 3, at % 3))
        won = [entry for entry in wanted if reserve(book, entry)]
        batch, ids = a_batch(book, clock.now_ms(), won, visitor_id="v")
        append("auctions", encode(columns_of(batch)))
        holds.add(batch)
        sold.extend(ids)
        entries = zip(ids, won, strict=True)
        tell(Told(clock.now_ms(), sold=[(i, entry.line_item, entry.price_micros) for i, entry in entries]))

    async def say() -> None:
        while True:
            known = sold[-60:]
            said = []
            for _ in range(chance.randrange(1, 9) if known else 0):
                kind = chance.choice([Kind.IMPRESSION, Kind.IMPRESSION, Kind.VIEWABLE, Kind.CLICK, Kind.CONVERSION])
                order = chance.choice("12") if kind == Kind.CONVERSION else ""
                said.append(Notice(kind, chance.choice(known), order))
            await take(said)
            await asyncio.sleep(0)

    async def take(said: Sequence[Notice]) -> list[NoticeOutcome]:
        outcomes = await notices.take(said)
        answered = [
            (int(n.kind), n.impression_id, n.order_id, int(o.verdict), o.billed_micros)
            for n, o in zip(said, outcomes, strict=True)
        ]
        if answered:
            tell(Told(clock.now_ms(), answered=answered))
        return outcomes

    async def browse() -> None:
        """The same by the endpoints that browsers call."""
        tokens = Tokens(lambda: (SigningKey(1, b"k" * 32),))
        urls = SignedUrls(tokens, "", TERMS)
        app = Starlette(routes=event_endpoints(tokens, holds, take, clock).routes())
        while True:
            if sold:
                mine = EventUrls(urls, chance.choice(sold[-60:]))
                url = (
                    mine.click("https://shop.example/")
                    if chance.random() < 0.3
                    else mine.event(chance.choice(["impression", "viewable", "start", "complete"]))
                )
                await visit(app, url, robot=chance.random() < 0.1)
            await asyncio.sleep(0)

    async def inform() -> None:
        """Bidders are told of what was billed; every third call fails."""
        store = SqlOutgoingStore(engine)
        projector = OutgoingProjector(log, store)

        async def send(url: str) -> Sent:
            if chance.random() < 0.3:
                return Sent(500, "no")
            tell(Told(clock.now_ms(), heard=[url]))
            return Sent(204, "yes")

        delivery = NoticeDelivery(store=store, send=send, clock=clock, chance=chance)
        while True:
            await asyncio.to_thread(projector.catch_up, clock.now_ms())
            await delivery.round()
            await asyncio.sleep(0.001)

    async def keep_up() -> None:
        while True:
            await book.top_up()
            if chance.random() < 0.1:
                await book.renew(chance.sample(ACCOUNTS, 3))
            await asyncio.to_thread(projector.catch_up)

    for account in ACCOUNTS:
        book.row_of(account)
    await book.top_up()
    tell(Told(clock.now_ms()))
    tasks = [asyncio.create_task(work()) for work in (say, say, say, browse, keep_up, inform)]
    while True:
        sell()
        notices.expire()
        clock.step(chance.choice([0, 1, 50, 400]) if chance.random() > 0.02 else 3_600_000)
        await asyncio.sleep(0.0005)
        for task in tasks:
            if task.done():
                task.result()


def check(folder: Path, told: list[Told], report: Report) -> None:
    """Hold what is on disk against what was told; nothing is changed but what recovery changes."""
    engine = open_database(folder)
    ledger = SqlBudgetLedger(engine)
    log = LmdbEventLog(folder / "log", map_size_bytes=1 << 30)
    try:
        now_ms = max(line.now_ms for line in told) if told else START
        clock = SteppedClock(now_ms)
        book, holds = BudgetBook(ledger, HOLDER, clock), Holds(TERMS)
        report.uncounted += log.end("notices") - ledger.counted_upto()
        recovered = recover(log=log, ledger=ledger, holds=holds, book=book, facts=FACTS, now_ms=now_ms)
        assert (recovered.missing, recovered.unreadable) == (0, 0)
        report.open_ads += recovered.open_ads
        known = Known(holds.find, TERMS, recovered.carried, lambda row: int(book.available[row]))
        records = _notices_in(log)
        _check_answers(told, [notice for _, notice in records], known, now_ms, report)
        _check_open_ads(told, records, holds, now_ms)
        _check_money(records, told, ledger, book, holds, recovered.carried)
        _check_told(records, told, engine)
    finally:
        log.close()
        engine.dispose()


def _notices_in(log: LmdbEventLog) -> list[tuple[int, NoticeTaken]]:
    found = []
    for record in log.read("notices", 0, 1_000_000):
        event = decode("notices", record)
        assert isinstance(event, NoticesTaken)
        assert all(not notice.billed_micros for notice in event.notices if notice.verdict == Verdict.INVALID)
        found += [(event.taken_at_ms, notice) for notice in event.notices if notice.verdict != Verdict.INVALID]
    return found


def _key(notice: NoticeTaken | Notice) -> tuple[int, str, str]:
    return int(notice.kind), notice.impression_id, notice.order_id


def _check_answers(told: list[Told], in_log: list[NoticeTaken], known: Known, now_ms: int, report: Report) -> None:
    """Whatever was acknowledged stands in the log once, as it was told; said again it is billed no more."""
    by_key = {_key(notice): notice for notice in in_log}
    assert len(by_key) == len(in_log), "a notice was recorded twice"
    acknowledged = {
        (kind, impression_id, order): (verdict, billed)
        for line in told
        for kind, impression_id, order, verdict, billed in line.answered
        if verdict in (Verdict.ACCEPTED, Verdict.BEYOND_BUDGET)
    }
    for (kind, impression_id, order), (verdict, billed) in acknowledged.items():
        notice = by_key[kind, impression_id, order]
        assert notice.verdict == verdict
        # A click or a conversion is told with the impression that it implied.
        implied = by_key[Kind.IMPRESSION, impression_id, ""].billed_micros if kind != Kind.IMPRESSION else 0
        assert billed in (notice.billed_micros, notice.billed_micros + implied)
    again = [Notice(kind, impression_id, order) for kind, impression_id, order in by_key]
    decision = decide(again, known, now_ms=now_ms, taken_at_ms=now_ms)
    assert {outcome.verdict for outcome in decision.outcomes} <= {Verdict.DUPLICATE, Verdict.EXPIRED}
    for said, outcome in zip(again, decision.outcomes, strict=True):
        is_open = known.find(said.impression_id) is not None
        assert outcome.verdict == (Verdict.DUPLICATE if is_open else Verdict.EXPIRED)
    report.sold = sum(len(line.sold) for line in told)
    report.accepted = sum(verdict == Verdict.ACCEPTED for verdict, _ in acknowledged.values())
    report.beyond_budget = sum(verdict == Verdict.BEYOND_BUDGET for verdict, _ in acknowledged.values())
    report.billed_micros = sum(notice.billed_micros for notice in in_log)
    report.unanswered = len(by_key) - len(acknowledged)


def _check_open_ads(told: list[Told], records: list[tuple[int, NoticeTaken]], holds: Holds, now_ms: int) -> None:
    """Every ad that was sold and whose time is not over is open, and no other."""
    seen = {n.impression_id: at for at, n in records if n.kind == Kind.IMPRESSION}
    clicked = {n.impression_id: at for at, n in records if n.kind == Kind.CLICK}
    for line in told:
        for impression_id, line_item, price in line.sold:
            if impression_id in clicked:
                until = clicked[impression_id] + TERMS.clicked_ms
            elif impression_id in seen:
                until = seen[impression_id] + TERMS.seen_ms
            else:
                until = line.now_ms + TERMS.unseen_ms
            hold = holds.find(impression_id)
            assert (hold is not None) == (now_ms < until), f"{impression_id} open until {until}, it is {now_ms}"
            if hold:
                assert (hold.line_item_number, hold.price_micros) == (line_item, price)


def _check_money(
    records: list[tuple[int, NoticeTaken]],
    told: list[Told],
    ledger: SqlBudgetLedger,
    book: BudgetBook,
    holds: Holds,
    carried: object,
) -> None:
    """The ledger is the log, nothing is beyond its limits, no thousandth is lost."""
    prices = {impression_id: price for line in told for impression_id, _, price in line.sold}
    billed: defaultdict[int, int] = defaultdict(int)
    by_day: defaultdict[tuple[int, str], int] = defaultdict(int)
    thousandths: defaultdict[int | str, int] = defaultdict(int)
    remainder: dict[int | str, int] = {}
    for taken_at_ms, notice in records:
        payer = notice.line_item_number or notice.bidder
        pricing = pricing_of(notice.line_item_number) if notice.line_item_number else PricingModel.CPM
        if notice.kind in (Kind.IMPRESSION, Kind.VIEWABLE):
            remainder[payer] = notice.carried_thousandths
        if by_the_thousand(notice.kind, pricing) and notice.verdict == Verdict.ACCEPTED:
            thousandths[payer] += prices[notice.impression_id] - 1000 * notice.billed_micros
        if notice.line_item_number:
            for account in (notice.line_item_number, CAMPAIGN_ACCOUNTS + notice.campaign_number):
                billed[account] += notice.billed_micros
                day = datetime.fromtimestamp(taken_at_ms / 1000, ZoneInfo(limits_of(account).time_zone)).date()
                by_day[account, day.isoformat()] += notice.billed_micros
    posted = _posted(ledger)
    assert sum(posted.values()) == 0, "debits and credits do not come to nothing"
    assert posted["receivable"] == sum(notice.billed_micros for _, notice in records)
    assert carried == remainder, (carried, remainder)
    assert {p: t for p, t in thousandths.items() if t} == {p: r for p, r in remainder.items() if r}

    reserved = holds.reserved_by_row()
    leases, _ = ledger.leases_of(HOLDER)
    for account, state in ledger.standings(ACCOUNTS, book.now_ms()).items():
        limits, standing = limits_of(account), book.standing(account)
        assert state.spent_total_micros == billed[account]
        assert standing.leased_micros == leases.get(account, 0) == state.leased_micros
        assert standing.reserved_micros == reserved.get(book.row_of(account), 0)
        assert standing.available_micros >= 0
        if limits.total_micros:
            assert billed[account] + state.leased_micros <= limits.total_micros
        if limits.daily_micros:
            assert state.spent_today_micros + state.leased_micros <= limits.daily_micros
            assert all(micros <= limits.daily_micros for (a, _), micros in by_day.items() if a == account)


def _check_told(records: list[tuple[int, NoticeTaken]], told: list[Told], engine: Engine) -> None:
    """Nobody heard of what is not in the log, and what is done was heard."""
    billings = {notice.billing_url for _, notice in records if notice.billing_url}
    heard = {url for line in told for url in line.heard}
    assert heard <= billings
    done = select(OUTGOING.c.url).where(OUTGOING.c.state == OutgoingState.HEARD)
    with reading(engine) as connection:
        assert set(connection.execute(done).scalars()) <= heard


async def tell_the_rest(folder: Path, told: list[Told], report: Report) -> None:
    """With nobody killing it any more, every billing is heard at least once and written down once."""
    engine = open_database(folder)
    log = LmdbEventLog(folder / "log", map_size_bytes=1 << 30)
    try:
        store, heard = SqlOutgoingStore(engine), [url for line in told for url in line.heard]
        clock = SteppedClock(told[-1].now_ms if told else START)

        async def send(url: str) -> Sent:
            heard.append(url)
            return Sent(204, "yes")

        OutgoingProjector(log, store).catch_up(clock.now_ms())
        delivery = NoticeDelivery(store=store, send=send, clock=clock, chance=random.Random(1))
        for _ in range(100):
            clock.step(3_600_000)
            await delivery.round()
        billings = [notice.billing_url for _, notice in _notices_in(log) if notice.billing_url]
        with reading(engine) as connection:
            rows = connection.execute(select(OUTGOING.c.url, OUTGOING.c.state)).all()
        # A life that was very unlucky may have used up all tries of one.
        assert sorted(url for url, _ in rows) == sorted(billings)
        assert {url for url, state in rows if state == OutgoingState.HEARD} == set(heard)
        assert all(state in (OutgoingState.HEARD, OutgoingState.GIVEN_UP) for _, state in rows)
        report.to_tell += len(billings)
        report.told += len(heard)
    finally:
        log.close()
        engine.dispose()


def event_endpoints(
    tokens: Tokens,
    holds: Holds,
    take: Callable[[Sequence[Notice]], Awaitable[list[NoticeOutcome]]],
    clock: SteppedClock,
) -> EventEndpoints:
    """As they are wired, over what the child has."""

    async def tenant_of(_line_item_number: int) -> str:
        return ""

    return EventEndpoints(
        tokens=tokens, holds=holds, take=take, clock=clock, tenant_of=tenant_of, agents=Agents(),
        data_centres=Networks(), proxies=Networks(), limits=Limits(10**9, 10**9, 0),
    )  # fmt: skip


async def visit(app: Starlette, url: str, *, robot: bool) -> None:
    """Call an address as a server would hand it on; it must be answered."""
    path, _, query = url.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path, "root_path": "",
        "raw_path": path.encode(), "query_string": query.encode(), "server": ("haat", 80), "client": ("192.0.2.1", 1),
        "headers": [(b"user-agent", b"curl/8" if robot else b"Mozilla/5.0 (X11) Firefox/140.0")],
    }  # fmt: skip
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    assert statuses[0] in (200, 302, 410)


def _posted(ledger: SqlBudgetLedger) -> Counter[str]:
    """The balance of all accounts of each kind, which is the sum of its postings."""
    with reading(ledger._engine) as connection:
        rows = connection.execute(
            select(
                BALANCE_ACCOUNTS.c.kind, BALANCE_ACCOUNTS.c.balance_micros, func.sum(BALANCE_POSTINGS.c.amount_micros)
            )
            .join(BALANCE_POSTINGS)
            .group_by(BALANCE_ACCOUNTS.c.number)
        ).all()
    posted: Counter[str] = Counter()
    for kind, balance, total in rows:
        assert balance == total
        posted[kind] += balance
    return posted


def main() -> None:
    """Kill as often as asked and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    asked = parser.parse_args()
    print(f"seed={asked.seed}", flush=True)
    total = Report()
    # The log grows with each life and is read after each: a store lives through twenty.
    for turn, kills in enumerate([20] * (asked.kills // 20) + [asked.kills % 20] * (asked.kills % 20 > 0)):
        with tempfile.TemporaryDirectory() as folder:
            report = kill_again_and_again(Path(folder), kills, asked.seed + turn)
        for name in Report.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(report, name))
        print(" ".join(f"{name}={getattr(total, name)}" for name in Report.__struct_fields__), flush=True)


if __name__ == "__main__":
    main()
