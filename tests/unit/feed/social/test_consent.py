"""Without consent nothing is stored under a person's id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from backends.sql import reading
from backends.sql_schema import METADATA
from common.consent import Permission
from feed.actions import OF_CREATORS, Action, ActionKind
from feed.recording import Actor
from streams.topics import TOPICS
from tests.feed_builders import TENANT, a_product
from tests.social_worlds import World, recorder_of, social_world

VISITOR = "zq-visitor"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana"]) as opened:
        opened.sell(a_product("shoe"))
        opened.post(1, "ana", products=["shoe"])
        opened.post(2, "ana", products=["shoe"])
        yield opened


def stored(world: World) -> list[str]:
    """Tables, topics and the profile that name the visitor."""
    found = []
    with reading(world.engine) as connection:
        for table in METADATA.sorted_tables:
            rows = connection.execute(select(table)).all()
            found += [table.name for row in rows if VISITOR in str(tuple(row))]
    for topic in TOPICS:
        found += [topic for one in world.log.read(topic, 0, 10_000) if VISITOR.encode() in one.payload]
    return found + (["profile"] if world.profiles.look_up([VISITOR]) != [None] else [])


async def act_in_every_way(world: World, permissions: Permission) -> None:
    recorder, post = recorder_of(world), f"{1:032x}"
    actor = Actor(TENANT, "session", permissions, VISITOR)
    for kind in ActionKind:
        subject = "ana" if kind in OF_CREATORS else post
        await recorder.record(actor, [Action(kind, subject, f"{kind.name}-{permissions}")])


@pytest.mark.parametrize("permissions", [Permission.NONE, ~Permission.REMEMBER])
async def test_whatever_a_visitor_does_without_consent_is_stored_under_no_id(
    world: World, permissions: Permission
) -> None:
    await act_in_every_way(world, permissions)

    assert stored(world) == []
    assert [kind for kind, *_ in world.told("ana")] == ["POST_CLEAN", "POST_CLEAN"]


async def test_with_consent_it_is_and_goes_when_the_visitor_is_erased(world: World) -> None:
    await act_in_every_way(world, Permission.REMEMBER)
    # Each relation was taken back in its turn, and the block took along what its creator had been told.
    assert set(stored(world)) == {"feed_actions", "profile"}
    world.call("ErasePerson", person_id=VISITOR)

    assert stored(world) == []
