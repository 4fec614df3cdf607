"""What every ReactionStore promises."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from backends.posts_sql import SqlPostStore
from backends.reactions_sql import REPEATED_WITHIN_MS, SqlReactionStore
from backends.sql_tables_social import POST_TALLIES
from common.errors import BackendUnavailable
from feed.actions import ActionKind
from feed.actor import action_key, person_key
from feed.ports import Done, Reacted, Reaction, ReactionStore
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, a_post

pytestmark = pytest.mark.on_every_database

POST = a_post(1)
ANA, BEA = person_key(TENANT, "ana"), person_key(TENANT, "bea")
DAY_MS = 86_400_000


class Opened:
    """A store with one post below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: list[Engine] = []
        self.store: ReactionStore = self.reopened()
        self.posts = SqlPostStore(self._engines[-1])
        self.posts.create(POST, "key", "digest", NOW_MS)

    def reopened(self) -> ReactionStore:
        self._engines.append(open_database(self._folder))
        return SqlReactionStore(self._engines[-1])

    def likes(self) -> int:
        post = self.posts.get(TENANT, POST.post_id)
        assert post is not None
        return post.likes

    def tallies(self) -> dict[str, int]:
        with self._engines[-1].connect() as connection:
            row = connection.execute(select(POST_TALLIES)).mappings().first()
        return {} if row is None else {name: int(row[name]) for name in ("shares", "reports", "hides", "purchases")}

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


STORES: dict[str, Callable[[Path], Opened]] = {"sqlite": Opened}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    made = request.param(tmp_path)
    yield made
    made.close()


def like(name: str, *, on: bool = True, kind: ActionKind = ActionKind.LIKE) -> Reaction:
    return Reaction(kind, POST.post_id, action_key(TENANT, "somebody", name), on)


def react(opened: Opened, actor: bytes, *reactions: Reaction, at_ms: int = NOW_MS) -> list[Reacted]:
    return opened.store.react(TENANT, actor, reactions, at_ms)


def test_an_action_counts_once_also_after_a_restart(opened: Opened) -> None:
    assert react(opened, ANA, like("a"), like("a")) == [Reacted(True, 1), Reacted(False, 0)]
    assert opened.reopened().react(TENANT, ANA, [like("a")], NOW_MS + DAY_MS) == [Reacted(False, 0)]
    assert opened.likes() == 1
    assert react(opened, ANA) == []


def test_liking_again_moves_nothing_and_unliking_restores(opened: Opened) -> None:
    assert react(opened, ANA, like("a"), like("b")) == [Reacted(True, 1), Reacted(True, 0)]
    assert react(opened, BEA, like("c")) == [Reacted(True, 1)]
    assert opened.store.standing(TENANT, ANA, [POST.post_id]) == {(ActionKind.LIKE, POST.post_id)}

    assert react(opened, ANA, like("d", on=False), like("e", on=False)) == [Reacted(True, -1), Reacted(True, 0)]
    assert opened.likes() == 1
    assert opened.store.standing(TENANT, ANA, [POST.post_id]) == set()


def test_shares_and_purchases_count_each_time_hides_and_reports_once_for_each_actor(opened: Opened) -> None:
    for number, actor in enumerate((ANA, ANA, BEA)):
        kinds = (ActionKind.SHARE, ActionKind.PURCHASE, ActionKind.HIDE, ActionKind.REPORT)
        react(opened, actor, *(like(f"{kind}{number}", kind=kind) for kind in kinds))

    assert opened.tallies() == {"shares": 3, "purchases": 3, "hides": 2, "reports": 2}


def test_what_stands_of_a_kind_is_told_the_newest_first_until_it_is_taken_back(opened: Opened) -> None:
    def hide(post_id: str, name: str, *, on: bool = True, kind: ActionKind = ActionKind.HIDE) -> Reaction:
        return Reaction(kind, post_id, action_key(TENANT, "somebody", name), on)

    react(opened, ANA, hide("one", "a"), at_ms=1)
    react(opened, ANA, hide("two", "b"), hide("shoe", "c", kind=ActionKind.PURCHASE), at_ms=2)
    react(opened, ANA, hide("one", "d"), hide("shoe", "e", kind=ActionKind.PURCHASE), at_ms=3)
    react(opened, BEA, hide("three", "f"), at_ms=4)

    assert opened.reopened().newest(TENANT, ANA, ActionKind.HIDE, 9) == [Done("two", 2), Done("one", 1)]
    assert opened.store.newest(TENANT, ANA, ActionKind.HIDE, 1) == [Done("two", 2)]
    assert opened.store.newest("b" * 32, ANA, ActionKind.HIDE, 9) == []
    assert opened.store.newest(TENANT, ANA, ActionKind.PURCHASE, 9) == [Done("shoe", 2)]

    react(opened, ANA, hide("two", "g", on=False), hide("shoe", "h", on=False, kind=ActionKind.PURCHASE))

    assert opened.store.newest(TENANT, ANA, ActionKind.HIDE, 9) == [Done("one", 1)]
    assert opened.store.newest(TENANT, ANA, ActionKind.PURCHASE, 9) == []


def test_another_tenant_moves_nothing(opened: Opened) -> None:
    opened.store.react("b" * 32, ANA, [like("a")], NOW_MS)

    assert opened.likes() == 0


def test_actions_are_forgotten_when_no_repetition_is_to_be_expected_and_reactions_stand(opened: Opened) -> None:
    react(opened, ANA, like("a"))
    later = NOW_MS + REPEATED_WITHIN_MS + 1
    react(opened, BEA, like("b"), at_ms=later)

    assert react(opened, ANA, like("a"), at_ms=later) == [Reacted(True, 0)]
    assert opened.likes() == 2


def test_counters_are_exact_when_eight_write_at_the_same_time(opened: Opened) -> None:
    # Ten people like and take back at random from eight threads, some actions sent twice; whoever likes in the end
    # is counted, and the sum of all moves is the counter.
    def write(seed: int) -> int:
        chance, moved = random.Random(seed), 0
        for number in range(40):
            actor = person_key(TENANT, f"person-{chance.randrange(10)}")
            one = Reaction(
                ActionKind.LIKE, POST.post_id, action_key(TENANT, "thread", f"{seed}-{number // 2}-{number % 3}"),
                on=chance.random() < 0.6,
            )  # fmt: skip
            moved += sum(answer.moved for answer in opened.store.react(TENANT, actor, [one, one], NOW_MS))
        return moved

    with ThreadPoolExecutor(8) as threads:
        moved = sum(threads.map(write, range(8)))

    standing = sum(
        bool(opened.store.standing(TENANT, person_key(TENANT, f"person-{number}"), [POST.post_id]))
        for number in range(10)
    )
    assert opened.likes() == moved == standing
    assert standing > 0


def test_a_call_that_cannot_be_written_fails_and_may_be_repeated(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise BackendUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("backends.reactions_sql.count", down)
        with ThreadPoolExecutor(4) as threads:
            failed = [threads.submit(react, opened, ANA, like(name)) for name in "abcd"]
        assert [type(one.exception()) for one in failed] == [BackendUnavailable] * 4

    assert react(opened, ANA, like("a")) == [Reacted(True, 1)]
    assert opened.likes() == 1


def test_one_action_sent_from_eight_threads_counts_once(opened: Opened) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: react(opened, ANA, like("a"))[0], range(32)))

    assert sum(answer.new for answer in answers) == 1
    assert opened.likes() == 1
