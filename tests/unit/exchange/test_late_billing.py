"""Does a node that was written off, and is back, make anybody pay for what it had not counted?"""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from exchange.billing import Kind, Verdict
from exchange.late_billing import take_back_uncounted
from exchange.ports import Budget
from exchange.spend import SpendProjector
from streams.schemas import NoticesTaken, NoticeTaken, encode
from streams.topics import NOTICES
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database


def billed(at: int, micros: int) -> NoticeTaken:
    return NoticeTaken(
        Kind.IMPRESSION, f"{at:032x}.0", Verdict.ACCEPTED, line_item_number=7, campaign_number=1, billed_micros=micros,
        currency="EUR",
    )  # fmt: skip


def test_what_was_counted_stays_and_the_rest_is_taken_back_once(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    ledger = SqlBudgetLedger(engine, least_lease_micros=1)
    ledger.put_budget(Budget(7, 1_000, 0, "EUR", "UTC"))
    ledger.lease("exchange-1", {7: 1_000}, 0)
    log = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)

    def record(taken: NoticesTaken) -> None:
        log.append(NOTICES.name, [encode(taken)], taken.taken_at_ms)

    record(NoticesTaken(1_000, (billed(1, 100),)))
    projector = SpendProjector(log, ledger, "exchange-1")
    projector.catch_up()
    record(NoticesTaken(2_000, (billed(2, 300), billed(3, 400))))
    # Written off: all of it is another's, who spends it.
    ledger.give_back_all("exchange-1")
    assert ledger.lease("exchange-2", {7: 1_000}, 0) == {7: 900}

    assert take_back_uncounted(log, ledger.counted_upto(), 3_000, record) == (2, 700)
    assert take_back_uncounted(log, ledger.counted_upto(), 3_000, record) == (0, 0)
    projector.catch_up()

    standing = ledger.state(7, 0)
    assert (standing.spent_total_micros, standing.leased_micros) == (100, 900)
    log.close()
    engine.dispose()
