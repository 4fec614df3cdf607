from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import schema_registry
from streams.broker_ports import Arrived, Place
from streams.ports import Record
from streams.schemas import encode
from streams.shipper import Shipped, parcels_of
from streams.sifting import Position, Reason, Sifted, sift
from streams.topics import NOTICES, Topic
from tests.event_batches import notices

REGISTRY = schema_registry.load()
SCHEMA = str(REGISTRY.newest(NOTICES)).encode()
ONE = Topic(**{name: getattr(NOTICES, name) for name in NOTICES.__dataclass_fields__} | {"partitions": 1})
PLACE = Place(NOTICES.name, 0)
PAYLOAD = encode(notices(1, np.random.default_rng(1)))


def attempt(first: int, count: int, source: bytes = b"node/log") -> list[Arrived]:
    """What an attempt to send `count` records from offset `first` on puts into the partition, without offsets there."""
    records = [Record(offset, 5, PAYLOAD) for offset in range(first, first + count)]
    shipped = Shipped(first, {0: first - 1} if first else {})
    parcels, _ = parcels_of(ONE, records, shipped, source, SCHEMA)
    return [Arrived(PLACE, 0, parcel.key, parcel.value, parcel.headers) for parcel in parcels]


def numbered(arrived: list[Arrived], at: int = 0) -> list[Arrived]:
    return [Arrived(one.place, offset, one.key, one.value, one.headers) for offset, one in enumerate(arrived, start=at)]


def taken(sifted: Sifted) -> list[int]:
    return [record.offset for _, record in sifted.fresh]


def test_records_in_order_are_fresh_and_move_the_position() -> None:
    found = sift(numbered(attempt(0, 3), 10), Position(10), {}, REGISTRY)

    assert taken(found) == [0, 1, 2]
    assert found.position == Position(13, {"node/log": 2})
    assert (found.duplicates, found.early, found.expired, found.dead) == (0, 0, 0, [])


def test_what_comes_again_is_a_duplicate() -> None:
    found = sift(numbered([*attempt(0, 3), *attempt(0, 5)]), Position(0), {}, REGISTRY)

    assert taken(found) == [0, 1, 2, 3, 4]
    assert found.duplicates == 3


def test_what_follows_a_gap_in_its_attempt_waits_for_the_next_one() -> None:
    failed = attempt(0, 4)
    del failed[1]

    found = sift(numbered([*failed, *attempt(0, 4)]), Position(0), {}, REGISTRY)

    assert taken(found) == [0, 1, 2, 3]
    assert (found.early, found.duplicates) == (2, 1)


def test_what_the_broker_dropped_is_told_of_and_not_waited_for() -> None:
    found = sift(numbered(attempt(7, 2)), Position(0, {"node/log": 3}), {}, REGISTRY)

    assert taken(found) == [7, 8]
    assert found.expired == 1


def test_a_group_that_begins_late_takes_a_log_from_where_it_is() -> None:
    found = sift(numbered(attempt(7, 2)), Position(0), {}, REGISTRY)

    assert taken(found) == [7, 8]
    assert found.expired == 0


def test_logs_are_told_apart() -> None:
    found = sift(numbered([*attempt(0, 2), *attempt(0, 2, b"other/log")]), Position(0), {}, REGISTRY)

    assert taken(found) == [0, 1, 0, 1]
    assert found.position.marks == {"node/log": 1, "other/log": 1}


def test_what_a_node_counted_by_itself_before_is_not_counted_again() -> None:
    found = sift(numbered(attempt(0, 4)), Position(0), {"node/log": 3}, REGISTRY)

    assert taken(found) == [3]
    assert found.duplicates == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": None}, Reason.NO_ORIGIN),
        ({"source": b""}, Reason.NO_ORIGIN),
        ({"source": b"x" * 101}, Reason.NO_ORIGIN),
        ({"source": b"\xff"}, Reason.NO_ORIGIN),
        ({"offset": b"-3"}, Reason.NO_ORIGIN),
        ({"offset": b"1e3"}, Reason.NO_ORIGIN),
        ({"offset": b"9" * 30}, Reason.NO_ORIGIN),
        ({"before": b"0"}, Reason.NO_ORIGIN),
        ({"at_ms": None}, Reason.NO_ORIGIN),
        ({"schema": b"9999"}, Reason.SCHEMA_FROM_THE_FUTURE),
        ({"schema": None}, Reason.SCHEMA_FROM_THE_FUTURE),
        ({"schema": b"\x1b[2J"}, Reason.SCHEMA_FROM_THE_FUTURE),
        ({"schema": b"1"}, Reason.SCHEMA_OF_ANOTHER_TOPIC),
    ],
)
def test_what_cannot_be_taken_has_a_reason(changes: dict[str, bytes | None], reason: Reason) -> None:
    good, bad = numbered(attempt(0, 2))
    bad = good
    headers = {**dict(bad.headers), **changes}
    kept = tuple((name, value) for name, value in headers.items() if value is not None)

    found = sift([Arrived(PLACE, 4, b"", bad.value, kept)], Position(4), {}, REGISTRY)

    assert [one.reason for one in found.dead] == [reason]
    assert found.fresh == []
    assert found.position.offset == 5
    assert found.dead[0].detail.isprintable()


@given(st.data())
def test_whatever_fails_and_comes_again_each_record_is_fresh_once(data: st.DataObject) -> None:
    """A shipper's attempts lose any of their records until one succeeds, also after it died before it kept its place;
    what was under way of a failed one may come later; and a group reads it all in any portions.
    """
    log = data.draw(st.integers(1, 30))
    partition: list[Arrived] = []
    late: list[Arrived] = []
    upto = 0
    while upto < log:
        count = data.draw(st.integers(1, log - upto))
        sent = attempt(upto, count)
        fate: str = data.draw(st.sampled_from(["arrives", "arrives", "leaks", "is forgotten"]))
        if fate == "leaks":
            arrives = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
            partition += [one for one, does in zip(sent, arrives, strict=True) if does]
            comes = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
            late += [one for one, now, later in zip(sent, arrives, comes, strict=True) if later and not now]
            continue
        partition += sent
        comes_now: bool = data.draw(st.booleans())
        if late and comes_now:
            partition.append(late.pop(0))
        if fate == "arrives":
            upto += count
    partition = numbered(partition + late)

    position, fresh = Position(0), []
    while position.offset < len(partition):
        size = data.draw(st.integers(1, len(partition)))
        found = sift(partition[position.offset : position.offset + size], position, {}, REGISTRY)
        fresh += taken(found)
        position = found.position

    assert fresh == list(range(log))
