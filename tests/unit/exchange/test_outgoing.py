"""What bidders are to be told of is found in the log once, also where most of the log tells nobody anything."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.outgoing_sql import SqlOutgoingStore
from exchange import outgoing
from exchange.outgoing import OutgoingProjector
from streams.schemas import encode
from streams.topics import AUCTIONS, NOTICES
from tests import event_batches
from tests.databases import open_database

NOW_MS = 1_000_000


class Book:
    """A log, the list of what is to be told, and a projector between them that is begun anew at will."""

    def __init__(self, folder: Path) -> None:
        self.log = LmdbEventLog(folder / "log")
        self.engine = open_database(folder)
        self.store = SqlOutgoingStore(self.engine)
        self.projector = OutgoingProjector(self.log, self.store)

    def append(self, *urls: str) -> None:
        """A record of notices, of which so many are to be told."""
        taken = event_batches.notices(3, np.random.default_rng(1))
        told = [
            msgspec.structs.replace(notice, billing_url=url) for notice, url in zip(taken.notices, urls, strict=False)
        ]
        told += taken.notices[len(urls) :]
        self.log.append(NOTICES.name, [encode(msgspec.structs.replace(taken, notices=told))], NOW_MS)

    def due(self) -> list[str]:
        return sorted(waiting.url for waiting in self.store.due(NOW_MS, 100))

    def close(self) -> None:
        self.log.close()
        self.engine.dispose()


def test_what_tells_nobody_anything_is_read_once_and_stored_when_somebody_is_told(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for _ in range(3):
        book.append()

    assert (book.projector.catch_up(NOW_MS), book.projector.catch_up(NOW_MS)) == (3, 0)
    assert book.projector.read_upto(NOTICES.name) == 0

    book.append("https://bidder.example/billed")
    assert book.projector.catch_up(NOW_MS) == 1
    assert book.projector.read_upto(NOTICES.name) == 4
    assert book.due() == ["https://bidder.example/billed"]
    book.close()


def test_a_projector_that_begins_anew_reads_again_and_tells_nothing_twice(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.append("https://bidder.example/1")
    book.projector.catch_up(NOW_MS)
    book.append()
    book.projector.catch_up(NOW_MS)

    book.append("https://bidder.example/2")
    assert OutgoingProjector(book.log, book.store).catch_up(NOW_MS) == 2

    # The first one does not know that another has read on: it enqueues nothing, and looks where it is to go on.
    assert book.projector.catch_up(NOW_MS) == 0
    book.append("https://bidder.example/3")
    assert book.projector.catch_up(NOW_MS) == 1
    assert book.due() == [f"https://bidder.example/{number}" for number in (1, 2, 3)]
    book.close()


def test_the_store_hears_of_what_was_read_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "_READ_AND_NOT_STORED", 2)
    book = Book(tmp_path)
    for _ in range(2):
        book.append()

    assert book.projector.catch_up(NOW_MS) == 2
    assert book.projector.read_upto(NOTICES.name) == 2
    book.close()


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xff\xff", b"\x08\x01\xba\x04\x05ab"], ids=["empty", "garbage", "cut off"]
)
def test_a_record_of_auctions_that_cannot_be_read_keeps_nobody_from_being_told(tmp_path: Path, damaged: bytes) -> None:
    book = Book(tmp_path)
    book.log.append(AUCTIONS.name, [damaged], NOW_MS)
    book.append("https://bidder.example/billed")

    assert book.projector.catch_up(NOW_MS) == 2
    assert book.due() == ["https://bidder.example/billed"]
    assert book.projector.catch_up(NOW_MS) == 0
    book.close()
