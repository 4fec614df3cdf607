"""Does what was synced come back when the machine died, whichever later pages reached the disk?"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from backends import sync_mark
from backends.event_log_lmdb import LmdbEventLog
from backends.sync_mark import Mark
from common.errors import BackendUnavailable

PAGE = 4096
MARKS = ("synced-0.mark", "synced-1.mark")
OTHER_BOOT = bytes(range(16))


def pages_that_reached_the_disk(synced: bytes, newest: bytes, chance: random.Random) -> bytes:
    """Of what was written after the sync, the disk holds any pages and lacks any others."""
    length = chance.choice([len(synced), len(newest)])
    image = bytearray()
    for at in range(0, length, PAGE):
        old = synced[at : at + PAGE].ljust(PAGE, b"\0")
        image += chance.choice([old, newest[at : at + PAGE]])
    return bytes(image)


def work_on(log: LmdbEventLog, chance: random.Random) -> None:
    """Write, and set pages free that the next writes will want to use again."""
    for _ in range(chance.randrange(1, 40)):
        topic = chance.choice(["auctions", "notices", "posts"])
        sizes = [chance.choice([10, 500, 9_000]) for _ in range(chance.randrange(1, 5))]
        log.append(topic, [chance.randbytes(size) for size in sizes], 1_000)
        if chance.random() < 0.3:
            log.drop_before("auctions", log.end("auctions") - 3)


def everything(log: LmdbEventLog) -> dict[str, list[tuple[int, bytes]]]:
    topics = ("auctions", "notices", "posts")
    return {topic: [(record.offset, record.payload) for record in log.read(topic, 0, 1_000_000)] for topic in topics}


@pytest.mark.parametrize("seed", range(25))
def test_synced_records_survive_the_death_of_the_machine(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    living, dead = tmp_path / "living", tmp_path / "dead"
    dead.mkdir()
    log = LmdbEventLog(living)
    for _ in range(chance.randrange(1, 4)):
        work_on(log, chance)
        log.sync()
    synced, on_disk = everything(log), (living / "data.mdb").read_bytes()
    for mark in MARKS:
        shutil.copy(living / mark, dead / mark)
    work_on(log, chance)
    (dead / "data.mdb").write_bytes(pages_that_reached_the_disk(on_disk, (living / "data.mdb").read_bytes(), chance))
    log.close()

    monkeypatch.setattr(sync_mark, "boot_id", lambda: OTHER_BOOT)
    after = LmdbEventLog(dead)

    assert everything(after) == synced
    work_on(after, chance)
    written = everything(after)
    after.close()
    again = LmdbEventLog(dead)
    assert everything(again) == written
    again.close()


def test_nothing_goes_back_in_the_same_boot(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path / "living")
    log.append("notices", [b"synced"], 1)
    log.sync()
    log.append("notices", [b"committed"], 1)
    # A copy of the files at this moment is what kill -9 would leave.
    shutil.copytree(tmp_path / "living", tmp_path / "killed")
    log.close()

    log = LmdbEventLog(tmp_path / "killed")

    assert [record.payload for record in log.read("notices", 0)] == [b"synced", b"committed"]
    log.close()


def test_a_reader_waits_for_the_writer_to_put_things_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LmdbEventLog(tmp_path / "living")
    log.append("notices", [b"synced"], 1)
    log.sync()
    log.append("notices", [b"committed"], 1)
    shutil.copytree(tmp_path / "living", tmp_path / "dead")
    log.close()
    monkeypatch.setattr(sync_mark, "boot_id", lambda: OTHER_BOOT)

    with pytest.raises(BackendUnavailable, match="start the server there once"):
        LmdbEventLog(tmp_path / "dead", readonly=True)

    LmdbEventLog(tmp_path / "dead").close()
    reader = LmdbEventLog(tmp_path / "dead", readonly=True)
    assert [record.payload for record in reader.read("notices", 0)] == [b"synced"]
    reader.close()


def test_a_log_that_was_closed_is_whole_in_another_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("notices", [b"a"], 1)
    log.close()
    monkeypatch.setattr(sync_mark, "boot_id", lambda: OTHER_BOOT)

    log = LmdbEventLog(tmp_path)

    assert log.end("notices") == 1
    log.close()


def test_without_a_boot_id_every_commit_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_mark, "boot_id", lambda: None)

    log = LmdbEventLog(tmp_path)

    assert log._folder.env.flags()["sync"] is True
    log.append("notices", [b"a"], 1)
    log.sync()
    log.close()
    assert sync_mark.newest(tmp_path) is None


def test_a_mark_that_was_half_written_leaves_the_one_before(tmp_path: Path) -> None:
    sync_mark.write(tmp_path, Mark(1, OTHER_BOOT, b"one" * 1000))
    sync_mark.write(tmp_path, Mark(2, OTHER_BOOT, b"two" * 1000))
    with (tmp_path / "synced-0.mark").open("r+b") as file:
        file.seek(500)
        file.write(b"torn")

    assert sync_mark.newest(tmp_path) == Mark(1, OTHER_BOOT, b"one" * 1000)


def test_the_marks_of_a_file_that_is_gone_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LmdbEventLog(tmp_path)
    log.append("notices", [b"old"], 1)
    log.close()
    (tmp_path / "data.mdb").unlink()
    monkeypatch.setattr(sync_mark, "boot_id", lambda: OTHER_BOOT)

    log = LmdbEventLog(tmp_path)

    assert log.end("notices") == 0
    log.close()
