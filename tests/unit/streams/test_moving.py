from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.files_moving import move_files
from backends.profiles_lmdb import LmdbProfileStore
from common.errors import InvalidInput
from streams.moving.checksums import Checksum
from streams.moving.move_log import move_log
from streams.moving.move_profiles import compare_profiles, move_profiles
from streams.ports import Profile


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def a_log(opened: ExitStack, folder: Path) -> LmdbEventLog:
    return opened.enter_context(closing(LmdbEventLog(folder, map_size_bytes=1 << 26)))


def profiles(opened: ExitStack, folder: Path) -> LmdbProfileStore:
    return opened.enter_context(closing(LmdbProfileStore(folder, map_size_bytes=1 << 26)))


def test_the_order_of_things_does_not_change_a_checksum_and_their_number_does() -> None:
    one, other, twice = Checksum(), Checksum(), Checksum()
    one.add([b"a", b"b"])
    other.add([b"b", b"a"])
    twice.add([b"a", b"b", b"b"])

    assert one.sum() == other.sum() != twice.sum()
    assert one.sum().checksum != Checksum().sum().checksum


def test_records_keep_their_offsets_and_times_also_where_retention_dropped_some(
    opened: ExitStack, tmp_path: Path
) -> None:
    source, target = a_log(opened, tmp_path / "a"), a_log(opened, tmp_path / "b")
    for at in range(2_500):
        source.append("notices", [b"%d" % at], 1_000 + at // 3)
    source.drop_before("notices", 700)
    source.append("posts", [b"only"], 5)
    source.drop_before("posts", 1)

    compared = {one.what: one for one in move_log(source, target)}

    assert all(one.equal for one in compared.values())
    assert compared["topic notices"].source.count == 1_800
    assert target.read("notices", 0, 3_000) == source.read("notices", 0, 3_000)
    assert (target.begin("posts"), target.end("posts")) == (1, 1)
    assert target.append("posts", [b"next"], 6) == 1
    assert target.append("notices", [b"next"], 9_999) == 2_500


def test_a_log_that_was_half_moved_goes_on_where_it_ends(opened: ExitStack, tmp_path: Path) -> None:
    source, target = a_log(opened, tmp_path / "a"), a_log(opened, tmp_path / "b")
    source.append("notices", [b"1", b"2", b"3"], 10)
    move_log(source, target)
    source.append("notices", [b"4"], 11)

    compared = move_log(source, target)

    assert all(one.equal for one in compared)
    assert [record.payload for record in target.read("notices", 0)] == [b"1", b"2", b"3", b"4"]


def test_a_log_with_other_records_is_refused(opened: ExitStack, tmp_path: Path) -> None:
    source, target = a_log(opened, tmp_path / "a"), a_log(opened, tmp_path / "b")
    source.append("notices", [b"1"], 10)
    target.append("notices", [b"another"], 10)

    with pytest.raises(InvalidInput, match="other events in notices"):
        move_log(source, target)


def test_a_topic_that_had_records_cannot_begin_elsewhere(opened: ExitStack, tmp_path: Path) -> None:
    log = a_log(opened, tmp_path / "a")
    log.append("notices", [b"1"], 10)

    with pytest.raises(ValueError, match="goes on where it was"):
        log.begin_at("notices", 7)


def test_profiles_are_found_under_the_same_ids_and_go_on_where_they_were(opened: ExitStack, tmp_path: Path) -> None:
    source, target = profiles(opened, tmp_path / "a"), profiles(opened, tmp_path / "b")
    source.write({f"v{at}": Profile(segments=[f"n={at}"], affinities={"p": at / 3}) for at in range(50)})
    first = list(source.portions(b"", 20))
    reached: list[bytes] = []
    target.put_stored(dict(first[0]))

    compared = move_profiles(source, target, after=first[0][-1][0], reached=reached.append)

    assert [len(portion) for portion in first] == [20, 20, 10]
    assert compared.equal
    assert compared.source.count == target.count() == 50
    assert reached == [first[-1][-1][0]]
    assert target.read(["v7", "v50"]) == [Profile(segments=["n=7"], affinities={"p": 7 / 3}), None]


def test_a_profile_that_differs_or_is_too_many_shows(opened: ExitStack, tmp_path: Path) -> None:
    source, target = profiles(opened, tmp_path / "a"), profiles(opened, tmp_path / "b")
    source.write({"v": Profile(updated_at_ms=1)})
    target.write({"v": Profile(updated_at_ms=2)})
    assert not compare_profiles(source, target).equal
    target.write({"v": Profile(updated_at_ms=1)})
    assert compare_profiles(source, target).equal
    target.write({"w": Profile()})
    assert not compare_profiles(source, target).equal


def test_files_move_whole_and_what_is_made_anew_stays(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    for name in ("tokens.key", "media/x/1.webp", "media/work/half", "log/data.mdb", "haat.sqlite-wal", "serve.log"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "tokens.key").chmod(0o600)
    target.mkdir()

    first, again = move_files(source, target), move_files(source, target)

    assert first == again
    assert first.equal
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()) == [
        "media/x/1.webp", "tokens.key",
    ]  # fmt: skip
    assert (target / "tokens.key").stat().st_mode & 0o777 == 0o600
    (target / "tokens.key").write_text("another key")
    with pytest.raises(InvalidInput, match=r"another tokens\.key"):
        move_files(source, target)
