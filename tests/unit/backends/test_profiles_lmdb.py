"""What is on disk of a visitor, and what happens when a record is broken?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from backends.profiles_lmdb import LmdbProfileStore, _key
from common.errors import BackendUnavailable
from streams.ports import Profile


def test_the_visitor_id_itself_is_not_on_disk(tmp_path: Path) -> None:
    store = LmdbProfileStore(tmp_path)
    store.write({"visitor-4711": Profile(["age=30"])})
    store.close()

    content = (tmp_path / "data.mdb").read_bytes()

    assert b"age=30" in content
    assert b"visitor-4711" not in content


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xff",
        msgspec.msgpack.encode(["not", "a", "profile"]),
        msgspec.msgpack.encode([[], {}, [1, 2], [100], 0]),
    ],
)
def test_a_broken_record_reads_as_unknown_and_is_counted(tmp_path: Path, broken: bytes) -> None:
    store = LmdbProfileStore(tmp_path)
    store.write({"ann": Profile(), "bob": Profile(["age=30"])})
    with store._folder.writing() as transaction:
        transaction.put(_key("ann"), broken)

    assert store.read(["ann", "bob"]) == [None, Profile(["age=30"])]
    assert store.broken == 1
    store.close()


def test_a_profile_of_a_newer_version_is_read_as_far_as_known(tmp_path: Path) -> None:
    store = LmdbProfileStore(tmp_path)
    store.write({"ann": Profile()})
    with store._folder.writing() as transaction:
        transaction.put(_key("ann"), msgspec.msgpack.encode([["age=30"], {}, [4], [3], 5, [2], "new"]))

    assert store.read(["ann"]) == [Profile(["age=30"], {}, [4], [3], 5, [2])]
    assert store.broken == 0
    store.close()


def test_a_profile_of_an_older_version_has_impressions_without_creatives(tmp_path: Path) -> None:
    store = LmdbProfileStore(tmp_path)
    store.write({"ann": Profile()})
    with store._folder.writing() as transaction:
        transaction.put(_key("ann"), msgspec.msgpack.encode([["age=30"], {}, [4], [3], 5]))

    assert store.read(["ann"]) == [Profile(["age=30"], {}, [4], [3], 5, [])]
    assert store.broken == 0
    store.close()


def test_all_profiles_of_a_write_are_stored_or_none(tmp_path: Path) -> None:
    store = LmdbProfileStore(tmp_path, map_size_bytes=1 << 20)

    with pytest.raises(BackendUnavailable, match=r"the profile store in .* has reached its largest size"):
        store.write({f"visitor-{number}": Profile(["x" * 1000]) for number in range(2000)})

    assert store.count() == 0
    store.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    store = LmdbProfileStore(tmp_path)

    with pytest.raises(BackendUnavailable, match=r"the profile store in .* is already being written"):
        LmdbProfileStore(tmp_path)

    store.close()
