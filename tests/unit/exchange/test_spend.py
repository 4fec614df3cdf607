"""Do the invoice and the revenue report count the same notices as the log, tests and what is taken back left out?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.event_log_lmdb import LmdbEventLog
from exchange.billing import Kind, Verdict
from exchange.invoice_ports import InvoiceLine
from exchange.invoices import InvoiceAsked
from exchange.spend import SpendProjector
from exchange.statistics import hour_counts, settled
from streams.schemas import NoticesTaken, NoticeTaken, encode
from streams.topics import NOTICES
from tests.money_worlds import MoneyWorld, money_world

# The stepped clock of a world begins in November 2023.
TODAY, MONTH = "2023-11-14", "2023-11"


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)
    yield opened
    opened.close()


def a_notice(money: MoneyWorld, kind: Kind, micros: int = 0, **more: object) -> NoticeTaken:
    notice = NoticeTaken(
        kind, "01.0", Verdict.ACCEPTED, line_item_number=money.item.number, campaign_number=money.campaign.number,
        billed_micros=micros, currency="EUR", publisher_id="shop", placement_id="top",
    )  # fmt: skip
    return replace(notice, **more)


def taken_back(notice: NoticeTaken, at_ms: int) -> NoticeTaken:
    return replace(
        notice, kind=Kind.CORRECTION, billed_micros=-notice.billed_micros, corrects_kind=notice.kind,
        corrects_taken_at_ms=at_ms,
    )  # fmt: skip


def count(money: MoneyWorld, log: LmdbEventLog, *notices: NoticeTaken) -> NoticesTaken:
    event = NoticesTaken(money.world.clock.now_ms(), notices)
    log.append(NOTICES.name, [encode(event)], event.taken_at_ms)
    SpendProjector(log, money.world.ledger, "exchange").catch_up()
    return event


def invoiced(money: MoneyWorld) -> InvoiceLine:
    asked = InvoiceAsked(advertiser_id=money.advertiser_id, currency="", month=MONTH, interim=True)
    (line,) = money.invoices.issue(money.operator(), asked).lines
    return line


def test_a_test_is_on_no_invoice_and_in_no_revenue(money: MoneyWorld, log: LmdbEventLog) -> None:
    count(
        money, log, a_notice(money, Kind.IMPRESSION, 500), a_notice(money, Kind.IMPRESSION, test=True),
        a_notice(money, Kind.CLICK, test=True, placement_id="tried"),
    )  # fmt: skip

    line = invoiced(money)
    assert (line.impressions, line.clicks, line.amount_micros) == (1, 0, 500)
    (row,) = money.revenue.report("shop", TODAY, TODAY).items
    assert (row.placement_id, row.impressions, row.clicks, row.revenue_micros) == ("top", 1, 0, 400)


def test_what_is_taken_back_leaves_the_invoice_and_the_revenue_as_it_leaves_statistics(
    money: MoneyWorld, log: LmdbEventLog
) -> None:
    now_ms = money.world.clock.now_ms()
    seen, clicked = a_notice(money, Kind.IMPRESSION, 500), a_notice(money, Kind.CLICK, 2_000)
    event = count(money, log, seen, clicked, a_notice(money, Kind.IMPRESSION, 500), taken_back(clicked, now_ms))

    (hour,) = hour_counts(settled(event, 0))
    line, (row,) = invoiced(money), money.revenue.report("shop", TODAY, TODAY).items
    assert (hour.impressions, hour.clicks, hour.spend_micros) == (2, 0, 1_000)
    assert (line.impressions, line.clicks, line.amount_micros) == (2, 0, 1_000)
    assert (row.impressions, row.clicks, row.revenue_micros) == (2, 0, 800)

    # On the invoice already, so the next one of the month has it below zero.
    count(money, log, taken_back(seen, now_ms), a_notice(money, Kind.CLICK, 2_000))
    line = invoiced(money)
    assert (line.impressions, line.clicks, line.amount_micros) == (-1, 1, 1_500)
