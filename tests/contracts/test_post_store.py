"""What every PostStore promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, select

from backends.posts_sql import SqlPostStore
from backends.reactions_sql import SqlReactionStore
from backends.sql_tables_outbox import OUTBOX
from common.errors import Conflict
from feed.actions import ActionKind
from feed.ports import ErasedPosts, PostStore, Reaction
from feed.post import Post, PostMedia, PostState, ProductTag
from feed.post_states import Actor, StateStep
from feed.verdict import Finding, Label, Outcome, Verdict
from streams.feed_events import PostChanged
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, a_post

pytestmark = pytest.mark.on_every_database


class Opened:
    """A store, a way to open it again, and the PostChanged events that left with its writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: list[Engine] = []
        self.store: PostStore = self.reopened()

    def reopened(self) -> PostStore:
        self._engines.append(open_database(self._folder))
        return SqlPostStore(self._engines[-1], portion=7)

    def like(self, post: Post) -> None:
        liked = Reaction(ActionKind.LIKE, post.post_id, b"a" * 16, True)
        SqlReactionStore(self._engines[-1]).react(post.tenant_id, b"ann", [liked], NOW_MS)

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


VERDICT = Verdict(Outcome.LIMITED, 0.7, (Finding(Label.SPAM, 0.9, 0.8, "caption", "buy now"),), "v1")
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
        opened.store.change(replace(POST, revision=2), "key", "other", NOW_MS)
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
    assert opened.store.change(replace(POST, tenant_id="b" * 32, revision=2), "key", "digest", NOW_MS) is None
    assert opened.store.revisions("b" * 32, POST.post_id, 9, 9) == []
    assert opened.store.history("b" * 32, POST.post_id, 9, 9) == []
    assert opened.store.by_creator("b" * 32, POST.creator_id, 0, None, 9) == []
    assert opened.store.erase_creator("b" * 32, POST.creator_id, NOW_MS).posts == ()
    assert opened.store.get(TENANT, POST.post_id) == POST


WITHDRAWN = replace(POST, state=PostState.WITHDRAWN, revision=2)
STEP = StateStep(NOW_MS, Actor.CREATOR, "creator-1", None, PostState.CLEAN, "", 1)


def test_a_change_is_told_once_and_answered_again(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    assert opened.store.change(WITHDRAWN, "key 2", "d2", NOW_MS + 5) == WITHDRAWN
    assert opened.store.change(WITHDRAWN, "key 2", "d2", NOW_MS + 6) == WITHDRAWN
    opened.store.remember(WITHDRAWN, "key 3", "d2", NOW_MS + 7)
    assert opened.store.written(TENANT, "key 3", "d2") == WITHDRAWN
    assert opened.reopened().get(TENANT, POST.post_id) == WITHDRAWN
    assert [(event.state, event.revision, event.changed_at_ms) for event in opened.told()] == [
        (1, 1, NOW_MS), (2, 2, NOW_MS + 5),
    ]  # fmt: skip


def test_a_change_over_another_revision_than_the_one_before_changes_nothing(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    assert opened.store.change(replace(WITHDRAWN, revision=3), "", "", NOW_MS) is None
    assert opened.store.change(replace(WITHDRAWN, revision=1), "", "", NOW_MS) is None
    assert opened.store.get(TENANT, POST.post_id) == POST


def test_of_two_who_change_the_same_revision_one_comes_too_late(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)

    def change(number: int) -> Post | None:
        return opened.store.change(replace(POST, caption=f"{number}", revision=2), f"k{number}", "d", NOW_MS)

    with ThreadPoolExecutor(4) as threads:
        made = [post for post in threads.map(change, range(8)) if post is not None]

    assert len(made) == 1
    assert opened.store.get(TENANT, POST.post_id) == made[0]


def test_a_change_keeps_the_likes_that_came_meanwhile(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS)
    opened.like(POST)

    assert opened.store.change(WITHDRAWN, "", "", NOW_MS) == replace(WITHDRAWN, likes=1)
    assert opened.store.get(TENANT, POST.post_id) == replace(WITHDRAWN, likes=1)


def test_revisions_keep_what_stood_in_a_post_and_history_what_became_of_it(opened: Opened) -> None:
    opened.store.create(POST, "key", "digest", NOW_MS, [STEP])
    limited = replace(POST, state=PostState.LIMITED, revision=2, verdict=VERDICT, decided_by="mod")
    limiting = StateStep(NOW_MS + 1, Actor.MODERATOR, "mod", PostState.CLEAN, PostState.LIMITED, "spam", 2)
    opened.store.change(limited, "", "", NOW_MS + 1, [limiting])
    edited = replace(limited, caption="Better", state=PostState.CLEAN, revision=3)
    opened.store.change(edited, "", "", NOW_MS + 2)

    assert opened.reopened().get(TENANT, POST.post_id) == edited
    newest, first = opened.store.revisions(TENANT, POST.post_id, 9, 9)
    assert (newest.revision, newest.caption, newest.at_ms) == (3, "Better", NOW_MS + 2)
    assert (first.revision, first.caption, first.product_tags) == (1, POST.caption, POST.product_tags)
    assert opened.store.revisions(TENANT, POST.post_id, 3, 9) == [first]
    assert opened.store.history(TENANT, POST.post_id, 9, 9) == [(2, limiting), (1, STEP)]
    assert opened.store.history(TENANT, POST.post_id, 2, 9) == [(1, STEP)]


def test_drafts_are_due_when_their_time_has_come(opened: Opened) -> None:
    for number, at_ms in enumerate([0, NOW_MS + 20, NOW_MS + 10, NOW_MS + 1_000], 1):
        draft = a_post(number, state=PostState.DRAFT, publish_at_ms=at_ms)
        opened.store.create(draft, f"k{number}", "d", NOW_MS)

    assert opened.store.due(NOW_MS, 9) == []
    assert [int(post.post_id, 16) for post in opened.store.due(NOW_MS + 20, 9)] == [3, 2]
    assert [int(post.post_id, 16) for post in opened.store.due(NOW_MS + 20, 1)] == [3]


def test_what_got_no_verdict_is_found_again(opened: Opened) -> None:
    lost = a_post(1, state=PostState.CHECKING)
    opened.store.create(lost, "k1", "d", NOW_MS)
    opened.store.create(a_post(2, state=PostState.CHECKING, verdict=VERDICT), "k2", "d", NOW_MS)
    opened.store.create(a_post(3), "k3", "d", NOW_MS)

    assert opened.store.unchecked(9) == [lost]


def test_a_creators_posts_are_listed_by_publication_as_far_as_they_are_seen(opened: Opened) -> None:
    states = [PostState.CLEAN, PostState.LIMITED, PostState.CHECKING, PostState.WITHDRAWN, PostState.DRAFT]
    for number in range(1, 11):
        post = a_post(number, creator_id="ann", published_at_ms=NOW_MS - number % 3, state=states[number % 5])
        opened.store.create(post, f"k{number}", "d", NOW_MS)
    opened.store.create(a_post(11), "k11", "d", NOW_MS)

    mine = opened.store.by_creator(TENANT, "ann", 0, None, 20)
    public = opened.store.by_creator(TENANT, "ann", 1, None, 20)
    first = opened.store.by_creator(TENANT, "ann", 0, None, 3)
    rest = opened.store.by_creator(TENANT, "ann", 0, (first[-1].published_at_ms, first[-1].post_id), 20)

    assert [int(post.post_id, 16) for post in mine] == [9, 6, 10, 7, 4, 1, 5, 2]
    assert [int(post.post_id, 16) for post in public] == [6, 10, 1, 5]
    assert first + rest == mine


def test_a_medium_is_shown_while_others_see_a_post_that_holds_it(opened: Opened) -> None:
    post = a_post(1, image_urls=(), media=(PostMedia(media_id="d" * 32),), state=PostState.CHECKING)
    opened.store.create(post, "k", "d", NOW_MS)
    seen = [opened.store.shows_media("d" * 32)]
    for state in (PostState.CLEAN, PostState.LIMITED, PostState.REMOVED, PostState.CLEAN):
        post = replace(post, state=state, revision=post.revision + 1)
        opened.store.change(post, "", "", NOW_MS)
        seen.append(opened.store.shows_media("d" * 32))
    opened.store.change(replace(post, media=(), revision=post.revision + 1), "", "", NOW_MS)

    assert seen == [False, True, True, False, True]
    assert not opened.store.shows_media("d" * 32)


def test_an_erased_creator_leaves_nothing_but_word_that_the_posts_are_gone(opened: Opened) -> None:
    opened.store.create(a_post(1, creator_id="ann"), "k1", "d", NOW_MS, [STEP])
    opened.store.create(a_post(2, creator_id="ann", state=PostState.DRAFT), "k2", "d", NOW_MS, [STEP])
    other = a_post(3, creator_id="bob")
    opened.store.create(other, "k3", "d", NOW_MS, [STEP])

    erased = opened.store.erase_creator(TENANT, "ann", NOW_MS + 9)

    assert erased == ErasedPosts(((a_post(1).post_id, 2), (a_post(2).post_id, 2)), revisions=2, history=2)
    assert list(opened.store.all()) == [other]
    assert opened.store.written(TENANT, "k1", "d") is None
    assert opened.store.erase_creator(TENANT, "ann", NOW_MS) == ErasedPosts((), 0, 0)
    told = opened.told()[-2:]
    assert [(event.post_id, event.creator_id, event.state) for event in told] == [
        (a_post(1).post_id, "", 2), (a_post(2).post_id, "", 2),
    ]  # fmt: skip


def test_all_gives_every_tenants_posts_by_publication_beyond_one_portion(opened: Opened) -> None:
    posts = [a_post(n, published_at_ms=NOW_MS - n // 3, tenant_id="ab"[n % 2] * 32) for n in range(1, 31)]
    for post in posts:
        opened.store.create(post, post.post_id, "digest", NOW_MS)

    assert list(opened.store.all()) == sorted(posts, key=lambda post: (post.published_at_ms, post.post_id))
