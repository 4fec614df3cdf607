"""What does the LMDB log do when it is full, foreign, damaged, or opened by two?"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends import sync_mark
from backends.event_log_lmdb import LmdbEventLog
from common.errors import BackendUnavailable


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """No file may grow further: what a full disk looks like to LMDB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def fill(log: LmdbEventLog, payloads: list[bytes]) -> None:
    for _ in range(100):
        log.append("auctions", payloads, 1)


def in_another_process(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


OPEN_AND_SAY = """
import sys
from backends.event_log_lmdb import LmdbEventLog
from common.errors import BackendUnavailable
try:
    log = LmdbEventLog(sys.argv[1], readonly=sys.argv[2] == "read")
except BackendUnavailable as refused:
    print(refused)
else:
    print([record.payload.decode() for record in log.read("notices", 0)])
    log.close()
"""


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)

    said = in_another_process(OPEN_AND_SAY, str(tmp_path), "write")

    assert f"already being written by process {os.getpid()}: stop that one first" in said
    log.close()
    assert in_another_process(OPEN_AND_SAY, str(tmp_path), "write") == "[]\n"


def test_a_second_writer_in_the_same_process_is_refused_and_the_first_writes_on(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)

    with pytest.raises(BackendUnavailable, match="already being written"):
        LmdbEventLog(tmp_path)

    assert log.append("notices", [b"a"], 1) == 0
    log.close()


def test_another_process_reads_what_was_just_appended(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("notices", [b"a", b"b"], 1)

    assert in_another_process(OPEN_AND_SAY, str(tmp_path), "read") == "['a', 'b']\n"
    log.close()


FOLLOW = """
import sys
from backends.event_log_lmdb import LmdbEventLog
log = LmdbEventLog(sys.argv[1], readonly=True)
print(log.end("notices"), flush=True)
sys.stdin.readline()
print(log.begin("notices"), [record.payload.decode() for record in log.read("notices", 0)])
"""


def test_a_reader_follows_topics_that_are_begun_after_it_was_opened(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "0\n"
        log.append("notices", [b"a", b"b", b"c"], 1)
        log.drop_before("notices", 1)

        said, _ = reader.communicate("go\n", timeout=60)

    assert said == "1 ['b', 'c']\n"
    log.close()


def test_a_reader_of_nothing_is_told_to_start_the_server(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="start the server there first"):
        LmdbEventLog(tmp_path, readonly=True)

    assert list(tmp_path.iterdir()) == []


def test_a_full_map_is_a_clear_sentence_and_nothing_is_half_written(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 20)
    with pytest.raises(BackendUnavailable, match="largest size of 1048576 bytes: drop old records, or start it with"):
        fill(log, [b"x" * 20_000, b"y" * 20_000])

    assert log.end("auctions") % 2 == 0
    assert len(log.read("auctions", 0)) == log.end("auctions")
    log.close()
    larger = LmdbEventLog(tmp_path, map_size_bytes=4 << 20)
    assert larger.append("auctions", [b"z" * 50_000], 1) == larger.end("auctions") - 1
    larger.close()


def test_a_disk_that_is_full_is_a_clear_sentence_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    with files_limited_to(1 << 20), pytest.raises(BackendUnavailable, match=r"cannot be written: .*; make room on it"):
        fill(log, [b"x" * 50_000])
    end = log.end("auctions")

    with files_limited_to(1 << 20):
        log.sync()

    assert 0 < end < 100
    assert log.append("auctions", [b"y"], 1) == end
    log.close()


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\0" + b"\0" * 8000, b"\xff" * 16384])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)

    with pytest.raises(BackendUnavailable, match=r"damaged or is not one of ours.*move the folder away"):
        LmdbEventLog(tmp_path)

    assert (tmp_path / "data.mdb").read_bytes() == content


def test_a_file_that_is_cut_off_is_refused_before_it_is_read(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("auctions", [b"x" * 4_000_000], 1)
    log.close()
    os.truncate(tmp_path / "data.mdb", 100_000)

    with pytest.raises(BackendUnavailable, match=r"is cut off: 100000 of .* bytes are there"):
        LmdbEventLog(tmp_path)


def test_pages_that_were_wiped_are_a_clear_sentence(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("auctions", [b"x" * 100] * 1000, 1)
    log.close()
    size = (tmp_path / "data.mdb").stat().st_size
    with (tmp_path / "data.mdb").open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\0" * (size - 2 * 4096))

    with pytest.raises(BackendUnavailable, match="damaged"):
        LmdbEventLog(tmp_path).read("auctions", 0)


def test_a_folder_that_cannot_be_made_is_a_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(BackendUnavailable, match="give a folder that this user may write"):
        LmdbEventLog(tmp_path / "file" / "log")


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("auctions", [b"x"], 1)
    log.close()

    with pytest.raises(BackendUnavailable, match="cannot be used"):
        log.append("auctions", [b"x"], 1)


def test_dropped_records_are_gone_and_offsets_go_on(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    for at_ms in range(2500):
        log.append("auctions", [b"%d" % at_ms], at_ms)

    assert log.drop_before("auctions", 2400) == 2400
    assert log.drop_before("auctions", 2400) == 0

    assert (log.begin("auctions"), log.end("auctions")) == (2400, 2500)
    assert log.read("auctions", 0, limit=1)[0].offset == 2400
    assert [log.first_offset_at("auctions", at_ms) for at_ms in (0, 2450, 9000)] == [2400, 2450, 2500]
    log.close()


def test_a_topic_that_was_emptied_goes_on_where_it_was(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("auctions", [b"a", b"b"], 500)
    log.drop_before("auctions", 99)
    log.close()

    log = LmdbEventLog(tmp_path)

    assert (log.begin("auctions"), log.end("auctions")) == (2, 2)
    assert log.append("auctions", [b"c"], 400) == 2
    assert log.read("auctions", 0)[0].appended_at_ms == 500
    log.close()


def test_the_room_of_dropped_records_is_used_again(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    for _ in range(16):
        fill(log, [b"x" * 20_000])
        log.drop_before("auctions", log.end("auctions") - 10)
        log.sync()

    assert (tmp_path / "data.mdb").stat().st_size < 16 * 100 * 20_000 / 3
    log.close()


def test_a_log_that_nobody_syncs_syncs_itself_before_it_grows_much(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path)
    before = sync_mark.newest(tmp_path)
    fill(log, [b"x" * 500_000])
    assert log._folder._soon is not None
    log._folder._soon.join(60)

    after = sync_mark.newest(tmp_path)

    assert before is not None
    assert after is not None
    assert after.number > before.number
    log.close()


def test_a_rewritten_record_keeps_its_place_and_time_and_dropped_ones_do_not_come_back(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 24)
    log.append("posts", [b"one", b"two", b"three"], 7)
    log.drop_before("posts", 1)

    log.rewrite("posts", {0: b"back", 2: b"THREE, and longer"})

    kept = [(one.offset, one.appended_at_ms, one.payload) for one in log.read("posts", 0)]
    assert kept == [(1, 7, b"two"), (2, 7, b"THREE, and longer")]
    assert log.append("posts", [b"four"], 8) == 3
    log.close()
