from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.posts_sql import SqlPostStore
from backends.reactions_sql import SqlReactionStore
from common.consent import Permission
from common.errors import BackendUnavailable, InvalidInput
from feed.actions import Action, ActionKind
from feed.ports import Reacted
from feed.recording import Actor, Recorded, Recorder
from feed.sessions import InProcessSessions
from streams import schemas
from streams.feed_events import FeedActionTaken
from streams.ports import Record
from tests.databases import open_database
from tests.feed_builders import NOW_MS, SESSION, TENANT, Feed, a_post, a_product, ids

POST_1, POST_2 = ids([1, 2])
WHO = Actor(TENANT, SESSION)
REMEMBERED = replace(WHO, permissions=Permission.REMEMBER, visitor_id="visitor")


class Told:
    """The records that were published."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        assert topic == "feed_actions"
        self.payloads += payloads

    def events(self) -> list[FeedActionTaken]:
        events = [schemas.decode("feed_actions", Record(0, 0, payload)) for payload in self.payloads]
        assert all(isinstance(event, FeedActionTaken) for event in events)
        return [event for event in events if isinstance(event, FeedActionTaken)]


class Scene:
    """A feed with a store below it, and a recorder over both."""

    def __init__(self, store: SqlPostStore, reactions: SqlReactionStore, feed: Feed) -> None:
        self.store, self.reactions, self.feed, self.told = store, reactions, feed, Told()
        self.recorder = Recorder(
            index=feed.index, sessions=feed.sessions, reactions=reactions, profiles=feed.visitors, clock=feed.clock,
            publish=self.told.publish,
        )  # fmt: skip

    def likes(self) -> tuple[int, int]:
        post = self.store.get(TENANT, POST_1)
        assert post is not None
        return post.likes, self.feed.shelf.likes(self.feed.shelf.row_of[POST_1])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = open_database(tmp_path)
    store = SqlPostStore(engine)
    posts = [a_post(n, creator_id="ana", products=["shoe", "hat"][:n]) for n in (1, 2)]
    for post in posts:
        store.create(post, post.post_id, "digest", NOW_MS)
    yield Scene(store, SqlReactionStore(engine), Feed(posts, [a_product("shoe"), a_product("hat")]))
    engine.dispose()


async def test_a_like_is_in_the_session_the_counters_and_the_log(scene: Scene) -> None:
    recorded = await scene.recorder.record(WHO, [Action(ActionKind.LIKE, POST_1, "a")])

    assert recorded == Recorded(1, 0)
    assert POST_1 in scene.feed.session.liked
    assert scene.likes() == (1, 1)
    assert scene.told.events() == [FeedActionTaken(NOW_MS, TENANT, SESSION, "", 1, POST_1, "a")]


async def test_the_same_action_id_counts_once(scene: Scene) -> None:
    like = Action(ActionKind.LIKE, POST_1, "a")

    assert await scene.recorder.record(WHO, [like, like]) == Recorded(1, 1)
    assert await scene.recorder.record(WHO, [like]) == Recorded(0, 1)
    assert scene.likes() == (1, 1)
    assert len(scene.told.events()) == 1


async def test_the_same_action_id_counts_once_even_in_two_calls_at_the_same_time(scene: Scene) -> None:
    like = Action(ActionKind.LIKE, POST_1, "a")

    answers = await asyncio.gather(*(scene.recorder.record(WHO, [like]) for _ in range(8)))

    assert sum(answer.recorded for answer in answers) == 1
    assert sum(answer.duplicates for answer in answers) == 7
    assert scene.likes() == (1, 1)


async def test_a_like_of_the_process_before_is_known_to_the_store(scene: Scene) -> None:
    like = Action(ActionKind.LIKE, POST_1, "a")
    await scene.recorder.record(WHO, [like])
    scene.feed.sessions = InProcessSessions()
    restarted = Scene(scene.store, scene.reactions, scene.feed)

    assert await restarted.recorder.record(WHO, [like]) == Recorded(0, 1)
    assert restarted.likes() == (1, 1)
    assert restarted.told.events() == []
    assert POST_1 in restarted.feed.session.liked, "the page answers to it all the same"


async def test_a_post_that_is_liked_twice_has_one_like_more(scene: Scene) -> None:
    likes = [Action(ActionKind.LIKE, POST_1, name) for name in "abc"]

    assert await scene.recorder.record(WHO, likes[:2]) == Recorded(2, 0)
    assert await scene.recorder.record(WHO, likes[2:]) == Recorded(1, 0)
    assert scene.likes() == (1, 1)


async def test_unknown_subjects_are_all_named_and_nothing_is_taken(scene: Scene) -> None:
    actions = [
        Action(ActionKind.LIKE, POST_1, "a"), Action(ActionKind.HIDE, "f" * 32, "b"),
        Action(ActionKind.FOLLOW, POST_1, "c"),
    ]  # fmt: skip

    with pytest.raises(InvalidInput) as refused:
        await scene.recorder.record(WHO, actions)

    assert [error.field for error in refused.value.errors] == ["actions[1].subject_id", "actions[2].subject_id"]
    assert scene.likes() == (0, 0)
    assert not scene.feed.session.liked


async def test_another_tenants_post_is_unknown(scene: Scene) -> None:
    with pytest.raises(InvalidInput):
        await scene.recorder.record(replace(WHO, tenant_id="b" * 32), [Action(ActionKind.LIKE, POST_1, "a")])


async def test_affinities_are_remembered_of_visitors_who_agreed(scene: Scene) -> None:
    actions = [Action(ActionKind.LIKE, POST_2, "a"), Action(ActionKind.CLICK, POST_1, "b")]

    await scene.recorder.record(REMEMBERED, actions)

    assert scene.feed.visitors.weights == {"visitor": {"shoe": 3.0, "hat": 2.0}}
    assert {event.visitor_id for event in scene.told.events()} == {"visitor"}


async def test_nothing_is_remembered_of_others(scene: Scene) -> None:
    for number, actor in enumerate((WHO, replace(WHO, visitor_id="visitor"))):
        await scene.recorder.record(actor, [Action(ActionKind.LIKE, POST_2, str(number))])

    assert scene.feed.visitors.weights == {}
    assert {event.visitor_id for event in scene.told.events()} == {""}


async def test_when_the_store_is_down_nothing_is_taken_and_the_call_may_be_repeated(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> list[Reacted]:
        raise BackendUnavailable("the store is down")

    like = Action(ActionKind.LIKE, POST_1, "a")
    with monkeypatch.context() as patched:
        patched.setattr(scene.reactions, "react", down)
        with pytest.raises(BackendUnavailable):
            await scene.recorder.record(WHO, [like])

    assert await scene.recorder.record(WHO, [like]) == Recorded(1, 0)
    assert scene.likes() == (1, 1)


async def test_a_log_that_takes_nothing_costs_the_action_nothing(scene: Scene) -> None:
    def down(topic: str, payloads: Sequence[bytes]) -> None:
        raise BackendUnavailable("the disk is full")

    recorder = Recorder(
        index=scene.feed.index, sessions=scene.feed.sessions, reactions=scene.reactions, profiles=scene.feed.visitors,
        clock=scene.feed.clock, publish=down,
    )  # fmt: skip

    assert await recorder.record(WHO, [Action(ActionKind.LIKE, POST_1, "a")]) == Recorded(1, 0)
    assert recorder.actions_untold == 1


async def test_a_profile_that_cannot_be_written_costs_the_action_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise BackendUnavailable("the disk is full")

    monkeypatch.setattr(scene.feed.visitors, "remember", down)

    assert await scene.recorder.record(REMEMBERED, [Action(ActionKind.CLICK, POST_1, "a")]) == Recorded(1, 0)
    assert scene.recorder.profile_failures == 1


def counters(scene: Scene) -> tuple[int, int, int, int]:
    post, shelf = scene.store.get(TENANT, POST_1), scene.feed.shelf
    assert post is not None
    row = shelf.row_of[POST_1]
    return post.likes, post.saves, shelf.likes(row), shelf.saves(row)


async def act(scene: Scene, kind: ActionKind, action_id: str, subject_id: str = POST_1, who: Actor = WHO) -> Recorded:
    return await scene.recorder.record(who, [Action(kind, subject_id, action_id)])


async def test_what_is_taken_back_is_as_it_was(scene: Scene) -> None:
    before = float(scene.feed.shelf.value[scene.feed.shelf.row_of[POST_1]])
    await act(scene, ActionKind.LIKE, "a")
    await act(scene, ActionKind.SAVE, "b")
    assert counters(scene) == (1, 1, 1, 1)

    await act(scene, ActionKind.UNLIKE, "c")
    await act(scene, ActionKind.UNSAVE, "d")

    assert counters(scene) == (0, 0, 0, 0)
    assert POST_1 not in scene.feed.session.liked
    assert float(scene.feed.shelf.value[scene.feed.shelf.row_of[POST_1]]) == before
    assert list(scene.feed.session.taste.values()) == pytest.approx([0.0] * len(scene.feed.session.taste))
    await act(scene, ActionKind.LIKE, "e")
    assert counters(scene) == (1, 0, 1, 0)


async def test_taking_back_what_was_never_done_moves_nothing(scene: Scene) -> None:
    assert await act(scene, ActionKind.UNLIKE, "a") == Recorded(1, 0)
    assert counters(scene) == (0, 0, 0, 0)


async def test_a_late_repetition_of_a_like_does_not_undo_its_undoing(scene: Scene) -> None:
    await act(scene, ActionKind.LIKE, "a")
    await act(scene, ActionKind.UNLIKE, "b")

    assert await act(scene, ActionKind.LIKE, "a") == Recorded(0, 1)
    assert counters(scene) == (0, 0, 0, 0)


async def test_one_person_likes_once_on_however_many_devices_and_strangers_each_for_themselves(scene: Scene) -> None:
    for session in ("phone", "laptop"):
        await act(scene, ActionKind.LIKE, session, who=replace(REMEMBERED, session_id=session))
    assert counters(scene)[0] == 1

    for session in ("one", "two"):
        await act(scene, ActionKind.LIKE, session, who=replace(WHO, session_id=session))
    assert counters(scene)[0] == 3


async def test_a_person_takes_back_on_one_device_what_was_done_on_another(scene: Scene) -> None:
    await act(scene, ActionKind.LIKE, "a", who=replace(REMEMBERED, session_id="phone"))
    await act(scene, ActionKind.UNLIKE, "b", who=replace(REMEMBERED, session_id="laptop"))

    assert counters(scene) == (0, 0, 0, 0)


async def test_a_hidden_creator_comes_back_when_the_hiding_is_taken_back(scene: Scene) -> None:
    await act(scene, ActionKind.HIDE, "a")
    await act(scene, ActionKind.HIDE, "b", POST_2)
    assert scene.feed.session.hides_creator("ana")

    await act(scene, ActionKind.UNHIDE, "c")

    assert not scene.feed.session.hides_creator("ana")
    assert list(scene.feed.session.hidden) == [POST_2]


async def test_a_blocked_creator_is_gone_from_the_next_page_until_unblocked(scene: Scene) -> None:
    assert len(scene.feed.page().picks) == 2
    await act(scene, ActionKind.BLOCK, "a", "ana")
    assert scene.feed.page().picks == ()

    await act(scene, ActionKind.UNBLOCK, "b", "ana")

    assert len(scene.feed.page().picks) == 2


async def test_a_report_hides_the_post_and_carries_its_label_into_the_log(scene: Scene) -> None:
    await scene.recorder.record(WHO, [Action(ActionKind.REPORT, POST_1, "a", "spam")])

    assert POST_1 in scene.feed.session.hidden
    assert [event.detail for event in scene.told.events()] == ["spam"]


async def test_a_purchase_is_credited_to_the_product_that_was_bought(scene: Scene) -> None:
    await scene.recorder.record(REMEMBERED, [Action(ActionKind.PURCHASE, POST_2, "a", "hat")])
    assert scene.feed.visitors.weights == {"visitor": {"hat": 6.0}}

    with pytest.raises(InvalidInput) as refused:
        await scene.recorder.record(REMEMBERED, [Action(ActionKind.PURCHASE, POST_2, "b", "car")])
    assert [error.field for error in refused.value.errors] == ["actions[0].detail"]
