"""Can nodes that share a budget through Redis overspend it, whatever becomes of them and of Redis?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from backends.budget_pool_redis import MOST_MICROS, Lent, RedisBudgetPool
from backends.redis_connection import RedisConnection
from common.clock import SteppedClock
from exchange.ports import Spend
from tests.redis_worlds import redis_at
from tests.shared_budgets import ACCOUNTS, Counting, Node, a_store, on_paper, put_limits

pytestmark = [pytest.mark.services, pytest.mark.on_every_database]

FIRST_LIMIT, MORE = 300_000, 50_000


class World:
    """Three nodes, one budget, one Redis, one store; all steps drawn from one seed."""

    def __init__(self, folder: Path, redis_url: str, prefix: str, seed: int) -> None:
        self.chance = Random(seed)
        self.clock = SteppedClock()
        self.engine = a_store(folder)
        self.limit = FIRST_LIMIT
        put_limits(self.engine, self.limit)
        self.before: list[bytes] = []
        counting = Counting()
        self._entered = [redis_at(redis_url, prefix=prefix) for _ in range(3)]
        redises = [entered.__enter__() for entered in self._entered]
        self.nodes = [
            Node(f"node-{at}", self.engine, redis, self.clock, counting) for at, redis in enumerate(redises)
        ]  # fmt: skip
        self.key = f"{prefix}:{{budgets}}:pool"

    def close(self) -> None:
        for entered in self._entered:
            entered.__exit__(None, None, None)
        self.engine.dispose()

    def redis(self) -> RedisConnection:
        redis = self.nodes[0].redis
        if not redis.breaker.closed:
            redis.breaker.look_now()
        return redis

    async def step(self) -> None:
        node = self.chance.choice(self.nodes)
        steps: list[tuple[int, Callable[[], Awaitable[None] | None]]] = [
            (30, lambda: self.sell(node)),
            (25, lambda: node.hear(self.chance) if node.alive else None),
            (15, lambda: node.count() if node.alive else None),
            (20, lambda: node.book.top_up() if node.alive else None),
            (5, lambda: node.tend() if node.alive else None),
            (3, self.raise_limit),
            (2, lambda: node.book.renew(ACCOUNTS) if node.alive else None),
            (6, lambda: node.kill()),
            (1, lambda: None if node.alive else node.write_off()),
            (10, lambda: None if node.alive else node.start()),
            (10, lambda: None if node.alive else node.begin()),
            (4, lambda: node.redis.breaker.failed(TimeoutError("cut off by the test"))),
            (6, lambda: self.done(node.redis.breaker.look_now())),
            (1, lambda: self.done(self.redis().ask([("DEL", self.key)]))),
            (2, self.remember_redis),
            (2, self.restart_redis_as_it_was),
            (10, lambda: self.clock.step(5_000)),
        ]
        (done,) = self.chance.choices([step for _, step in steps], [weight for weight, _ in steps])
        result = done()
        if result is not None:
            await result

    def done(self, _: object) -> None:
        """It was done for its own sake."""

    async def raise_limit(self) -> None:
        self.limit += MORE
        put_limits(self.engine, self.limit)

    def remember_redis(self) -> None:
        (self.before,) = self.redis().ask([("HGETALL", self.key)])

    def restart_redis_as_it_was(self) -> None:
        """It was restarted, or another one took over, and all that was lent since is lost."""
        if self.before:
            kept = dict(zip(self.before[::2], self.before[1::2], strict=True)) | {b"run_id": b"another"}
            fields = [part for pair in kept.items() for part in pair]
            self.redis().ask([("DEL", self.key), ("HSET", self.key, *fields)])

    def sell(self, node: Node) -> None:
        if node.alive:
            node.sell(self.chance.randint(1, 60_000))

    def audit(self) -> None:
        assert sum(node.committed_micros() for node in self.nodes) <= self.limit


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_overspent_whatever_happens_in_whichever_order(
    redis_url: str, redis: RedisConnection, tmp_path: Path, seed: int
) -> None:
    world = World(tmp_path, redis_url, redis.prefix, seed)
    try:
        asyncio.run(_live(world))
    finally:
        world.close()


async def _live(world: World) -> None:
    for _ in range(400):
        await world.step()
        world.audit()
    # All is well again: everybody comes back, counts, and sells what is left.
    for node in world.nodes:
        node.redis.breaker.look_now()
        if not node.alive:
            await node.begin()
    for _ in range(100):
        for node in world.nodes:
            world.clock.step(10_000)
            await node.book.top_up()
            node.tend()
            while node.sell(world.chance.randint(1, 10_000)):
                node.hear(world.chance)
            for _ in range(len(node.open)):
                node.hear(world.chance)
            node.count()
        world.audit()
        if sum(node.billed_micros for node in world.nodes) > world.limit * 0.98:
            break
    billed = sum(node.billed_micros for node in world.nodes)
    assert billed > world.limit * 0.98, f"only {billed} of {world.limit} could be spent"
    assert all(micros <= world.limit for micros in on_paper(world.engine, world.clock.now_ms()).values())


@pytest.fixture
def world(redis_url: str, redis: RedisConnection, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, redis_url, redis.prefix, 1)
    world.limit = 100_000
    put_limits(world.engine, world.limit)
    yield world
    world.close()


def whole(micros: int) -> dict[int, int]:
    return dict.fromkeys(ACCOUNTS, micros)


def spend(node: Node, micros: int) -> None:
    node.uncounted.append(Spend(7, 1, micros, node.clock.now_ms(), 1))


def test_a_node_that_died_goes_on_with_what_it_drew_less_what_it_spent(world: World) -> None:
    node = world.nodes[0]
    assert node.ledger.lease(node.name, whole(100_000), 0) == whole(100_000)
    spend(node, 60_000)
    node.count()

    node.kill()
    node.start()

    assert node.ledger.leases_of(node.name)[0] == whole(40_000)


def test_what_a_node_drew_is_not_taken_up_twice_when_redis_was_away_at_its_restart(world: World) -> None:
    node = world.nodes[0]
    node.ledger.lease(node.name, whole(100_000), 0)
    node.kill()
    spend(node, 60_000)
    node.redis.breaker.failed(TimeoutError("cut off"))
    node.start()
    assert node.ledger.leases_of(node.name)[0] == {}

    node.redis.breaker.look_now()
    node.tend()

    # What it no longer knows that it had is anybody's again.
    assert on_paper(world.engine, 0) == whole(60_000)
    assert world.nodes[1].ledger.lease("node-1", whole(100_000), 0) == whole(40_000)


def test_what_a_node_reserved_stays_its_own_when_its_pool_was_lost_while_it_was_down(world: World) -> None:
    node, other = world.nodes[:2]
    node.ledger.lease(node.name, whole(100_000), 0)
    node.kill()
    node.open = {1: 70_000}
    world.redis().ask([("DEL", world.key)])
    other.tend()

    node.start()
    for _ in range(2):
        for living in world.nodes:
            living.tend()

    assert node.book.standing(7).available_micros == 0
    assert other.ledger.lease("node-1", whole(100_000), 0) == whole(30_000)


def test_a_pool_that_a_dead_node_drew_from_is_not_freed_before_that_node_is_given_up(world: World) -> None:
    node, other = world.nodes[:2]
    node.ledger.lease(node.name, whole(100_000), 0)
    world.redis().ask([("DEL", world.key)])
    for living in world.nodes[1:]:
        living.tend()
    other.tend()
    assert other.ledger.lease("node-1", whole(100_000), 0) == whole(0)

    assert "node-0" in other.ledger.holders()
    other.ledger.give_back_all("node-0")
    other.tend()

    assert other.ledger.lease("node-1", whole(100_000), 0) == whole(100_000)


def test_what_a_dead_node_drew_of_a_lost_pool_comes_back_when_it_is_written_off(world: World) -> None:
    node, other = world.nodes[:2]
    assert node.ledger.lease(node.name, whole(100_000), 0) == whole(100_000)
    node.kill()
    world.redis().ask([("DEL", world.key)])
    for _ in range(2):
        for living in world.nodes[1:]:
            living.tend()
    assert on_paper(world.engine, 0) == whole(100_000)

    node.write_off()
    other.tend()

    assert on_paper(world.engine, 0) == whole(0)
    assert other.ledger.lease(other.name, whole(100_000), 0) == whole(100_000)
    # Back again it has nothing, and takes nothing of others.
    node.start()
    node.tend()
    assert node.book.standing(7).available_micros == 0
    assert on_paper(world.engine, 0) == whole(100_000)


def test_what_a_dead_node_drew_of_the_open_pool_comes_back_once_when_it_is_written_off(world: World) -> None:
    node, other = world.nodes[:2]
    assert node.ledger.lease(node.name, whole(60_000), 0) == whole(60_000)
    node.kill()
    other.tend()
    assert other.ledger.lease(other.name, whole(100_000), 0) == whole(40_000)

    node.write_off()
    for _ in range(2):
        for living in world.nodes[1:]:
            living.tend()

    assert on_paper(world.engine, 0) == whole(40_000)
    assert other.ledger.lease(other.name, whole(100_000), 0) == whole(60_000)
    node.start()
    node.tend()
    assert node.book.standing(7).available_micros == 0
    assert on_paper(world.engine, 0) == whole(100_000)


def test_a_node_that_was_written_off_and_is_back_first_takes_up_what_it_drew(world: World) -> None:
    node, other = world.nodes[:2]
    assert node.ledger.lease(node.name, whole(60_000), 0) == whole(60_000)
    node.write_off()

    node.start()
    other.tend()

    assert node.book.standing(7).available_micros == 60_000
    assert other.ledger.lease(other.name, whole(100_000), 0) == whole(40_000)
    assert on_paper(world.engine, 0) == whole(100_000)


def test_an_answer_that_was_lost_is_told_again_and_nothing_is_lent_twice(world: World) -> None:
    node = world.nodes[0]
    pool = RedisBudgetPool(node.redis)
    name = pool.open(0)
    pool.fill(name, {7: 100})
    for _ in range(3):
        # Nobody heard the answers before.
        lent = pool.lend(name, "n", {7: (0, 30)}, share=1, least_micros=1)
        assert lent == {7: Lent(30, 70)}

    assert pool.fill(name, {7: 90})
    assert pool.lend(name, "n", {7: (30, 1_000)}, share=1, least_micros=1) == {7: Lent(100, 0)}
    assert pool.lend(name, "n", {7: (101, 1)}, share=1, least_micros=1) is None


def test_sums_are_whole_up_to_two_to_the_53_and_shares_are_rounded_down(world: World) -> None:
    pool = RedisBudgetPool(world.nodes[0].redis)
    name = pool.open(0)
    pool.fill(name, {1: MOST_MICROS, 2: MOST_MICROS + 1_000, 3: MOST_MICROS})

    assert pool.lend(name, "n", {1: (0, 1)}, share=1, least_micros=1) == {1: Lent(1, MOST_MICROS - 1)}
    assert pool.lend(name, "n", {1: (1, 1 << 60)}, share=1, least_micros=1) == {1: Lent(MOST_MICROS, 0)}
    assert pool.lend(name, "n", {2: (0, 1 << 60)}, share=1, least_micros=1) == {2: Lent(MOST_MICROS, 0)}
    before = MOST_MICROS
    for share in (3, 7, 20, 1_000_003):
        lent = pool.lend(name, f"n{share}", {3: (0, 1 << 60)}, share=share, least_micros=1)
        left = before
        assert lent is not None
        assert lent[3].lent_micros == left // share
        before = lent[3].left_micros
        assert before == left - left // share


def test_thousands_of_accounts_go_in_one_call(world: World) -> None:
    redis = world.nodes[0].redis
    pool = RedisBudgetPool(redis)
    name = pool.open(0)
    pool.fill(name, {account: 10 * account for account in range(1, 2_001)})
    asked = redis.counts["asked"]

    lent = pool.lend(name, "n", {account: (0, account) for account in range(1, 2_001)}, share=1, least_micros=1)

    assert lent == {account: Lent(account, 9 * account) for account in range(1, 2_001)}
    assert redis.counts["asked"] == asked + 1
    assert pool.lent_to(name, "n") == {account: account for account in range(1, 2_001)}
    assert pool.lent_to(name, "*") == {}
