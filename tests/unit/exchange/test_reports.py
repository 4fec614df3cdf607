from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.reports_sql import SqlReportStore
from common.errors import InvalidInput
from exchange.report_counts import HOUR_MS, INVALID_FROM, METRICS, Counts
from exchange.reports import Report, ReportAsk, ReportRow, Reports, csv_of
from streams.auction_block import encode_auctions
from streams.auction_reader import AuctionReader, outside_bids_of
from streams.schemas import NoticesTaken, NoticeTaken, encode
from tests.databases import open_database
from tests.event_batches import NOW, auctions

pytestmark = pytest.mark.on_every_database


class Desk:
    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder)
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 26)
        self.reports = Reports(SqlReportStore(self.engine), lambda _: ["top", "side"])

    def count(self) -> None:
        while self.reports.count_once(self.log):
            pass

    def report(self, *dimensions: str, **asked: object) -> Report:
        ask = ReportAsk(dimensions, NOW - 100 * HOUR_MS, NOW + 100 * HOUR_MS)
        return self.reports.report(msgspec.structs.replace(ask, **asked))

    def sums(self, *dimensions: str) -> dict[tuple[str, ...], dict[str, int]]:
        found = self.report(*dimensions)
        return {row.keys: dict(zip(found.metrics, row.values, strict=True)) for row in found.rows}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.log.close()
    made.engine.dispose()


def test_bids_and_reasons_are_the_log_to_the_unit(desk: Desk) -> None:
    chance = np.random.default_rng(5)
    batches = [auctions(9, chance, NOW + at * HOUR_MS // 2, tests=(2, 3)) for at in range(6)]
    for batch in batches:
        desk.log.append("auctions", [encode_auctions(batch)], batch.held_at_ms)
    desk.count()

    by_place, reasons, total = Counter[tuple[str, ...]](), Counter[int](), 0
    for batch in batches:
        for row, place in enumerate(batch.bid_placement.tolist()):
            page, index = divmod(place, 2)
            if page in (2, 3):
                continue
            total += 1
            by_place[f"p{page % 2}", ("top", "side")[index]] += 1
            if code := int(batch.bid_outcome[row]):
                reasons[code] += 1
        for page, count in zip(batch.more_page_view.tolist(), batch.more_count.tolist(), strict=True):
            if page not in (2, 3):
                total += count
                by_place[f"p{page % 2}", ""] += count
                reasons[1001] += count
    assert desk.sums()[()]["bids"] == total
    assert {keys: row["bids"] for keys, row in desk.sums("publisher", "placement").items()} == dict(by_place)
    by_reason = desk.report("reason")
    assert {int(row.keys[0]): row.values[0] for row in by_reason.rows} == dict(reasons)
    assert by_reason.counted_apart == sum(7 * 2 for _ in batches)
    assert len(desk.sums("hour")) == 3
    outside = desk.sums("bidder", "advertiser")
    assert {keys for keys in outside if keys[0]} == {("acme", "d0.example"), ("acme", "d1.example")}
    assert sum(row["bids"] for row in outside.values()) == total


def test_a_win_rate_is_wins_of_bids_and_nothing_where_there_were_none(desk: Desk) -> None:
    batch = auctions(30, np.random.default_rng(3))
    desk.log.append("auctions", [encode_auctions(batch)], batch.held_at_ms)
    desk.count()

    found = desk.report("publisher", "placement")
    at = found.rates.index("win_rate")
    told = {row.keys: found.rates_of(row)[at] for row in found.rows if row.keys[1]}

    page, index = np.divmod(batch.bid_placement, 2)
    for publisher, placement in ((0, 0), (0, 1), (1, 0), (1, 1)):
        here = (page % 2 == publisher) & (index == placement)
        won = int((here & (batch.bid_outcome == 0)).sum())
        assert told[f"p{publisher}", ("top", "side")[placement]] == pytest.approx(won / int(here.sum()))
    heads, *lines = csv_of(found).splitlines()
    assert heads.endswith(",win_rate,viewable_rate,click_rate,conversion_rate")
    assert all(line.endswith(",,,") for line in lines), "nothing was shown, so nothing has a rate"


def test_a_report_by_reason_has_no_rates(desk: Desk) -> None:
    assert desk.report("reason").rates == ()
    assert csv_of(desk.report("reason")).splitlines()[0] == "reason,reason_name,count"


def test_notices_are_counted_by_what_they_say(desk: Desk) -> None:
    def notice(kind: int, verdict: int = 1, **more: object) -> NoticeTaken:
        facts = {"line_item_number": 4, "creative_number": 40, "placement_id": "top", "publisher_id": "p0"}
        return NoticeTaken(kind=kind, impression_id="i", verdict=verdict, **{**facts, **more})  # type: ignore[arg-type]

    said = [
        notice(1, billed_micros=5), notice(1, billed_micros=6), notice(4), notice(2, 5), notice(3), notice(5),
        notice(9), notice(2, 6, validity=6), notice(1, test=True, billed_micros=0),
        notice(15, billed_micros=-5, corrects_kind=1, corrects_taken_at_ms=NOW, validity=20),
    ]  # fmt: skip
    desk.log.append("notices", [encode(NoticesTaken(NOW + 5, tuple(said)))], NOW)
    # The correction of a later hour is counted in the hour of what it takes back.
    late = notice(15, billed_micros=-6, corrects_kind=1, corrects_taken_at_ms=NOW, validity=20)
    desk.log.append("notices", [encode(NoticesTaken(NOW + 9 * HOUR_MS, (late,)))], NOW)
    desk.count()

    ((keys, row),) = desk.sums("hour").items()
    assert keys == ("2023-11-14T22:00Z",)
    assert row == dict.fromkeys(METRICS, 0) | {
        "viewable": 1, "clicks": 1, "conversions": 1, "video_starts": 1, "video_completes": 1,
        "invalid": 1, "refunded": 2,
    }  # fmt: skip
    assert {int(r.keys[0]): r.values[0] for r in desk.report("reason").rows} == {
        INVALID_FROM + 6: 1,
        INVALID_FROM + 20: 2,
    }


def test_counting_again_from_the_start_comes_to_the_same(desk: Desk, tmp_path: Path) -> None:
    chance = np.random.default_rng(6)
    for at in range(100):
        desk.log.append("auctions", [encode_auctions(auctions(3, chance))], NOW)
        if at % 30 == 0:
            desk.reports.count_once(desk.log)
    desk.count()
    fresh_engine = open_database(tmp_path / "fresh")
    fresh = Reports(SqlReportStore(fresh_engine), lambda _: ["top", "side"])
    while fresh.count_once(desk.log):
        pass

    ask = ReportAsk(("publisher", "placement", "bidder"), NOW, NOW + HOUR_MS)
    assert fresh.report(ask) == desk.reports.report(ask)
    fresh_engine.dispose()


def test_counts_of_another_place_in_the_log_are_not_added(desk: Desk) -> None:
    store, counts = SqlReportStore(desk.engine), Counts()
    counts.add_notices(NoticesTaken(NOW, (NoticeTaken(kind=1, impression_id="i", verdict=1, billed_micros=5),)))

    assert store.add("notices", counts, 0, 3)
    assert not store.add("notices", counts, 0, 3)
    assert store.read_upto("notices") == 3
    assert desk.sums()[()]["spend_micros"] == 5


def test_pages_are_together_the_whole(desk: Desk) -> None:
    desk.log.append("auctions", [encode_auctions(auctions(9, np.random.default_rng(1)))], NOW)
    desk.count()
    whole = desk.report("publisher", "placement", "bidder").rows
    pages: list[ReportRow] = []
    token = ""
    while True:
        page = desk.report("publisher", "placement", "bidder", page_size=2, page_token=token)
        pages += page.rows
        token = page.next_page_token
        if not token:
            break

    assert tuple(pages) == whole
    assert len(whole) > 4


def test_a_publisher_sees_its_own_and_filters_match(desk: Desk) -> None:
    desk.log.append("auctions", [encode_auctions(auctions(9, np.random.default_rng(1)))], NOW)
    desk.count()

    assert {row.keys[0] for row in desk.report("publisher", publisher_tenant="p1").rows} == {"p1"}
    assert {row.keys[0] for row in desk.report("placement", filters={"placement": ("side",)}).rows} == {"side"}
    assert desk.report("campaign", advertiser_tenant="nobody").rows == ()


def test_everything_wrong_is_named_at_once(desk: Desk) -> None:
    ask = ReportAsk(
        ("hour", "hour", "colour"), 5, 5, filters={"hour": ("1",), "placement": ()}, page_size=-1, page_token="x"
    )
    with pytest.raises(InvalidInput) as refused:
        desk.reports.report(ask)

    fields = [error.field for error in refused.value.errors]
    assert fields == [
        "dimensions[2]",
        "dimensions",
        "filters",
        "filters[placement]",
        "to_ms",
        "page_size",
        "page_token",
    ]


def test_csv_holds_no_formula(desk: Desk) -> None:
    counts = Counts()
    taken = NoticeTaken(kind=1, impression_id="i", verdict=1, placement_id='=HYPERLINK("x")')
    counts.add_notices(NoticesTaken(NOW, (taken,)))
    SqlReportStore(desk.engine).add("notices", counts, 0, 1)

    text = csv_of(desk.report("placement"))
    assert text.splitlines()[1].startswith('"\'=HYPERLINK(""x"")",')


def test_a_record_that_is_broken_is_passed_over_and_counted(desk: Desk) -> None:
    good = encode_auctions(auctions(2, np.random.default_rng(1)))
    desk.log.append("auctions", [good[:-3], b"\xff" * 9, b"\x07", good], NOW)
    desk.count()

    assert desk.reports.unreadable >= 2
    assert desk.reports.read_upto("auctions") == 4


def test_the_fast_reader_reads_what_was_written() -> None:
    batch = auctions(7, np.random.default_rng(2))
    reader = AuctionReader(encode_auctions(batch))

    assert (reader.held_at_ms, reader.page_views(), reader.bidders()) == (NOW, batch.page_view, batch.bidders)
    for name in ("auction_id_high", "bid_placement", "bid_micros", "bid_outcome", "more_count", "publisher_name"):
        np.testing.assert_array_equal(reader.column(name), getattr(batch, name))
    found = list(outside_bids_of(encode_auctions(batch)))
    assert [bid for bid, _, _ in found] == batch.outside_bids
    for bid, impression_id, bidder in found:
        page, index = divmod(int(batch.bid_placement[bid.row]), 2)
        number = int(batch.auction_id_high[page]) << 64 | int(batch.auction_id_low[page])
        assert (impression_id, bidder) == (f"{number:032x}.{index}", "acme")
