"""Do nodes that are killed overspend, or lose what they said? `python -m tests.simulation.node_kills --kills 100`

Two processes, each a node with a log of its own, spend the same budgets over one SQL store until one of them is killed
with SIGKILL; it starts again over its log, or is written off first and comes back afterwards. After each kill the
parent holds both logs and the ledger against what the processes said. At the end both spend until nothing is left.
`--database` names an empty PostgreSQL database, else it is a SQLite file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import msgspec
from sqlalchemy import Engine, select, update

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from backends.nodes_sql import SqlNodeRegistry
from backends.sql import open_engine
from backends.sql_tables_nodes import NODES
from common.clock import SystemClock
from exchange.billing import Kind, Notice, Verdict
from exchange.budgets import BudgetBook
from exchange.holds import Holds, Terms
from exchange.late_billing import take_back_uncounted
from exchange.nodes import Claim, Membership
from exchange.notices import Notices
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget
from exchange.recovery import recover
from exchange.request import PricingModel
from exchange.spend import SpendProjector
from streams.schemas import NoticesTaken, decode, encode
from tests.won_batches import FACTS, Sold, a_batch, columns_of, reserve

NAMES = ("exchange-1", "exchange-2")
LINE_ITEMS = (1, 2)
CAMPAIGN = CAMPAIGN_ACCOUNTS + 1
# Of the campaign; the line items have more, so that both meet in it.
BUDGET_MICROS = 1_000_000_000
PRICE_MICROS = 150_000_000
BY_VIEW = msgspec.structs.replace(FACTS, pricing_model_of=lambda _: PricingModel.CPM)
TERMS = Terms(unseen_ms=1_000, seen_ms=60_000, clicked_ms=60_000)


class Said(msgspec.Struct):
    """A line of a node: what it answered as accepted, as (impression, billed), and whether it has sold nothing."""

    accepted: list[tuple[str, int]] = []
    idle: bool = False


class Node:
    """One process and what it has said in all its lives."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.folder = folder
        self.url = url
        self.name = name
        self.accepted: dict[str, int] = {}
        self.idle = 0
        self.child = 0
        self._pipe = -1
        self._data = b""

    def start(self, seed: int) -> None:
        reader, writer = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            os.close(reader)
            try:
                asyncio.run(live(self.folder, self.url, self.name, random.Random(seed), writer))
            except BaseException as error:
                os.write(2, f"{self.name} failed: {error!r}\n".encode())
                os._exit(1)
            os._exit(0)
        os.close(writer)
        os.set_blocking(reader, False)
        self._pipe, self.idle = reader, 0

    def listen(self) -> None:
        while self._pipe >= 0:
            try:
                part = os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                break
            if not part:
                break
            self._data += part
        *lines, self._data = self._data.split(b"\n")
        for line in lines:
            said = msgspec.json.decode(line, type=Said)
            self.accepted.update(said.accepted)
            self.idle = self.idle + 1 if said.idle else 0

    def kill(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        _, status = os.waitpid(self.child, 0)
        self.listen()
        self._data = b""
        os.close(self._pipe)
        self._pipe = -1
        assert os.WIFSIGNALED(status), f"{self.name} ended by itself"


async def live(folder: Path, url: str, name: str, chance: random.Random, pipe: int) -> None:
    """Sell, bill, lease and count until killed."""
    clock = SystemClock()
    log = LmdbEventLog(folder / name, map_size_bytes=1 << 30)
    engine = open_engine(url)
    claim = Claim(name, f"log of {name}", "here", f"{os.getpid()}")
    member = Membership(SqlNodeRegistry(engine), claim, clock, TERMS, alone_s=3600)
    ledger = SqlBudgetLedger(engine, least_lease_micros=2_000_000, node=name)

    def record(taken: NoticesTaken) -> None:
        log.append("notices", [encode(taken)], clock.now_ms())

    if member.me.written_off:
        take_back_uncounted(log, ledger.counted_upto(), clock.now_ms(), record)
        log.sync()
        member.welcome()
    book, holds = BudgetBook(ledger, name, clock, share=50), Holds(TERMS)
    recovered = recover(log=log, ledger=ledger, holds=holds, book=book, facts=BY_VIEW, now_ms=clock.now_ms())
    notices = Notices(
        holds=holds, book=book, clock=clock, record=record, sync=log.sync, remember=lambda *_: None,
        carried=recovered.carried,
    )  # fmt: skip
    projector = SpendProjector(log, ledger, name)
    for account in (*LINE_ITEMS, CAMPAIGN):
        book.row_of(account)

    async def keep_up() -> None:
        while True:
            notices.expire()
            await book.top_up()
            await asyncio.to_thread(projector.catch_up)
            await asyncio.to_thread(member.beat)
            await asyncio.sleep(0.01)

    beside = asyncio.create_task(keep_up())
    while not beside.done():
        won = [
            entry for at in range(8) if reserve(book, entry := Sold(chance.choice(LINE_ITEMS), PRICE_MICROS, page=at))
        ]
        # Pages are counted from 0, and each has an ad.
        won = [msgspec.structs.replace(entry, page=at) for at, entry in enumerate(won)]
        said = Said(idle=not won)
        if won:
            batch, ids = a_batch(book, clock.now_ms(), won)
            log.append("auctions", [encode(columns_of(batch))], clock.now_ms())
            holds.add(batch)
            shown = ids if chance.random() < 0.9 else ids[:-1]
            outcomes = await notices.take([Notice(Kind.IMPRESSION, one) for one in shown])
            said.accepted = [
                (one, outcome.billed_micros)
                for one, outcome in zip(shown, outcomes, strict=True)
                if outcome.verdict == Verdict.ACCEPTED
            ]
        os.write(pipe, msgspec.json.encode(said) + b"\n")
        await asyncio.sleep(0.001 if won else 0.05)
    beside.result()


def written_off(engine: Engine, name: str) -> None:
    """As if the node had been away for all of its terms."""
    with engine.begin() as connection:
        connection.execute(update(NODES).where(NODES.c.name == name).values(heartbeat_at_ms=0))
    # The node that lives looks for such by itself, and may be first.
    assert SqlNodeRegistry(engine).write_off(60_000) in ([name], [])
    with engine.begin() as connection:
        assert connection.execute(select(NODES.c.written_off_at_ms).where(NODES.c.name == name)).scalar_one()


def check(nodes: list[Node], engine: Engine) -> int:
    """Ledger, logs and words agree; what is spent by now. Nodes may go on meanwhile: their logs only grow."""
    ledger = SqlBudgetLedger(engine)
    standing = ledger.state(CAMPAIGN, SystemClock().now_ms())
    assert standing.spent_total_micros + standing.leased_micros <= BUDGET_MICROS, standing
    for node in nodes:
        node.listen()
        billed = logged(node)
        for impression, micros in node.accepted.items():
            assert impression in billed, f"{node.name} lost {impression}, which it had accepted"
            assert billed[impression] in (micros, 0), "billed otherwise than was said"
    return standing.spent_total_micros


def logged(node: Node) -> dict[str, int]:
    """What the node's log bills for each ad, corrections taken off."""
    log = LmdbEventLog(node.folder / node.name, map_size_bytes=1 << 30, readonly=True)
    billed: defaultdict[str, int] = defaultdict(int)
    for record in log.read("notices", 0, 10_000_000):
        event = decode("notices", record)
        assert isinstance(event, NoticesTaken)
        for notice in event.notices:
            billed[notice.impression_id] += notice.billed_micros
    log.close()
    return billed


def kill_and_spend(folder: Path, url: str, kills: int, seed: int) -> str:
    """Kill as often, then let them spend it all; AssertionError with the seed and the turn."""
    chance = random.Random(seed)
    engine = open_engine(url)
    ledger = SqlBudgetLedger(engine)
    ledger.put_budget(Budget(CAMPAIGN, BUDGET_MICROS, 0, "EUR", "UTC"))
    engine.dispose()
    nodes = [Node(folder, url, name) for name in NAMES]
    away = 0
    for node in nodes:
        node.start(chance.getrandbits(32))
    for turn in range(kills):
        try:
            time.sleep(0.3 + chance.random() * 0.5)
            node = chance.choice(nodes)
            node.kill()
            engine = open_engine(url)
            if chance.random() < 0.3:
                away += 1
                written_off(engine, node.name)
            check(nodes, engine)
            engine.dispose()
            node.start(chance.getrandbits(32))
        except AssertionError as error:
            error.add_note(f"seed={seed} turn={turn}")
            raise
    # A lease may lie with a node that cannot use it up: both are idle when nothing is left that pays for one more.
    until = time.monotonic() + 300
    while any(node.idle < 240 for node in nodes):
        assert time.monotonic() < until, "they do not come to an end"
        time.sleep(0.05)
        for node in nodes:
            node.listen()
    for node in nodes:
        node.kill()
    engine = open_engine(url)
    for node in nodes:
        log = LmdbEventLog(node.folder / node.name, map_size_bytes=1 << 30)
        SpendProjector(log, SqlBudgetLedger(engine, node=node.name), node.name).catch_up()
        log.close()
    spent = check(nodes, engine)
    assert spent == sum(sum(logged(node).values()) for node in nodes), "the ledger is not what the logs say"
    # Less than a few impressions are left in leases that are too small for one.
    assert spent > BUDGET_MICROS - 10 * PRICE_MICROS // 1_000, f"{BUDGET_MICROS - spent} micros came back to nobody"
    engine.dispose()
    accepted = sum(len(node.accepted) for node in nodes)
    return f"kills={kills} written_off={away} accepted={accepted} spent={spent} of={BUDGET_MICROS}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default="", help="URL of an empty PostgreSQL database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{folder}/ledger.sqlite"
        print(kill_and_spend(Path(folder), url, given.kills, given.seed))


if __name__ == "__main__":
    main()
