"""Can profiles be moved between any two stores by the digests they lie under, and are they found under the ids then?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backends.profiles_lmdb import LmdbProfileStore
from backends.profiles_redis import RedisProfileStore
from streams.moving.move_profiles import move_profiles
from streams.ports import Profile

Store = LmdbProfileStore | RedisProfileStore


@pytest.fixture(params=["lmdb", pytest.param("redis", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: Callable[[], Store] = lambda: LmdbProfileStore(tmp_path / "store", map_size_bytes=1 << 26)  # noqa: E731
    if request.param == "redis":
        redis = request.getfixturevalue("redis")
        make = lambda: RedisProfileStore(redis, redis)  # noqa: E731
    with closing(make()) as made:
        yield made


@pytest.fixture
def lmdb(tmp_path: Path) -> Iterator[LmdbProfileStore]:
    with closing(LmdbProfileStore(tmp_path / "lmdb", map_size_bytes=1 << 26)) as made:
        yield made


PROFILES = {
    f"v{at}": Profile([f"n={at}"], {"p": at / 3}, [at, 7], [1, 2], at, [9] if at % 2 else [8, 9]) for at in range(50)
}


def test_profiles_come_in_portions_in_the_order_of_their_digests(store: Store) -> None:
    store.write(PROFILES)
    portions = list(store.portions(b"", 20))
    digests = [digest for portion in portions for digest, _ in portion]

    assert [len(portion) for portion in portions] == [20, 20, 10]
    assert digests == sorted(set(digests))
    assert [digest for portion in store.portions(digests[24], 100) for digest, _ in portion] == digests[25:]
    assert store.read_stored([digests[3], b"\0" * 16]) == [portions[0][3][1], None]
    assert store.count_stored() == 50


def test_profiles_come_from_lmdb_and_go_back(store: Store, lmdb: LmdbProfileStore, tmp_path: Path) -> None:
    lmdb.write(PROFILES)

    there = move_profiles(lmdb, store)
    with closing(LmdbProfileStore(tmp_path / "back", map_size_bytes=1 << 26)) as back:
        returned = move_profiles(store, back)
        assert back.read(list(PROFILES)) == list(PROFILES.values())

    assert there.equal
    assert returned.equal
    assert there.source == returned.target
    assert store.read(list(PROFILES)) == list(PROFILES.values())
