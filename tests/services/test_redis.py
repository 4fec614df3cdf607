"""What becomes of who asks Redis when it is cut off, hangs, is slow, forgets, is full, fails over or is a Cluster?"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.answers_redis import RedisAnswers
from backends.budget_pool_redis import RedisBudgetPool
from backends.page_ads_redis import RedisPageAds
from backends.profiles_redis import RedisProfileStore
from backends.rate_limits_redis import RedisRateLimits
from backends.redis_addresses import redis_address
from backends.redis_connection import Call, Command, RedisConnection
from backends.session_impressions_redis import RedisSessionImpressions
from backends.sessions_redis import RedisSessions
from common.clock import SteppedClock
from common.consent import Permission
from common.errors import BackendUnavailable
from common.rate_limits import Use
from exchange.visitor import Visitor, look_up
from exchange.walk_arrays import BY_SESSION, BY_VISITOR
from feed.cursor import Chain
from feed.kept_ads import key_of
from feed.ports import FeedAd
from feed.visitors import RememberedVisitors
from streams.ports import Profile
from streams.profiles import Profiles
from tests.builders import a_page_view
from tests.contracts.test_answer_cache import NOW_MS, a_kept_answer, a_question
from tests.redis_servers import Servers, redis_servers, until
from tests.redis_worlds import LosesAnswers, redis_at
from tests.services.proxy import Proxy, proxy_before

pytestmark = pytest.mark.services

REMEMBERED = a_page_view(visitor_id="ann", session_id="s", permissions=int(Permission.REMEMBER))


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with proxy_before(redis_url) as proxy:
        yield proxy


@pytest.fixture
def hot(redis_url: str, proxy: Proxy, redis: RedisConnection) -> Iterator[RedisConnection]:
    """What page views ask: it waits little, and nobody looks for Redis but the test."""
    with redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=100) as connection:
        yield connection


@pytest.fixture
def servers() -> Iterator[Servers]:
    with redis_servers() as servers:
        yield servers


def until_known(hot: RedisConnection, store: RedisProfileStore, answers: RedisAnswers) -> Visitor:
    """The visitor as Redis has them, and the answer too, when both came in time; on a busy machine some come too late
    and open the breaker, which is closed when this returns.
    """
    found: list[Visitor] = []

    def known() -> bool:
        if not hot.breaker.look_now():
            return False
        (visitor,) = look_up([REMEMBERED], store)
        answered = answers.recall([a_question()], NOW_MS) == [a_kept_answer()]
        found.append(visitor)
        return answered and visitor.known_by == BY_VISITOR | BY_SESSION and hot.breaker.closed

    until(known)
    return found[-1]


@pytest.mark.parametrize("fault", ["cut", "stall", "slow"])
def test_a_batch_that_redis_does_not_answer_is_the_last_that_waits(
    proxy: Proxy, hot: RedisConnection, redis: RedisConnection, fault: str
) -> None:
    store, answers = RedisProfileStore(hot, redis), RedisAnswers(hot, redis)
    store.write({"ann": Profile(["age=30"], {}, [7], [100], 100, [3])})
    answers.keep([(a_question(), a_kept_answer())], NOW_MS)
    answers.flush()
    known = until_known(hot, store, answers)
    assert known.seen_line_items == [7]

    proxy.slow(60_000) if fault == "slow" else getattr(proxy, fault)()
    asked, skipped = hot.counts["asked"], hot.counts["skipped"]
    for _ in range(1_000):
        (unknown,) = look_up([REMEMBERED], store)
        # Nobody says how often the visitor has seen what is capped, so it is shown as seldom as to strangers.
        assert (unknown.seen_line_items, unknown.known_by) == ((), BY_SESSION)
        assert answers.recall([a_question()], NOW_MS) == [None]
    assert hot.counts["asked"] == asked + 1
    assert hot.counts["skipped"] == skipped + 1_999
    assert not hot.breaker.look_now()

    proxy.heal()
    assert until_known(hot, store, answers) == known
    store.close()
    answers.close()


def test_a_redis_that_answers_later_than_it_may_is_not_asked_again(proxy: Proxy, hot: RedisConnection) -> None:
    until(hot.breaker.look_now)
    proxy.slow(150)

    with pytest.raises(BackendUnavailable):
        hot.ask([("PING", "x")])
    assert not hot.breaker.look_now()
    asked = hot.counts["asked"]
    for _ in range(100):
        with pytest.raises(BackendUnavailable):
            hot.ask([("PING", "x")])

    assert hot.counts["asked"] == asked


def test_redis_is_found_again_by_itself(redis_url: str, proxy: Proxy) -> None:
    with redis_at(proxy.before(redis_url), wait_ms=1_000, watch=True) as connection:
        connection.ask([("PING", "x")])
        proxy.cut()
        with pytest.raises(BackendUnavailable):
            connection.ask([("PING", "x")])
        assert not connection.breaker.closed

        proxy.heal()

        until(lambda: connection.breaker.closed)
        assert connection.ask([("PING", "x")]) == [b"x"]
        assert connection.breaker.opened == 1


def test_a_program_starts_without_redis_and_finds_it_later(redis_url: str, proxy: Proxy) -> None:
    proxy.cut()
    with redis_at(proxy.before(redis_url), wait_ms=1_000) as connection:
        with pytest.raises(BackendUnavailable, match="does not answer"):
            connection.ask([("PING", "x")])
        proxy.heal()
        assert connection.breaker.look_now()
        assert connection.ask([("PING", "x")]) == [b"x"]


def test_scripts_that_were_flushed_are_sent_again_and_counted(servers: Servers) -> None:
    port = servers.start()
    with redis_at(f"redis://127.0.0.1:{port}/0") as connection:
        store, pool = RedisProfileStore(connection, connection), RedisBudgetPool(connection)
        name = pool.open(0)
        pool.fill(name, {7: 100})
        for at_ms in range(3):
            servers.client(port).script_flush()
            before = connection.counts["scripts_sent"]
            store.add_impressions([(f"v{number}", 1, at_ms, 3) for number in range(50)])
            store.sync()
            assert pool.open(0) == name
            assert connection.counts["scripts_sent"] == before + 2
        found = store.read([f"v{number}" for number in range(50)])
        assert all(profile is not None and profile.seen_line_items == [1, 1, 1] for profile in found)
        assert connection.breaker.closed
        store.close()


def test_a_redis_that_is_full_refuses_writes_by_name_and_goes_on_reading(servers: Servers) -> None:
    port = servers.start("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    with redis_at(f"redis://127.0.0.1:{port}/0") as connection:
        store = RedisProfileStore(connection, connection)
        store.write({"ann": Profile(updated_at_ms=1)})
        servers.client(port).config_set("maxmemory", "1")
        with pytest.raises(BackendUnavailable, match="is full"):
            store.write({"bob": Profile(updated_at_ms=1)})

        refused = connection.counts["full"]
        store.add_impressions([("ann", 1, 2, 3)])
        until(lambda: connection.counts["full"] > refused)
        assert store.read(["ann", "bob"]) == [Profile(updated_at_ms=1), None]

        servers.client(port).config_set("maxmemory", "2mb")
        store.sync()

        assert store.read(["ann"]) == [Profile([], {}, [1], [2], 2, [3])]
        assert store.impressions_lost == 0
        store.close()


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_what_is_added_to_profiles_while_redis_is_away_is_there_when_it_is_back(
    redis_url: str, proxy: Proxy, redis: RedisConnection, fault: str
) -> None:
    with (
        redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=100) as hot,
        redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=300, watch=True) as patient,
    ):
        store = RedisProfileStore(hot, patient)
        visitors = RememberedVisitors(Profiles(store, SteppedClock(1_000)))
        visitors.remember("t", "ann", {"shoe": 1.0}, 1_000)
        store.sync()
        getattr(proxy, fault)()
        with pytest.raises(BackendUnavailable):
            hot.ask([("GET", "x")])

        for _ in range(100):
            visitors.remember("t", "ann", {"shoe": 2.0, "hat": 1.0}, 1_000)
            store.add_impressions([("ann", 1, 2, 3)])
        until(lambda: not patient.breaker.closed)
        assert visitors.affinities("t", "ann") == {}

        proxy.heal()
        until(lambda: patient.breaker.closed)
        store.sync()

        everything = {"shoe": 201.0, "hat": 100.0}
        until(lambda: hot.breaker.look_now() and visitors.affinities("t", "ann") == everything)
        assert (store.affinities_lost, store.impressions_lost) == (0, 0)
        store.close()


def test_what_is_added_to_profiles_is_added_once_also_when_the_answer_was_lost(
    redis_url: str, redis: RedisConnection
) -> None:
    patient = LosesAnswers(redis_url, redis.prefix)
    store = RedisProfileStore(redis, patient)
    store.add_affinities([("ann", {"shoe": 1.0}, 2), ("ann", {"hat": 1.0}, 2), ("bob", {"shoe": 1.0}, 2)])
    store.add_impressions([("ann", 1, 2, 3), ("ann", 1, 2, 3), ("bob", 1, 2, 3)])
    store.sync()

    assert patient.lost == {"add_affinities", "add_impressions"}
    ann = Profile([], {"shoe": 1.0, "hat": 1.0}, [1, 1], [2, 2], 2, [3, 3])
    assert store.read(["ann", "bob"]) == [ann, Profile([], {"shoe": 1.0}, [1], [2], 2, [3])]
    store.close()
    patient.close()


def test_nobody_is_erased_while_something_of_theirs_may_wait_to_be_written(
    redis_url: str, proxy: Proxy, redis: RedisConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.writer_thread._FLUSH_S", 0.2)
    with redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=300, watch=True) as patient:
        store = RedisProfileStore(redis, patient)
        proxy.cut()
        store.add_affinities([("ann", {"shoe": 1.0}, 1)])
        with pytest.raises(BackendUnavailable, match="erase again"):
            store.erase("ann")

        proxy.heal()
        until(lambda: store.read(["ann"]) != [None])

        assert store.erase("ann")
        assert store.read(["ann"]) == [None]
        store.close()


def test_a_redis_whose_disk_refuses_refuses_writes_by_name_and_goes_on_reading(
    servers: Servers, tmp_path: Path
) -> None:
    port = servers.start("--enable-protected-configs", "yes")
    with redis_at(f"redis://127.0.0.1:{port}/0") as connection:
        store = RedisProfileStore(connection, connection)
        store.write({"ann": Profile(updated_at_ms=1)})
        # Its snapshots go to a folder that is none any more, and it has to make some.
        gone = tmp_path / "gone"
        gone.mkdir()
        servers.ask(port, "CONFIG", "SET", "dir", str(gone))
        gone.rmdir()
        servers.ask(port, "CONFIG", "SET", "save", "3600 1")
        servers.ask(port, "BGSAVE")
        until(lambda: servers.client(port).info("persistence")["rdb_last_bgsave_status"] == "err")

        with pytest.raises(BackendUnavailable, match="cannot write to its disk"):
            store.write({"bob": Profile(updated_at_ms=1)})
        refused = connection.counts["full"]
        store.add_impressions([("ann", 1, 2, 3)])
        until(lambda: connection.counts["full"] > refused)

        assert store.read(["ann", "bob"]) == [Profile(updated_at_ms=1), None]
        assert connection.breaker.closed

        gone.mkdir()
        servers.ask(port, "CONFIG", "SET", "dir", str(gone))
        servers.ask(port, "BGSAVE")
        until(lambda: servers.client(port).info("persistence")["rdb_last_bgsave_status"] == "ok")
        store.write({"bob": Profile(updated_at_ms=2)})
        # What was added meanwhile has waited.
        ann = Profile([], {}, [1], [2], 2, [3])
        until(lambda: store.read(["ann", "bob"]) == [ann, Profile(updated_at_ms=2)])
        assert store.impressions_lost == 0
        store.close()


def test_a_master_that_fails_is_followed_to_the_one_that_takes_over(servers: Servers) -> None:
    first = servers.start()
    second = servers.start("--replicaof", "127.0.0.1", str(first))
    until(lambda: servers.client(second).info("replication")["master_link_status"] == "up")
    sentinel = servers.start(
        config=f"sentinel monitor main 127.0.0.1 {first} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n"
    )
    until(lambda: bool(servers.ask(sentinel, "SENTINEL", "REPLICAS", "main")))
    url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
    connection = RedisConnection(redis_address(url), "failover", wait_ms=2_000, watch=False)
    pool = RedisBudgetPool(connection)
    name = pool.open(0)
    pool.fill(name, {7: 100})
    lent = pool.lend(name, "n", {7: (0, 60)}, share=1, least_micros=1)
    assert lent is not None

    servers.kill(first)
    with pytest.raises(BackendUnavailable):
        connection.ask([("GET", "x")])
    until(lambda: connection.breaker.look_now() and servers.client(second).role()[0] == b"master")

    # Whether the last loan had reached it nobody can say, so nothing more is lent from that pool.
    assert pool.lend(name, "n", {7: (60, 40)}, share=1, least_micros=1) is None
    assert pool.open(0) != name
    connection.close()


def test_a_cluster_takes_the_same_calls(servers: Servers) -> None:
    ports = [servers.start("--cluster-enabled", "yes") for _ in range(2)]
    for port, slots in zip(ports, [(0, 8_191), (8_192, 16_383)], strict=True):
        servers.ask(port, "CLUSTER", "ADDSLOTSRANGE", *slots)
    servers.ask(ports[0], "CLUSTER", "MEET", "127.0.0.1", ports[1])
    until(lambda: all(joined(str(servers.ask(port, "CLUSTER INFO"))) for port in ports))
    address = redis_address(f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
    connection = RedisConnection(address, "cluster", wait_ms=5_000, watch=False)
    store, answers = RedisProfileStore(connection, connection), RedisAnswers(connection, connection)
    visitors = {f"v{number}": Profile(updated_at_ms=number) for number in range(100)}
    store.write(visitors)
    store.add_impressions([(visitor_id, 1, 2, 3) for visitor_id in visitors])
    store.sync()
    assert [p.seen_line_items if p else None for p in store.read(list(visitors))] == [[1]] * 100
    assert store.count() == 100
    assert all(servers.client(port).dbsize() > 20 for port in ports)
    answers.keep([(a_question(f"s{number}"), a_kept_answer()) for number in range(20)], NOW_MS)
    answers.flush()
    assert answers.recall([a_question(f"s{number}") for number in range(20)], NOW_MS) == [a_kept_answer()] * 20
    pool = RedisBudgetPool(connection)
    name = pool.open(0)
    assert pool.fill(name, dict.fromkeys(range(50), 10))
    assert pool.lend(name, "n", {7: (0, 5)}, share=1, least_micros=1) is not None
    assert pool.lent_to(name, "n") == {7: 5}
    nodes = RedisSessions(connection), RedisSessions(connection)
    for number in range(20):
        session = nodes[0].read("t", f"s{number}", NOW_MS)
        session.served[f"p{number}"] = None
        nodes[0].keep("t", f"s{number}", session, NOW_MS)
    assert [list(nodes[1].read("t", f"s{n}", NOW_MS).served) for n in range(20)] == [[f"p{n}"] for n in range(20)]
    uses = [Use(f"p{at}", what, 1_000_000, 400_000, 3) for at in range(20) for what in "ab"]
    assert RedisRateLimits(connection).admit(uses, NOW_MS) == [2] * 40
    store.close()
    answers.close()
    connection.close()


def joined(info: str) -> bool:
    """Does it know both nodes, and all slots?"""
    return "'cluster_state': 'ok'" in info and "'cluster_known_nodes': '2'" in info


class _Recorded(RedisConnection):
    """Remembers the keys of every call."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(redis_address(url), prefix, wait_ms=5_000, watch=False)
        self.called: list[list[str]] = []

    def ask(self, commands: Any) -> list[Any]:
        listed: list[Command] = list(commands)
        self.called += [[str(command[1])] for command in listed]
        return super().ask(listed)

    def run(self, name: str, calls: Any) -> list[Any]:
        listed: list[Call] = list(calls)
        self.called += [list(keys) for keys, _ in listed]
        return super().run(name, listed)


def slot_of(key: str) -> int:
    """CRC16 (XMODEM) of the key, or of what stands between its first braces, as Redis Cluster's specification says."""
    begin = key.find("{")
    end = key.find("}", begin + 1)
    tag = key[begin + 1 : end] if begin >= 0 and end > begin + 1 else key
    return crc_hqx(tag.encode(), 0) % 16_384


def test_all_keys_of_a_call_lie_in_one_slot(redis_url: str, redis: RedisConnection) -> None:
    assert slot_of("123456789") == 0x31C3  # of the specification
    assert slot_of("a{tag}b") == slot_of("{tag}")
    connection = _Recorded(redis_url, redis.prefix)
    store, answers, pool = (
        RedisProfileStore(connection, connection), RedisAnswers(connection, connection), RedisBudgetPool(connection),
    )  # fmt: skip
    store.write({f"v{number}": Profile() for number in range(64)})
    store.add_impressions([(f"v{number}", 1, 2, 3) for number in range(64)])
    store.read([f"v{number}" for number in range(64)])
    store.erase("v1")
    answers.keep([(a_question(f"{number}"), a_kept_answer()) for number in range(16)], NOW_MS)
    answers.flush()
    answers.recall([a_question(f"{number}") for number in range(16)], NOW_MS)
    name = pool.open(0)
    pool.fill(name, {1: 10, 2: 20})
    pool.lend(name, "n", {1: (0, 1), 2: (0, 1)}, share=1, least_micros=1)
    pool.lent_to(name, "n")
    feed, seen, ads = (
        RedisSessions(connection),
        RedisSessionImpressions(connection, connection),
        RedisPageAds(connection),
    )
    for number in range(16):
        feed.keep("t", f"s{number}", feed.read("t", f"s{number}", NOW_MS), NOW_MS)
        seen.remember(f"s{number}", 1, 2, 3)
        page = key_of("t", f"s{number}", Chain(1), 1)
        ads.keep(page, {0: FeedAd(0, "auction", "impression")}, NOW_MS)
    seen.flush()
    seen.read([f"s{number}" for number in range(16)])
    RedisRateLimits(connection).fill([Use(f"p{at}", what, 1_000, 1) for at in range(16) for what in "ab"], NOW_MS)

    assert len(connection.called) > 300
    assert all(len({slot_of(key) for key in keys}) == 1 for keys in connection.called)
    # Visitors are spread over the whole of a Cluster.
    visitors = {slot_of(key) for keys in connection.called for key in keys if ":visitor:" in key}
    assert np.ptp(sorted(visitors)) > 10_000
    for part in (store, answers, seen, connection):
        part.close()
