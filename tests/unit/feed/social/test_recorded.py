from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.consent import Permission
from feed.actions import Action, ActionKind
from feed.recording import Actor
from feed.social.calls import Relate
from feed.social.recorded import RecordedActions
from tests.feed_builders import TENANT, ids
from tests.social_worlds import World, recorder_of, social_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea"]) as opened:
        yield opened


def test_relations_are_known_once_they_were_read_and_until_they_change(world: World) -> None:
    relations: RecordedActions = world.part.recorded
    world.relate("ana", Relate.FOLLOW, "bea")

    assert relations.known(TENANT, "ana") is None
    read = relations.of(TENANT, "ana")
    assert relations.known(TENANT, "ana") == read
    assert read.follows == ("bea",)

    world.relate("ana", Relate.BLOCK, "bea")

    assert relations.known(TENANT, "ana") is None
    assert relations.of(TENANT, "ana").blocked == {"bea"}


async def test_what_a_person_hides_reports_and_buys_is_known_in_every_session_until_it_is_taken_back(
    world: World,
) -> None:
    for number in (1, 2, 3):
        world.post(number, "bea")
    relations, posts = world.part.recorded, ids([1, 2, 3])
    recorder, ana = recorder_of(world), Actor(TENANT, "one", Permission.REMEMBER, "ana")
    assert relations.of(TENANT, "ana").hidden == ()

    for kind, post_id in zip((ActionKind.HIDE, ActionKind.REPORT, ActionKind.PURCHASE), posts, strict=True):
        world.clock.step(1)
        await recorder.record(ana, [Action(kind, post_id, kind.name)])

    chosen = relations.of(TENANT, "ana")
    assert [one.post_id for one in chosen.hidden] == [posts[1], posts[0]]
    assert [one.post_id for one in chosen.bought] == [posts[2]]

    elsewhere = replace(ana, session_id="two")
    await recorder.record(elsewhere, [Action(ActionKind.UNHIDE, posts[0], "a")])
    await recorder.record(elsewhere, [Action(ActionKind.RETURN, posts[2], "b")])

    chosen = relations.of(TENANT, "ana")
    assert [one.post_id for one in chosen.hidden] == [posts[1]]
    assert chosen.bought == ()
    await recorder.record(replace(ana, permissions=Permission.NONE), [Action(ActionKind.HIDE, posts[2], "c")])
    assert relations.of(TENANT, "ana").hidden == chosen.hidden, "of a stranger nothing is known elsewhere"
