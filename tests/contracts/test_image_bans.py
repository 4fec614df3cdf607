"""Do all stores of banned pictures behave alike?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from backends.image_bans_sql import SqlImageBans
from feed.moderation.check_ports import ImageBan, ImageBans
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

BAN = ImageBan("ab" * 32, "stolen picture", "moderator 1", 5)


@contextmanager
def _sqlite(folder: Path) -> Iterator[ImageBans]:
    engine = open_database(folder)
    try:
        yield SqlImageBans(engine)
    finally:
        engine.dispose()


STORES: dict[str, Callable[[Path], AbstractContextManager[ImageBans]]] = {"sqlite": _sqlite}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageBans]:
    with request.param(tmp_path) as opened:
        yield opened


def test_a_picture_is_banned_once(store: ImageBans) -> None:
    assert store.add("t", BAN)
    assert not store.add("t", ImageBan(BAN.image_hash, "again", "moderator 2", 9))

    assert store.all("t") == [BAN]


def test_a_ban_is_its_tenants_alone(store: ImageBans) -> None:
    store.add("t", BAN)

    assert store.all("other") == []
    assert not store.remove("other", BAN.image_hash)
    assert store.add("other", BAN)


def test_a_ban_can_be_lifted(store: ImageBans) -> None:
    store.add("t", BAN)

    assert store.remove("t", BAN.image_hash)
    assert not store.remove("t", BAN.image_hash)
    assert store.all("t") == []


def test_the_oldest_comes_first(store: ImageBans) -> None:
    later = ImageBan("01" * 32, "", "m", 9)
    store.add("t", later)
    store.add("t", BAN)

    assert store.all("t") == [BAN, later]


def test_bans_outlive_the_process(tmp_path: Path) -> None:
    with _sqlite(tmp_path) as first:
        first.add("t", BAN)
    with _sqlite(tmp_path) as second:
        assert second.all("t") == [BAN]
