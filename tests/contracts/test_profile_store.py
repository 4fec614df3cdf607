"""Does every profile store keep the promises of streams.ports.ProfileStore?"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.profiles_lmdb import LmdbProfileStore
from streams.ports import Profile, ProfileStore

Open = Callable[[Path], ProfileStore]

PROFILE_STORES: dict[str, Open] = {"lmdb": LmdbProfileStore}


@pytest.fixture(params=PROFILE_STORES.values(), ids=list(PROFILE_STORES))
def open_store(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.param
    return opener


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
