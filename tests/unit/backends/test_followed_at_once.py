"""What all nodes are told, and each of them follows in the one database: does it have its effect once?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backends.moderation_sql import SqlCaseStore
from backends.notifications_sql import SqlNotificationStore
from backends.reputation_sql import SqlReputationStore
from feed.moderation.case_intake import CaseIntake
from feed.moderation.subjects import Subject
from feed.reputation.ports import TierHeld
from feed.reputation.standing import Tier
from feed.verdict import Outcome
from streams.topics import CREATOR_TIERS, MODERATION
from tests.databases import open_database
from tests.moderation_desk import TENANT, Desk, SomeReach, a_verdict
from tests.unit.backends.test_writers_at_once import at_once

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def nodes(desk: Desk, tmp_path: Path) -> Iterator[list[Engine]]:
    """Engines of two nodes over the same database."""
    engines = [open_database(tmp_path), open_database(tmp_path)]
    yield engines
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("outcome", [Outcome.HELD, Outcome.REMOVED])
def test_a_post_that_every_node_follows_is_one_case_with_one_decision(
    desk: Desk, nodes: list[Engine], outcome: Outcome
) -> None:
    def follow(subject: Subject, number: int) -> None:
        store = SqlCaseStore(nodes[number % 2])
        intake = CaseIntake(store=store, reach=SomeReach({}), effects=desk.effects, clock=desk.clock)
        facts = desk.posts.facts(TENANT, subject)
        assert facts is not None
        intake.checked(TENANT, subject, facts, a_verdict(outcome), once=True)

    for post in range(4):
        subject = desk.posts.publish(f"post {post}", author=f"maker {post}", outcome=outcome, tenant=TENANT)
        at_once(lambda number, subject=subject: follow(subject, number))  # type: ignore[misc]

    for post in range(4):
        [case] = desk.store.cases_of(TENANT, f"maker {post}")
        assert len(case.decisions) == 1
        assert len(desk.store.trail(TENANT, case.case_id, 0, 99)) == 1
    assert len(desk.told(MODERATION.name)) == 4


def test_a_creator_is_told_once_what_became_of_a_post(desk: Desk, nodes: list[Engine]) -> None:
    first, held, clean = 1, 2, 3
    for post in range(4):
        store = SqlNotificationStore(nodes[0])
        store.fate(TENANT, f"post {post}", first)
        for state in (held, clean):
            before = at_once(
                lambda number, post=post, state=state: SqlNotificationStore(nodes[number % 2]).fate(
                    TENANT, f"post {post}", state
                )  # type: ignore[misc]
            )
            assert sum(found != state for found in before) == 1


def test_a_tier_that_every_node_makes_anew_is_told_of_once(desk: Desk, nodes: list[Engine]) -> None:
    for at, (before, tier) in enumerate([(Tier.NONE, Tier.BRONZE), (Tier.BRONZE, Tier.GOLD), (Tier.GOLD, Tier.NONE)]):
        moved = [(TierHeld(f"creator {one}", tier, at, 0.9, 0.8), before) for one in range(3)]
        at_once(lambda number, moved=moved, at=at: SqlReputationStore(nodes[number % 2]).set_tiers(TENANT, moved, at))  # type: ignore[misc]

    told = [(event["creator_id"], event["tier"]) for event in desk.told(CREATOR_TIERS.name)]
    assert sorted(told) == sorted((f"creator {one}", int(tier)) for one in range(3) for tier in (1, 3, 0))
