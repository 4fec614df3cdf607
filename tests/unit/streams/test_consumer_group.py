from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from app.bridges import placements_of
from exchange.consumed import ReportProjection
from streams import schema_registry
from streams.broker_ports import Place
from streams.consumer_group import Member
from streams.ports import Record
from streams.schemas import encode
from streams.sifting import Position
from streams.topics import AUCTIONS
from tests.event_batches import auctions


class Nowhere:
    """A broker and a store that nothing is asked of."""

    def position(self, place: Place) -> Position | None:
        raise AssertionError

    def counted_before(self, topic: str) -> Mapping[str, int]:
        raise AssertionError


class Brittle:
    name, topics = "brittle", ("notices",)

    def __init__(self, breaks_on: bytes) -> None:
        self._breaks_on = breaks_on

    def fold(self, topic: str, records: Sequence[Record]) -> tuple[list[bytes], dict[int, str]]:
        if any(self._breaks_on in record.payload for record in records):
            raise KeyError(self._breaks_on)
        payloads = [record.payload for record in records]
        return [p for p in payloads if p != b"bad"], {at: "bad" for at, p in enumerate(payloads) if p == b"bad"}


def member_of(projection: object) -> Member:
    return Member(
        broker=Nowhere(),  # type: ignore[arg-type]
        projection=projection,  # type: ignore[arg-type]
        store=Nowhere(),  # type: ignore[arg-type]
        registry=schema_registry.load(),
    )


def records(*payloads: bytes) -> list[Record]:
    return [Record(offset, 1, payload) for offset, payload in enumerate(payloads)]


def test_a_record_that_the_fold_breaks_on_is_left_out_and_the_others_are_taken() -> None:
    found, unreadable = member_of(Brittle(b"boom"))._folded("notices", records(b"a", b"boom", b"b", b"bad", b"c"))

    assert found == [b"a", b"b", b"c"]
    assert unreadable == {1: "KeyError where it is read", 3: "bad"}


def test_a_fold_that_breaks_on_no_record_by_itself_is_our_own_mistake() -> None:
    class Together(Brittle):
        def fold(self, topic: str, records: Sequence[Record]) -> tuple[list[bytes], dict[int, str]]:
            if len(records) > 1:
                raise KeyError("only together")
            return [], {}

    with pytest.raises(KeyError, match="only together"):
        member_of(Together(b""))._folded("notices", records(b"a", b"b"))


def test_a_page_view_in_it_that_is_none_makes_a_record_of_auctions_unreadable() -> None:
    chance = np.random.default_rng(1)
    good, bad = auctions(2, chance), auctions(2, chance)
    bad.page_view = [b"\xff\xff"] * 2

    counts, unreadable = ReportProjection(placements_of).fold(AUCTIONS.name, records(encode(good), encode(bad)))
    alone, _ = ReportProjection(placements_of).fold(AUCTIONS.name, records(encode(good)))

    assert list(unreadable) == [1]
    assert counts.metrics == alone.metrics
