"""What every PostStore promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, select

from backends.posts_sql import REPEATED_WITHIN_MS, SqlPostStore
from backends.sql import open_engine, sqlite_url
from backends.sql_tables_outbox import OUTBOX
from common.errors import Conflict
from feed.ports import Count, PostStore
from feed.post import PostState, ProductTag
from streams.schemas import PostChanged
from tests.feed_builders import NOW_MS, TENANT, a_post


class Opened:
    """A store, a way to open it again, and the PostChanged events that left with its writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: list[Engine] = []
        self.store: PostStore = self.reopened()

    def reopened(self) -> PostStore:
        self._engines.append(open_engine(sqlite_url(self._folder)))
        return SqlPostStore(self._engines[-1], portion=7)

    def told(self) -> list[PostChanged]:
        with self._engines[-1].connect() as connection:
            rows = connection.execute(select(OUTBOX).order_by(OUTBOX.c.sequence)).all()
        assert {row.topic for row in rows} <= {"posts"}
        return [msgspec.convert(msgspec.json.decode(row.fields), PostChanged) for row in rows]

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


STORES: dict[str, Callable[[Path], Opened]] = {"sqlite": Opened}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    made = request.param(tmp_path)
    yield made
    made.close()


POST = a_post(
    1,
    caption="A look 👢\nand more",
    product_tags=(ProductTag("shoe", 0.1, 0.25), ProductTag("hat", 1.0, 0.0)),
    hashtags=("boots", "हाट"),
)


def test_a_post_comes_back_as_it_was_stored_also_after_a_restart(opened: Opened) -> None:
    assert opened.store.create(POST, "key", "digest", NOW_MS) == POST

    assert opened.reopened().get(TENANT, POST.post_id) == POST
    assert list(opened.reopened().all()) == [POST]


def test_a_key_writes_once_and_tells_once(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    again = replace(POST, post_id="f" * 32)
    assert opened.store.create(again, "key", "digest", NOW_MS) == POST
    assert opened.store.written(TENANT, "key", "digest") == POST
    assert opened.store.written(TENANT, "other", "digest") is None
    assert opened.told() == [PostChanged(NOW_MS, TENANT, POST.post_id, POST.creator_id, 1, 1)]


def test_a_key_that_was_used_for_another_request_is_a_conflict_and_changes_nothing(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    with pytest.raises(Conflict):
        opened.store.create(replace(POST, post_id="f" * 32), "key", "other", NOW_MS)
    with pytest.raises(Conflict):
        opened.store.withdraw(TENANT, POST.post_id, "key", "other", NOW_MS)
    with pytest.raises(Conflict):
        opened.store.written(TENANT, "key", "other")
    assert list(opened.store.all()) == [POST]


def test_a_key_belongs_to_its_tenant(opened: Opened) -> None:
    other = replace(POST, tenant_id="b" * 32, post_id="f" * 32)
    opened.store.create(POST, "key", "digest", NOW_MS)

    assert opened.store.create(other, "key", "another digest", NOW_MS) == other
    assert opened.store.written("c" * 32, "key", "digest") is None


def test_another_tenant_finds_nothing_and_withdraws_nothing(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    assert opened.store.get("b" * 32, POST.post_id) is None
    assert opened.store.withdraw("b" * 32, POST.post_id, "key", "digest", NOW_MS) is None
    opened.store.count("b" * 32, [Count(POST.post_id, b"a" * 16, likes=1)], NOW_MS)
    assert opened.store.get(TENANT, POST.post_id) == POST


def test_withdrawing_is_told_once(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)
    withdrawn = replace(POST, state=PostState.WITHDRAWN, revision=2)

    assert opened.store.withdraw(TENANT, POST.post_id, "key 2", "d2", NOW_MS + 5) == withdrawn
    assert opened.store.withdraw(TENANT, POST.post_id, "key 2", "d2", NOW_MS + 6) == withdrawn
    assert opened.store.withdraw(TENANT, POST.post_id, "key 3", "d2", NOW_MS + 7) == withdrawn
    assert opened.reopened().get(TENANT, POST.post_id) == withdrawn
    assert [(event.state, event.revision, event.changed_at_ms) for event in opened.told()] == [
        (1, 1, NOW_MS), (2, 2, NOW_MS + 5),
    ]  # fmt: skip


def test_an_action_counts_once_also_after_a_restart(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)
    like, save = Count(POST.post_id, b"a" * 16, likes=1), Count(POST.post_id, b"b" * 16, saves=1)

    assert opened.store.count(TENANT, [like, save, like], NOW_MS) == [True, True, False]
    assert opened.reopened().count(TENANT, [save, like], NOW_MS + 86_400_000) == [False, False]
    assert opened.reopened().get(TENANT, POST.post_id) == replace(POST, likes=1, saves=1)
    assert opened.store.count(TENANT, [], NOW_MS) == []


def test_counted_actions_are_forgotten_when_no_repetition_is_to_be_expected(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)
    opened.store.count(TENANT, [Count(POST.post_id, b"a" * 16, likes=1)], NOW_MS)
    later = NOW_MS + REPEATED_WITHIN_MS + 1
    opened.store.count(TENANT, [Count(POST.post_id, b"b" * 16, likes=1)], later)

    assert opened.store.count(TENANT, [Count(POST.post_id, b"a" * 16, likes=1)], later) == [True]


def test_likes_that_come_at_the_same_time_are_all_counted(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    def like(number: int) -> list[bool]:
        return opened.store.count(TENANT, [Count(POST.post_id, number.to_bytes(16), likes=1)], NOW_MS)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(like, [*range(20), *range(20)]))

    assert sum(answer == [True] for answer in answers) == 20
    stored = opened.store.get(TENANT, POST.post_id)
    assert stored is not None
    assert stored.likes == 20


def test_all_gives_every_tenants_posts_by_publication_beyond_one_portion(opened: Opened) -> None:
    posts = [a_post(n, published_at_ms=NOW_MS - n // 3, tenant_id="ab"[n % 2] * 32) for n in range(1, 31)]
    for post in posts:
        opened.store.create(post, post.post_id, "digest", NOW_MS)

    assert list(opened.store.all()) == sorted(posts, key=lambda post: (post.published_at_ms, post.post_id))
