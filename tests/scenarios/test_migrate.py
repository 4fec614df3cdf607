"""`haat migrate` as an operator runs it: looked at first, killed in the middle, said again, and both sides the same."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.profiles_lmdb import LmdbProfileStore
from backends.sql import open_engine, sqlite_url
from streams.ports import Profile
from tests.databases import database_url, of_kind
from tests.full_stores import fill
from tests.redis_worlds import redis_at

ROWS = 300


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The data folder of a haat with something in every table, topics, profiles and files."""
    folder = tmp_path / "source"
    folder.mkdir()
    engine = open_engine(sqlite_url(folder))
    fill(engine, ROWS)
    engine.dispose()
    with closing(LmdbEventLog(folder / "log")) as log:
        for at in range(2_000):
            log.append("notices", [b"%d" % at], 1_000 + at)
        log.drop_before("notices", 100)
    with closing(LmdbProfileStore(folder / "profiles")) as profiles:
        profiles.write({f"v{at}": Profile(updated_at_ms=at) for at in range(500)})
    (folder / "tokens.key").write_text("1 ab\n")
    return folder


@pytest.fixture(params=["embedded", pytest.param("cluster", marks=pytest.mark.services)])
def words(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[list[str]]:
    """What moves the source into a fresh folder, and into PostgreSQL and Redis where that is asked for."""
    target = tmp_path / "target"
    said = ["--to", request.param, "--data-dir", str(source), "--to-data-dir", str(target)]
    if request.param == "embedded":
        yield said
        return
    address: str = request.getfixturevalue("redis_url")
    with of_kind("postgresql"), redis_at(address) as redis:
        url = database_url(target).replace("postgresql+psycopg", "postgresql")
        kept = ["--set", f"redis_url={address}", "--set", f"redis_prefix={redis.prefix}"]
        yield [*said, *kept, "--set", f"database_url={url}"]


def migrate(words: list[str], *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app", "migrate", "--json", *words, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(running: subprocess.Popen[str]) -> tuple[int, Any, str]:
    said, trouble = running.communicate(timeout=120)
    return running.returncode, json.loads(said) if said else None, trouble


def test_what_there_is_to_move_is_told_and_nothing_written(words: list[str], source: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.rglob("*"))

    code, told, trouble = ended(migrate(words, "--check"))

    assert code == 0, trouble
    assert told["counts"]["campaigns"] == ROWS
    assert (told["counts"]["topic notices"], told["counts"]["profiles"], told["counts"]["files"]) == (1_900, 500, 1)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.suffix not in (".sqlite-wal", ".sqlite-shm")) == [
        name for name in before if not name.endswith(("-wal", "-shm"))
    ]


@pytest.mark.slow
def test_killed_again_and_again_it_comes_to_the_same(words: list[str], tmp_path: Path) -> None:
    for reached in ("a table", "half", "the log"):
        with migrate(words) as running:
            _wait_until(running, words, tmp_path / "target", reached)
            running.send_signal(signal.SIGKILL)

    code, told, trouble = ended(migrate(words))
    again = ended(migrate(words))[1]

    assert code == 0, trouble
    assert {one["what"] for one in told["compared"] if not one["equal"]} == set()
    counts = {one["what"]: one["target"]["count"] for one in told["compared"]}
    assert (counts["campaigns"], counts["topic notices"], counts["profiles"], counts["files"]) == (ROWS, 1_900, 500, 1)
    assert again["again"] is True


def _wait_until(running: subprocess.Popen[str], words: list[str], target: Path, reached: str) -> None:
    """Return when so much is there, or the migration has ended."""
    until_s = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < until_s:
        if reached == "the log":
            if (target / "log").exists():
                return
        elif _tables_there(words, target) >= (1 if reached == "a table" else 30):
            return
        time.sleep(0.002)


def _tables_there(words: list[str], target: Path) -> int:
    if "cluster" in words:
        import psycopg

        with psycopg.connect(words[-1].removeprefix("database_url=")) as connection:
            if connection.execute("SELECT to_regclass('haat_moved')").fetchone() == (None,):
                return 0
            found = connection.execute("SELECT count(*) FROM haat_moved").fetchone()
            return int(found[0]) if found else 0
    try:
        with closing(sqlite3.connect(f"file:{target / 'haat.sqlite'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM haat_moved").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_a_folder_that_is_in_use_is_refused(words: list[str], source: Path) -> None:
    with closing(LmdbEventLog(source / "log")):
        code, _, trouble = ended(migrate(words))

    assert code == 3
    assert "in use" in trouble
    assert "stop that one first" in trouble


def test_a_target_that_holds_something_is_refused(words: list[str], source: Path, tmp_path: Path) -> None:
    url = words[-1].removeprefix("database_url=") if "cluster" in words else sqlite_url(tmp_path / "target")
    engine = open_engine(url)
    fill(engine, 2)
    engine.dispose()

    for more in ([], ["--check"]):
        code, _, trouble = ended(migrate(words, *more))

        assert code == 2
        assert "give an empty database" in trouble


def test_the_same_place_is_refused(source: Path) -> None:
    code, _, trouble = ended(migrate(["--to", "embedded", "--data-dir", str(source), "--to-data-dir", str(source)]))

    assert code == 2
    assert "is where --from is" in trouble
