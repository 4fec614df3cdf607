"""Can eight clients at two nodes overspend one budget of 1,000.00 through Redis, and how much of it stays unspent?

    python -m tests.simulation.shared_budget --redis redis://127.0.0.1:6450/0 --seeds 100

Each node is a process with a budget book, a connection to the ledger and one to Redis of its own, and four clients that
sell and hear notices as fast as they can. With every fourth seed Redis forgets everything in the middle, with every
fifth it is cut off from one node for a while; nodes that are killed are the matter of tests/services.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import msgspec

from backends.budget_ledger_sql import SqlBudgetLedger
from common.clock import SystemClock
from exchange.ports import Spend
from tests.redis_worlds import redis_at, remove
from tests.shared_budgets import ACCOUNTS, Node, a_store, put_limits

BUDGET_MICROS = 1_000_000_000
CLIENTS_OF_A_NODE = 4
MOST_PRICE_MICROS = 1_500_000
LEAST_MICROS = 1_000_000
# Ads of a node that nobody has heard of yet.
OPEN_ADS = 20
# A client is done when nothing could be had in so many looks in a row.
LOOKS = 6


class Result(msgspec.Struct, frozen=True):
    """One seed: what was billed in all, and how much more than the budget or less that is."""

    seed: int
    billed_micros: int

    @property
    def overspent_micros(self) -> int:
        return max(self.billed_micros - BUDGET_MICROS, 0)

    @property
    def unspent_micros(self) -> int:
        return max(BUDGET_MICROS - self.billed_micros, 0)


class _Counting:
    """The offset of the log of notices, for both processes."""

    def __init__(self, upto: Synchronized[int]) -> None:
        self._upto = upto

    def count(self, ledger: Any, holder: str, spends: list[Spend]) -> None:
        with self._upto.get_lock():
            self._upto.value += 1
            ledger.settle(holder, spends, self._upto.value)


def play(seed: int, redis_url: str, folder: Path, nodes: Sequence[Connection]) -> Result:
    """One seed on nodes that wait for it."""
    store = folder / str(seed)
    store.mkdir()
    engine = a_store(store)
    put_limits(engine, BUDGET_MICROS)
    prefix = f"test-{uuid.uuid4().hex[:16]}"
    for node in nodes:
        node.send((seed, str(store), prefix))
    billed = [int(node.recv()) for node in nodes]
    standing = SqlBudgetLedger(engine).standings(ACCOUNTS, 0)
    engine.dispose()
    remove(redis_url, prefix)
    shutil.rmtree(store)
    assert {found.spent_total_micros for found in standing.values()} == {sum(billed)}, "the ledger counted otherwise"
    return Result(seed, sum(billed))


@contextmanager
def two_nodes(redis_url: str) -> Iterator[list[Connection]]:
    """Two processes that play whatever seed they are sent."""
    context = multiprocessing.get_context("spawn")
    upto = context.Value("q", 0)
    ends, processes = [], []
    for name in ("node-0", "node-1"):
        ours, theirs = context.Pipe()
        process = context.Process(target=_node, args=(name, redis_url, theirs, upto), daemon=True)
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    try:
        yield ends
    finally:
        for end in ends:
            end.send(None)
        for process in processes:
            process.join(30)
            process.kill()


def _node(name: str, redis_url: str, tasks: Connection, upto: Synchronized[int]) -> None:
    logging.disable(logging.WARNING)
    while (task := tasks.recv()) is not None:
        seed, folder, prefix = task
        tasks.send(asyncio.run(_sell_all(name, seed, Path(folder), prefix, redis_url, _Counting(upto))))


async def _sell_all(name: str, seed: int, folder: Path, prefix: str, redis_url: str, counting: _Counting) -> int:
    engine = a_store(folder)
    with redis_at(redis_url, prefix=prefix) as redis:
        node = Node(name, engine, redis, SystemClock(), counting, least=LEAST_MICROS)
        await node.book.renew(ACCOUNTS)
        chance = Random(f"{seed} {name}")
        jobs = asyncio.gather(_count(node), _lease(node), _trouble(node, seed, Random(seed)))
        await asyncio.gather(*(_client(node, Random(chance.random())) for _ in range(CLIENTS_OF_A_NODE)))
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)
        while node.open:
            node.hear(chance)
        await asyncio.to_thread(node.count)
        await node.book.give_back_all()
        node.tend()
    engine.dispose()
    return node.billed_micros


async def _client(node: Node, chance: Random) -> None:
    missed = 0
    while missed < LOOKS:
        left = min(int(node.book.available[row]) for row in node.rows)
        if left > 0 and node.sell(chance.randint(1, min(left, MOST_PRICE_MICROS))):
            missed = 0
        else:
            missed += 1
            await asyncio.sleep(0.25)
        while len(node.open) > OPEN_ADS:
            node.hear(chance)
        await asyncio.sleep(0.001)


async def _lease(node: Node) -> None:
    while True:
        await node.book.top_up()
        await asyncio.to_thread(node.tend)
        await asyncio.sleep(0.05)


async def _count(node: Node) -> None:
    while True:
        await asyncio.to_thread(node.count)
        await asyncio.sleep(0.05)


async def _trouble(node: Node, seed: int, chance: Random) -> None:
    await asyncio.sleep(0.2 * chance.random())
    if seed % 4 == 1 and node.name == "node-0":
        node.redis.ask([("DEL", f"{node.redis.prefix}:{{budgets}}:pool")])
    if seed % 5 == 2 and node.name == "node-0":
        node.redis.breaker.failed(TimeoutError("cut off"))
        await asyncio.sleep(0.3)
        node.redis.breaker.look_now()
    while True:
        await asyncio.sleep(1)


def main() -> None:
    """Play, and tell."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--redis", required=True, help="redis://host:port/database")
    reader.add_argument("--seeds", type=int, default=100)
    given = reader.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="haat-budget-"))
    results = []
    try:
        with two_nodes(given.redis) as nodes:
            for seed in range(given.seeds):
                results.append(play(seed, given.redis, folder, nodes))
                print(f"seed {seed}: overspent {_units(results[-1].overspent_micros)}, "
                      f"unspent {_units(results[-1].unspent_micros)}", flush=True)  # fmt: skip
    finally:
        shutil.rmtree(folder)
    unspent = sorted(result.unspent_micros for result in results)
    over = sum(result.overspent_micros for result in results)
    print(
        f"{len(results)} seeds, eight clients, two nodes, one budget of {_units(BUDGET_MICROS)}: "
        f"overspent in all {_units(over)}; unspent: median {_units(int(median(unspent)))}, most {_units(unspent[-1])}"
    )
    if any(result.overspent_micros for result in results):
        raise SystemExit(1)


def _units(micros: int) -> str:
    return f"{micros / 1_000_000:,.2f}"


if __name__ == "__main__":
    main()
