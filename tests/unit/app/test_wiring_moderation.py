"""Does erasing a person reach everything that moderation and reputation hold of them?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.wiring_moderation import moderation_erasure
from feed.moderation.reports import digest_of
from feed.reputation.ports import Edge
from feed.reputation.trust import EdgeKind
from feed.verdict import Outcome
from tests.moderation_desk import TENANT, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_nothing_is_left_of_a_person_but_that_something_was_decided(desk: Desk) -> None:
    case = desk.found("post", author="maria")
    desk.report("post", "s", visitor="maria")
    desk.decide(case, Outcome.REMOVED)
    visitor = digest_of(TENANT, "visitor", "maria")
    desk.reputations.vouch([Edge(TENANT, "e", visitor, "somebody", EdgeKind.LIKE, desk.clock.now_ms())])
    desk.reputations.refresh()
    desk.posts.publish("of another", author="another")
    desk.report("of another", "s", visitor="maria")
    hook = moderation_erasure(desk.engine, desk.clock)

    erased = hook.erase(TENANT, "maria")

    assert erased["moderation cases"] == 1
    assert erased["reports"] == 1
    assert erased["reputation records"] >= 3
    with desk.engine.connect() as connection:
        for table in (
            "moderation_cases", "moderation_trail", "moderation_reports", "reputation_events", "reputation_records",
            "reputation_edges", "creator_tiers",
        ):  # fmt: skip
            rows = str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            assert "maria" not in rows, table
            assert visitor not in rows, table
    assert set(hook.erase(TENANT, "maria").values()) == {0}
    kept = desk.cases.case(TENANT, case.case_id)
    assert kept.standing is not None
    assert kept.standing.reason == "terms_spam"
