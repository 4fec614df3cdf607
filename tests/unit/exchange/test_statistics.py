from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from backends.event_log_lmdb import LmdbEventLog
from common.errors import InvalidInput, NotFound
from exchange.billing import Kind, Verdict
from exchange.statistics import HourCount, SettledNotice, hour_counts
from streams import schemas
from streams.topics import NOTICES
from tests.campaign_stores import CampaignWorld, campaign_world

pytestmark = pytest.mark.on_every_database

HOUR_MS = 3_600_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


def a_notice(
    offset: int = 0, kind: int = Kind.IMPRESSION, verdict: int = Verdict.ACCEPTED, billed: int = 2, number: int = 1
) -> SettledNotice:
    return SettledNotice(offset, 5 * HOUR_MS + offset, kind, verdict, number, billed)


def test_notices_add_up_by_line_item_and_hour() -> None:
    notices = [
        a_notice(),
        a_notice(1),
        a_notice(2, Kind.CLICK, billed=40),
        a_notice(3, Kind.CONVERSION, Verdict.BEYOND_BUDGET, 0),
        a_notice(4, verdict=Verdict.DUPLICATE, billed=0),
        a_notice(5, verdict=Verdict.UNKNOWN, billed=0),
        a_notice(6, verdict=Verdict.EXPIRED, billed=0),
        a_notice(7, number=0, billed=9),
        a_notice(8, number=2),
        a_notice(9, kind=77, billed=0),
        a_notice(HOUR_MS),
    ]

    assert hour_counts(notices) == [
        HourCount(1, 5, 2, 1, 1, 44),
        HourCount(2, 5, 1, 0, 0, 2),
        HourCount(1, 6, 1, 0, 0, 2),
    ]


def test_notices_said_twice_count_once(world: CampaignWorld) -> None:
    item = world.a_whole_campaign()[3]

    assert world.statistics.apply([a_notice(0), a_notice(1)], 2)
    assert not world.statistics.apply([a_notice(0), a_notice(1)], 2)
    assert world.statistics.apply([a_notice(1), a_notice(2), a_notice(3)], 3)

    assert world.statistics.counted_upto() == 3
    assert world.statistics.totals(world.tenant_a, item.line_item_id).impressions == 3


def test_a_crash_while_counting_counts_nothing(world: CampaignWorld) -> None:
    item = world.a_whole_campaign()[3]

    def break_down(*facts: object) -> None:
        if str(facts[2]).startswith("INSERT INTO statistics ("):
            raise ZeroDivisionError

    event.listen(world.engine, "after_cursor_execute", break_down)
    with pytest.raises(ZeroDivisionError):
        world.statistics.apply([a_notice()], 1)
    event.remove(world.engine, "after_cursor_execute", break_down)

    assert world.statistics.counted_upto() == 0
    world.statistics.apply([a_notice()], 1)
    assert world.statistics.totals(world.tenant_a, item.line_item_id).spend_micros == 2


def test_the_log_is_counted_to_its_end_and_unreadable_records_are_passed_over(
    world: CampaignWorld, tmp_path: Path
) -> None:
    item = world.a_whole_campaign()[3]
    notice = schemas.NoticeTaken(
        Kind.IMPRESSION, "i", Verdict.ACCEPTED, line_item_number=item.number, campaign_number=1, billed_micros=3
    )
    taken = schemas.encode(schemas.NoticesTaken(8 * HOUR_MS, (notice, notice)))
    log = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)
    log.append(NOTICES.name, [taken, b"\xff\xff", taken, taken], 0)

    assert [world.statistics.count_once(log, 3) for _ in range(3)] == [3, 1, 0]
    log.close()

    totals = world.statistics.totals(world.tenant_a, item.line_item_id)
    assert (totals.impressions, totals.spend_micros, totals.as_of_ms) == (6, 18, 8 * HOUR_MS)


def test_statistics_of_nothing_are_refused(world: CampaignWorld) -> None:
    with pytest.raises(InvalidInput):
        world.statistics.totals(world.tenant_a, "")
    with pytest.raises(NotFound):
        world.statistics.totals(world.tenant_a, "0" * 32)
