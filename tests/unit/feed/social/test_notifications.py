from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.notifications_sql import KEPT, SqlNotificationStore
from common.errors import InvalidInput, NotFound
from feed.post import PostState
from feed.social.calls import Relate
from feed.social.words import NotificationKind
from tests.feed_builders import TENANT
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea", "cyd", "dee", "eve"]) as opened:
        yield opened


def test_a_posts_fate_is_told_once_with_the_statement(world: World) -> None:
    post = world.post(1, state=PostState.CHECKING)
    assert world.told("ana") == []
    for state in (PostState.CLEAN, PostState.LIMITED, PostState.REMOVED, PostState.APPEALED, PostState.CLEAN):
        world.clock.step(1)
        world.put_state(post, state)
        world.part.catch_up()

    told = world.call("ListNotifications", person_id="ana").notifications
    assert [(one.kind.name, one.text) for one in reversed(told)] == [
        ("POST_CLEAN", "It reads as advertising."), ("POST_LIMITED", "It reads as advertising."),
        ("POST_REMOVED", "It reads as advertising."), ("APPEAL_DECIDED", "It reads as advertising."),
    ]  # fmt: skip


def test_what_was_told_of_an_appeals_decision_is_taken_back_with_it(world: World) -> None:
    post = world.post(1, state=PostState.CHECKING)
    for state in (PostState.REMOVED, PostState.APPEALED, PostState.CLEAN):
        world.clock.step(1)
        world.put_state(post, state)
        world.part.catch_up()
    assert [kind for kind, _, _ in world.told("ana")] == ["APPEAL_DECIDED", "POST_REMOVED"]

    for state, told in (
        (PostState.APPEALED, ["POST_REMOVED"]), (PostState.REMOVED, ["APPEAL_DECIDED", "POST_REMOVED"]),
    ):  # fmt: skip
        world.clock.step(1)
        world.put_state(post, state)
        world.part.catch_up()
        assert [kind for kind, _, _ in world.told("ana")] == told


def test_likes_of_several_people_are_one_notification_until_it_is_read(world: World) -> None:
    post = world.post(1)
    recorded = world.part.recorded
    for person in ("bea", "cyd", "bea", "dee", "eve", "ana"):
        world.clock.step(1)
        recorded.liked(TENANT, person, "ana", post, 0)
    assert world.told("ana")[0] == ("LIKE", post, 4)
    assert world.call("ListNotifications", person_id="ana").notifications[0].actor_ids == ("eve", "dee", "cyd")

    assert world.call("MarkRead", person_id="ana").marked == 2
    world.clock.step(1)
    recorded.liked(TENANT, "bea", "ana", post, 0)

    assert world.told("ana")[0] == ("LIKE", post, 1)
    assert world.call("ListNotifications", person_id="ana").unread == 1
    assert world.call("MarkRead", person_id="ana").marked == 1
    assert world.call("MarkRead", person_id="ana").marked == 0


def test_who_is_blocked_or_muted_rings_at_no_door(world: World) -> None:
    world.relate("ana", Relate.MUTE, "bea")
    world.relate("cyd", Relate.BLOCK, "ana")
    post = world.post(1, "dee")
    for person in ("bea", "cyd", "eve"):
        world.comment(post, person, "look @ana")

    assert [(kind, actors) for kind, _, actors in world.told("ana")] == [("MENTION", 1)]


def test_what_somebody_did_is_no_longer_told_to_who_blocks_or_mutes_them_later(world: World) -> None:
    post = world.post(1)
    for person in ("bea", "cyd", "dee"):
        world.comment(post, person, "so nice @eve")
    world.call("MarkRead", person_id="ana")
    world.comment(post, "bea", "and again")
    assert [(kind, actors) for kind, _, actors in world.told("ana")] == [
        ("COMMENT", 1),
        ("COMMENT", 3),
        ("POST_CLEAN", 0),
    ]
    # Of the same moment, none is the newer one.
    world.clock.step(1)
    world.relate("bea", Relate.FOLLOW, "ana")
    world.relate("ana", Relate.FOLLOW, "bea")

    world.relate("ana", Relate.MUTE, "cyd")
    assert [(kind, actors) for kind, _, actors in world.told("ana")][1:] == [
        ("COMMENT", 1),
        ("COMMENT", 2),
        ("POST_CLEAN", 0),
    ]
    world.relate("ana", Relate.BLOCK, "bea")

    assert [(kind, actors) for kind, _, actors in world.told("ana")] == [("COMMENT", 1), ("POST_CLEAN", 0)]
    assert world.call("ListNotifications", person_id="ana").unread == 0
    assert world.told("bea") == []
    # Of others, and to others, everything stays.
    assert [(kind, actors) for kind, _, actors in world.told("eve")] == [("MENTION", 1)] * 3


def test_who_muted_a_word_is_not_told_of_texts_that_hold_it(world: World) -> None:
    for person in ("ana", "bea", "cyd"):
        world.relate(person, Relate.MUTE_WORD, "spoiler")
    post = world.post(1)
    comment = world.comment(post, "bea", "when does it end?").comment_id
    world.call("MarkRead", person_id="ana")

    world.comment(post, "dee", "Spoiler: never, @cyd", parent_id=comment)
    world.post(2, "dee", caption="#spoiler for @cyd")
    assert [world.told(person)[:1] for person in ("bea", "cyd")] == [[], []]
    assert world.call("ListNotifications", person_id="ana").unread == 0

    world.comment(post, "dee", "soon, @cyd", parent_id=comment)
    assert [world.told(person)[0][0] for person in ("ana", "bea", "cyd")] == ["COMMENT", "REPLY", "MENTION"]


def test_a_person_chooses_and_moderation_is_always_told(world: World) -> None:
    chosen = world.call("ChooseNotifications", person_id="ana", unwanted=[8, 7, 8])
    assert chosen.unwanted_notifications == (NotificationKind.MENTION, NotificationKind.FOLLOW)
    world.relate("bea", Relate.FOLLOW, "ana")
    assert world.told("ana") == []

    with pytest.raises(InvalidInput) as refused:
        world.call("ChooseNotifications", person_id="ana", unwanted=[9, 3])
    assert [error.field for error in refused.value.errors] == ["unwanted[1]"]


def test_mentions_of_a_post_are_told_when_it_is_clean_and_once(world: World) -> None:
    post = world.post(1, caption="with @bea and @nobody", state=PostState.CHECKING)
    assert world.told("bea") == []

    world.put_state(post, PostState.CLEAN)
    world.put_state(post, PostState.LIMITED)
    world.put_state(post, PostState.CLEAN)

    assert world.told("bea") == [("MENTION", post, 1)]


@pytest.mark.slow
def test_the_newest_are_kept_and_listed_page_by_page(world: World) -> None:
    store = SqlNotificationStore(world.engine)
    for number in range(KEPT + 30):
        store.add(TENANT, "ana", NotificationKind.POST_CLEAN, f"{number:032x}", "", "", number)

    seen: list[str] = []
    cursor = ""
    while True:
        page = world.call("ListNotifications", person_id="ana", page_size=50, cursor=cursor)
        seen += [one.subject_id for one in page.notifications]
        cursor = page.next_cursor
        if not cursor:
            break

    assert seen == [f"{number:032x}" for number in range(KEPT + 29, 29, -1)]


def test_nobody_reads_what_others_are_told(world: World) -> None:
    with pytest.raises(NotFound):
        world.call("ListNotifications", "b" * 32, person_id="ana")
