"""How reputations come about, over the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feed.reputation.events import HALF_LIFE_MS, EventKind, ReputationEvent, Role
from feed.reputation.ports import Edge
from feed.reputation.standing import Tier
from feed.reputation.trust import EdgeKind
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def stood(desk: Desk, creator: str, times: int, tenant: str = TENANT) -> None:
    now_ms = desk.clock.now_ms()
    desk.reputations.record(
        [
            ReputationEvent(tenant, f"stood:{creator}:{at}", creator, EventKind.POST_STOOD, now_ms, f"post-{at}")
            for at in range(times)
        ]
    )


def bought(desk: Desk, creator: str, buyers: int, tenant: str = TENANT) -> None:
    now_ms = desk.clock.now_ms()
    desk.reputations.vouch(
        [
            Edge(tenant, f"{creator}:{at}", f"buyer-{creator}-{at}", creator, EdgeKind.PURCHASE, now_ms)
            for at in range(buyers)
        ]
    )


def test_an_event_counts_once(desk: Desk) -> None:
    event = ReputationEvent(TENANT, "e", "maker", EventKind.POST_STOOD, desk.clock.now_ms())

    assert desk.reputations.record([event, event]) == 1
    assert desk.reputations.record([event]) == 0
    assert desk.reputations.explain(TENANT, "maker").good == 1.0


def test_a_tier_is_reached_kept_and_told_once(desk: Desk) -> None:
    stood(desk, "maker", 60)
    bought(desk, "maker", 12)

    assert desk.reputations.refresh() == 1
    assert desk.reputations.refresh() == 0

    assert desk.book.standing(TENANT, "maker").tier is Tier.GOLD
    [told] = desk.told("creator_tiers")
    assert (told["creator_id"], told["tier_before"], told["tier"]) == ("maker", 0, 3)


def test_a_tier_is_lost_after_a_removed_post(desk: Desk) -> None:
    stood(desk, "maker", 60)
    bought(desk, "maker", 12)
    desk.reputations.refresh()
    for at in range(3):
        desk.reputations.record(
            [ReputationEvent(TENANT, f"bad-{at}", "maker", EventKind.POST_REMOVED, desk.clock.now_ms())]
        )

    assert desk.reputations.refresh() == 1
    assert desk.book.standing(TENANT, "maker").tier < Tier.SILVER


def test_without_purchasers_no_record_is_enough_for_a_tier(desk: Desk) -> None:
    stood(desk, "maker", 500)

    desk.reputations.refresh()

    assert desk.book.standing(TENANT, "maker").tier is Tier.NONE


def test_an_explanation_lists_each_event_with_what_it_counts_today_and_adds_up(desk: Desk) -> None:
    stood(desk, "maker", 3)
    bought(desk, "maker", 2)
    desk.clock.step(HALF_LIFE_MS[Role.AUTHOR])

    explained = desk.reputations.explain(TENANT, "maker")

    assert [one.good for one in explained.events] == pytest.approx([0.5] * 3)
    assert explained.good == pytest.approx(sum(one.good for one in explained.events) + explained.earlier_good)
    assert explained.purchasers == pytest.approx(2.0)
    assert explained.standing.trust == pytest.approx(0.4)


def test_what_is_too_old_is_dropped_and_the_sum_stays(desk: Desk) -> None:
    stood(desk, "maker", 4)
    desk.clock.step(2_000 * 86_400_000)
    before = desk.reputations.explain(TENANT, "maker")

    assert desk.reputations.prune() == 4

    after = desk.reputations.explain(TENANT, "maker")
    assert after.events == []
    assert (after.good, after.earlier_good) == (before.good, before.good)


def test_tenants_stand_apart(desk: Desk) -> None:
    stood(desk, "maker", 60)
    bought(desk, "maker", 12, tenant=OTHER_TENANT)

    desk.reputations.refresh()

    assert desk.book.standing(TENANT, "maker").trust == 0.0
    assert desk.book.standing(OTHER_TENANT, "maker").evidence == 0.0


def test_an_erased_person_leaves_no_row(desk: Desk) -> None:
    stood(desk, "maker", 60)
    bought(desk, "maker", 12)
    bought(desk, "other", 1)
    desk.reputations.refresh()

    assert desk.reputations.forget(TENANT, "maker") == 60 + 1 + 12 + 1
    assert desk.reputations.forget(TENANT, "buyer-other-0") == 1

    with desk.engine.connect() as connection:
        for table in ("events", "records", "edges"):
            assert connection.exec_driver_sql(f"SELECT * FROM reputation_{table}").all() == []
        assert connection.exec_driver_sql("SELECT * FROM creator_tiers").all() == []
    desk.reputations.refresh()
    assert desk.book.standing(TENANT, "maker").evidence == 0.0


def test_reputations_survive_a_restart(desk: Desk, tmp_path: Path) -> None:
    from backends.reputation_sql import SqlReputationStore
    from feed.reputation.book import ReputationBook
    from feed.reputation.reputations import Reputations
    from tests.databases import open_database

    stood(desk, "maker", 10)
    engine = open_database(tmp_path)
    book = ReputationBook()

    Reputations(store=SqlReputationStore(engine), book=book, clock=desk.clock).refresh()

    assert book.standing(TENANT, "maker").evidence == pytest.approx(10.0)
    engine.dispose()
