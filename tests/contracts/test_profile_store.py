"""Does every profile store keep the promises of streams.ports.ProfileStore?"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.profiles_lmdb import LmdbProfileStore
from backends.profiles_redis import RedisProfileStore
from backends.redis_connection import RedisConnection
from streams.ports import Profile, ProfileStore

Open = Callable[[Path], ProfileStore]

PROFILE_STORES: dict[str, Open] = {"lmdb": LmdbProfileStore}


@pytest.fixture(params=[*PROFILE_STORES, pytest.param("redis", marks=pytest.mark.services)])
def open_store(request: pytest.FixtureRequest) -> Open:
    if request.param == "redis":
        redis: RedisConnection = request.getfixturevalue("redis")
        return lambda _: RedisProfileStore(redis, redis)
    return PROFILE_STORES[request.param]


@pytest.fixture
def store(open_store: Open, tmp_path: Path) -> Iterator[ProfileStore]:
    store = open_store(tmp_path / "profiles")
    yield store
    store.close()


FULL = Profile(["gender=f", "age=30"], {"shoe": 1.5, "hat": -2.0}, [7, 8], [100, 200], 300)


def test_a_profile_comes_back_whole(store: ProfileStore) -> None:
    store.write({"ann": FULL})

    assert store.read(["ann"]) == [FULL]


def test_a_batch_is_answered_in_its_order_with_none_for_strangers(store: ProfileStore) -> None:
    store.write({"ann": FULL, "bob": Profile(updated_at_ms=1)})

    assert store.read(["bob", "who", "ann", "bob"]) == [Profile(updated_at_ms=1), None, FULL, Profile(updated_at_ms=1)]
    assert store.read([]) == []


def test_a_write_replaces_the_whole_profile(store: ProfileStore) -> None:
    store.write({"ann": FULL})
    store.write({"ann": Profile(["age=31"])})

    assert store.read(["ann"]) == [Profile(["age=31"])]
    assert store.count() == 1


def test_impressions_are_added_to_what_is_known_and_the_newest_64_stay(store: ProfileStore) -> None:
    store.write({"ann": FULL})
    store.add_impressions([("ann", 9, 400, 5), ("bob", 1, 401, 0), ("ann", 10, 402, 6)])
    store.sync()
    ann = Profile(["gender=f", "age=30"], {"shoe": 1.5, "hat": -2.0}, [7, 8, 9, 10], [100, 200, 400, 402], 402, [5, 6])
    assert store.read(["ann", "bob"]) == [ann, Profile([], {}, [1], [401], 401, [0])]

    store.add_impressions([("ann", number, 500 + number, 3) for number in range(100)])
    store.sync()

    (profile,) = store.read(["ann"])
    assert profile is not None
    assert profile.segments == FULL.segments
    assert profile.seen_line_items == list(range(36, 100))
    assert profile.seen_at_ms == [500 + number for number in range(36, 100)]
    assert profile.seen_creatives == [3] * 64


def test_stores_that_add_impressions_at_once_lose_none(open_store: Open, tmp_path: Path) -> None:
    first = open_store(tmp_path / "shared")
    # LMDB takes one process that writes, whose threads share the store.
    stores = [first, first if isinstance(first, LmdbProfileStore) else open_store(tmp_path / "shared")]

    def add(at: int) -> None:
        for number in range(16):
            stores[at].add_impressions([("ann", 100 * at + number, number, 1)])
        stores[at].sync()

    threads = [threading.Thread(target=add, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (profile,) = stores[0].read(["ann"])
    assert profile is not None
    assert sorted(profile.seen_line_items) == [*range(16), *range(100, 116)]
    for store in stores:
        store.close()


def test_affinities_are_added_to_what_is_known_and_the_strongest_64_stay(store: ProfileStore) -> None:
    store.write({"ann": FULL})
    store.add_affinities(
        [("ann", {"shoe": 1.0, "bag": 3.0}, 400), ("bob", {"hat": 0.5}, 401), ("ann", {"bag": 1.0}, 402)]
    )
    store.sync()

    ann = Profile(["gender=f", "age=30"], {"shoe": 2.5, "hat": -2.0, "bag": 4.0}, [7, 8], [100, 200], 402)
    assert store.read(["ann", "bob"]) == [ann, Profile([], {"hat": 0.5}, updated_at_ms=401)]

    store.add_affinities([("ann", {f"p{number}": 10.0 + number for number in range(63)}, 403)])
    store.sync()

    (profile,) = store.read(["ann"])
    assert profile is not None
    assert set(profile.affinities) == {"bag", *(f"p{number}" for number in range(63))}


def test_stores_that_add_affinities_at_once_lose_none(open_store: Open, tmp_path: Path) -> None:
    first = open_store(tmp_path / "shared")
    # LMDB takes one process that writes, whose threads share the store.
    stores = [first, first if isinstance(first, LmdbProfileStore) else open_store(tmp_path / "shared")]

    def add(at: int) -> None:
        for number in range(16):
            stores[at].add_affinities([("ann", {"shoe": 1.0, f"p{at}": 1.0}, number)])
            stores[at].add_impressions([("ann", at, number, 1)])
            # One by one, so that the other reads and writes in between.
            stores[at].sync()

    threads = [threading.Thread(target=add, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (profile,) = stores[0].read(["ann"])
    assert profile is not None
    assert profile.affinities == {"shoe": 32.0, "p0": 16.0, "p1": 16.0}
    assert sorted(profile.seen_line_items) == [0] * 16 + [1] * 16
    for store in stores:
        store.close()


def test_an_erased_visitor_is_a_stranger(store: ProfileStore) -> None:
    store.write({"ann": FULL, "bob": FULL})

    assert store.erase("ann") is True
    assert store.erase("ann") is False
    assert store.read(["ann", "bob"]) == [None, FULL]
    assert store.count() == 1


@pytest.mark.parametrize("visitor_id", ["", "x" * 65, "x" * 100_000])
def test_an_id_that_cannot_be_stored_is_refused_and_nothing_with_it_is_written(
    store: ProfileStore, visitor_id: str
) -> None:
    with pytest.raises(ValueError, match="visitor id has 1 to 64 characters"):
        store.write({"ann": FULL, visitor_id: FULL})

    assert store.read(["ann", visitor_id]) == [None, None]


def test_profiles_are_there_when_the_store_is_opened_again(open_store: Open, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write({"ann": FULL})
    store.close()
    store.close()

    store = open_store(tmp_path)

    assert store.read(["ann"]) == [FULL]
    store.close()


def test_what_was_written_survives_kill_9(open_store: Open, tmp_path: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = open_store(tmp_path)
            for number in range(1_000_000):
                store.write({f"a{number}": Profile(updated_at_ms=number), f"b{number}": FULL})
                os.write(tell, number.to_bytes(8, "big"))
        finally:
            os._exit(1)
    os.close(tell)
    with open(told, "rb") as pipe:
        acknowledged = [pipe.read(8) for _ in range(200)]
        os.kill(child, signal.SIGKILL)
        acknowledged += iter(lambda: pipe.read(8), b"")
    os.waitpid(child, 0)

    store = open_store(tmp_path)
    count = len(acknowledged)
    assert store.read([f"a{number}" for number in range(count)]) == [Profile(updated_at_ms=n) for n in range(count)]
    assert store.read([f"b{number}" for number in range(count)]) == [FULL] * count
    assert store.count() in (2 * count, 2 * count + 2)
    store.close()
