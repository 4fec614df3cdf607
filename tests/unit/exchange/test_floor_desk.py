"""Does everybody see and set the floors of their own scope, and does a trial tell what they would come to?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.floor_files import FloorFile, load_rules
from backends.event_log_lmdb import LmdbEventLog
from backends.offered_placements_sql import SqlOfferedPlacements
from backends.sql import writing
from backends.sql_tables_money import PLACEMENT_OFFERS
from common.clock import SteppedClock
from common.errors import Conflict, InvalidInput
from exchange.auction_wire import PageViewReader
from exchange.floor_desk import FloorDesk, Scope
from exchange.floor_rules import FloorRule
from exchange.learned_floors import LearnedFloor, LearnedFloors
from protos import common_pb2
from protos import exchange_pb2 as pb
from streams.auction_block import encode_auctions
from streams.topics import AUCTIONS
from tests.builders import Market, a_line_item
from tests.databases import open_database

LEARNED = LearnedFloors("t1", 0.1, {"top|1|*": LearnedFloor(900_000, 500_000, 1000),
                                    "theirs|1|2": LearnedFloor(700_000, 0, 500)})  # fmt: skip
EVERYBODY = Scope()
SHOP, TOP = Scope("shop"), Scope("shop", "top")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)
    yield opened
    opened.close()


def a_desk(folder: Path, log: LmdbEventLog) -> FloorDesk:
    read = PageViewReader(currency="EUR", tmax_ms=50)
    return FloorDesk(
        store=FloorFile(folder, "EUR"),
        currency="EUR",
        clock=SteppedClock(),
        log=log,
        read=read.from_bytes,
        learned=lambda: LEARNED,
        offered=lambda publisher: frozenset({"top"}) if publisher == "shop" else frozenset(),
    )


@pytest.fixture
def desk(tmp_path: Path, log: LmdbEventLog) -> FloorDesk:
    return a_desk(tmp_path, log)


def ids(desk: FloorDesk, scope: Scope = EVERYBODY) -> list[tuple[str, str]]:
    return [(rule.publisher, rule.rule_id) for rule in desk.rules(scope)[1]]


def test_a_publisher_sets_its_own_and_touches_no_others(desk: FloorDesk, tmp_path: Path) -> None:
    desk.set(Scope(), [FloorRule("all", 100_000), FloorRule("top", 300_000, publisher="other", placement="top")])

    change = desk.set(SHOP, [FloorRule("top", 800_000, placement="top"), FloorRule("de", 700_000, country="DE")])

    assert (change.added, change.changed, change.removed) == (("top", "de"), (), ())
    assert ids(desk) == [("", "all"), ("other", "top"), ("shop", "top"), ("shop", "de")]
    # What holds for it: its own, and what is set for everybody.
    assert ids(desk, SHOP) == [("", "all"), ("shop", "top"), ("shop", "de")]
    assert ids(desk, TOP) == [("", "all"), ("shop", "top"), ("shop", "de")]
    assert load_rules(tmp_path, "EUR").version == change.version


def test_one_placement_is_set_and_the_others_stay(desk: FloorDesk) -> None:
    desk.set(SHOP, [FloorRule("top", 800_000, placement="top"), FloorRule("de", 700_000, country="DE")])

    change = desk.set(TOP, [FloorRule("top", 900_000), FloorRule("top-de", 950_000, country="DE")])

    assert (change.added, change.changed, change.removed) == (("top-de",), ("top",), ())
    assert [(rule.rule_id, rule.placement) for rule in desk.rules(SHOP)[1]] == [
        ("de", ""), ("top", "top"), ("top-de", "top"),
    ]  # fmt: skip
    assert desk.set(TOP, []).removed == ("top", "top-de")


def test_a_dry_run_changes_nothing_and_the_same_again_neither(desk: FloorDesk, tmp_path: Path) -> None:
    trial = desk.set(SHOP, [FloorRule("top", 800_000, placement="top")], dry_run=True)
    assert (trial.added, ids(desk)) == (("top",), [])
    assert not (tmp_path / "floors.json").exists()

    done = desk.set(SHOP, [FloorRule("top", 800_000, placement="top")])
    again = desk.set(SHOP, [FloorRule("top", 800_000, placement="top")])

    assert trial.version == done.version == again.version
    assert (again.added, again.changed, again.removed) == ((), (), ())


def test_what_changed_meanwhile_is_a_conflict(desk: FloorDesk) -> None:
    seen, _ = desk.rules(SHOP)
    desk.set(Scope("other"), [FloorRule("top", 1)])

    with pytest.raises(Conflict, match=f"not {seen}"):
        desk.set(SHOP, [FloorRule("top", 2)], seen)
    assert ids(desk) == [("other", "top")]


def test_every_rule_that_cannot_be_taken_is_named(desk: FloorDesk) -> None:
    desk.set(Scope("other"), [FloorRule("first", 1), FloorRule("second", 2)])

    with pytest.raises(InvalidInput) as caught:
        desk.set(SHOP, [FloorRule("a", 1, publisher="other"), FloorRule("b", 1)])
    assert [error.field for error in caught.value.errors] == ["rules[0].publisher"]
    with pytest.raises(InvalidInput) as caught:
        desk.set(SHOP, [FloorRule("a", -1), FloorRule("b", 1), FloorRule("b", 1, size="wide")])
    assert [error.field for error in caught.value.errors] == [
        "rules[0].floor_micros", "rules[2].rule_id", "rules[2].size",
    ]  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        desk.set(TOP, [FloorRule("a", 1, placement="left")])
    assert [error.field for error in caught.value.errors] == ["rules[0].placement"]


def test_learned_floors_are_seen_of_the_placements_that_one_offers(desk: FloorDesk) -> None:
    assert set(desk.learned(Scope())[1]) == {"top|1|*", "theirs|1|2"}
    assert set(desk.learned(SHOP)[1]) == {"top|1|*"}
    assert set(desk.learned(Scope("nobody"))[1]) == set()
    assert set(desk.learned(Scope(placement="theirs"))[1]) == {"theirs|1|2"}


async def test_a_trial_tells_what_recorded_auctions_would_have_earned(desk: FloorDesk, log: LmdbEventLog) -> None:
    """Two bids, 2.00 and 1.00 above a floor of 0.50: 1.00 is earned, 1.50 under a floor of that, nothing above 2.00."""
    market = Market([a_line_item(1, bid_micros=2_000_000), a_line_item(2, bid_micros=1_000_000)])
    reader = PageViewReader(currency="EUR", tmax_ms=50)
    wire = pb.PageView(
        session_id="s1",
        device=common_pb2.Device(country="DE"),
        placements=[
            pb.Placement(
                placement_id=name, formats=[pb.FORMAT_BANNER], sizes=[pb.Size(width=300, height=250)],
                floor_micros=500_000, position=1,
            )
            for name in ("top", "left")
        ],
    ).SerializeToString()  # fmt: skip
    for publisher in ("shop", "other"):
        await market.ask(reader.from_bytes(wire, market.clock.now_ms(), publisher))
    for record in market.published:
        log.append(AUCTIONS.name, [encode_auctions(record)], record.held_at_ms)

    dear = desk.set(TOP, [FloorRule("top", 1_500_000)], dry_run=True).effect
    too_dear = desk.set(TOP, [FloorRule("top", 9_000_000)], dry_run=True).effect
    of_all = desk.set(Scope(), [FloorRule("all", 1_500_000)], dry_run=True).effect

    # A placement of one publisher; the brand that won there is out of the other placement.
    assert (dear.placements, dear.sold_before, dear.sold_after) == (1, 1, 1)
    assert (dear.revenue_before_micros, dear.revenue_after_micros) == (1_000_000, 1_500_000)
    assert (too_dear.sold_after, too_dear.revenue_after_micros) == (0, 0)
    assert of_all.placements == 4


def test_what_a_publisher_offered_is_counted_by_placement(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    rows = [("shop", "top", 1), ("shop", "top", 2), ("shop", "left", 2), ("other", "right", 2)]
    with writing(engine) as connection:
        for publisher, placement, day in rows:
            connection.execute(
                PLACEMENT_OFFERS.insert().values(
                    publisher_id=publisher, placement_id=placement, day=day, offered=1, sold=0
                )
            )

    assert SqlOfferedPlacements(engine).of("shop") == {"top", "left"}
    engine.dispose()
