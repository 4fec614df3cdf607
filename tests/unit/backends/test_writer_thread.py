"""Does the thread that writes keep order, bounds and what could not be written?"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from backends.writer_thread import WriterThread
from common.errors import BackendUnavailable


class Sink:
    """Takes batches, unless it is `away`; `held` is set while a write hangs until `go_on`."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.away = threading.Event()
        self.refused = threading.Event()
        self.held = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, entries: Sequence[int]) -> None:
        self.held.set()
        self.go_on.wait(10)
        if self.away.is_set():
            self.refused.set()
            raise BackendUnavailable("away")
        if -1 in entries:
            raise TypeError("a mistake")
        self.taken += entries


def test_everything_is_written_in_order_and_counted_by_its_size() -> None:
    sink = Sink()
    writer = WriterThread("test", sink.write, size_of=lambda entry: entry)
    for entry in range(1_000):
        writer.put(entry)

    assert writer.flush()
    assert sink.taken == list(range(1_000))
    assert writer.counts == {"kept": sum(range(1_000))}
    assert writer.close()


def test_what_cannot_be_written_is_given_up() -> None:
    sink = Sink()
    writer = WriterThread("test", sink.write)
    sink.away.set()
    writer.put(1)
    assert writer.flush()
    sink.away.clear()
    writer.put(2)

    assert writer.close()
    assert sink.taken == [2]
    assert writer.counts == {"failed": 1, "kept": 1}


def test_or_it_is_tried_again_with_what_came_behind_it_until_it_is_written() -> None:
    sink = Sink()
    writer = WriterThread("test", sink.write, again_after_s=0.01)
    sink.away.set()
    for entry in range(10):
        writer.put(entry)
    assert sink.refused.wait(10)
    sink.away.clear()

    assert writer.flush()
    assert sink.taken == list(range(10))
    assert writer.counts["kept"] == 10
    assert writer.counts["again"] >= 1
    assert writer.close()


def test_beyond_the_room_there_is_nothing_waits_and_it_is_counted() -> None:
    sink = Sink()
    sink.go_on.clear()
    writer = WriterThread("test", sink.write, most_waiting=3, again_after_s=0.01)
    writer.put(0)
    assert sink.held.wait(10)
    for entry in range(1, 10):
        writer.put(entry)
    sink.go_on.set()

    assert writer.close()
    assert sink.taken == [0, 1, 2, 3]
    assert writer.counts["dropped"] == 6


def test_at_the_end_what_waits_is_tried_once_more() -> None:
    sink = Sink()
    writer = WriterThread("test", sink.write, again_after_s=60)
    sink.away.set()
    writer.put(1)
    assert sink.refused.wait(10)

    assert writer.close()
    assert writer.counts["failed"] == 1


def test_a_mistake_costs_its_batch_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    writer = WriterThread("mistaken entries", sink.write, again_after_s=0.01)
    with caplog.at_level(logging.ERROR):
        writer.put(-1)
        assert writer.flush()
    writer.put(2)

    assert writer.close()
    assert sink.taken == [2]
    assert "mistaken entries could not be written" in caplog.text
