"""How does what one node is told reach all of them? In one order for all, into each node's own log, or to its memory.

Products are such: a catalogue is the sum of its own log, and every node must come to the same one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

_AT_ONCE = 256


class SharedRecord(msgspec.Struct, frozen=True):
    """One record: its place in the order of all nodes, a topic of the log or the name of a hearer, its bytes."""

    sequence: int
    topic: str
    payload: bytes


class SharedRecords(Protocol):
    """Where they stand; each call blocks and may raise BackendUnavailable."""

    def append(self, topic: str, payload: bytes) -> int:
        """Add one behind all others; its sequence."""

    def read(self, after: int, limit: int) -> list[SharedRecord]:
        """At most `limit` behind this sequence, in order."""

    def holds(self, topic: str) -> bool:
        """Is there any of this topic?"""

    def taken_upto(self) -> int:
        """The sequence that this node took in last, 0 before the first."""

    def taken(self, before: int, upto: int) -> None:
        """This node took in what stands behind `before` up to `upto`."""


class SharedTopics:
    """Takes in what all nodes are told, each record at least once and in order. May be used from several threads.

    `hearers` take the payloads of their topic, in the thread that calls `take_in`; `sync` returns when what they wrote
    would survive the machine's death.
    """

    def __init__(
        self, records: SharedRecords, hearers: Mapping[str, Callable[[bytes], object]], sync: Callable[[], None]
    ) -> None:
        self._records = records
        self._hearers = dict(hearers)
        self._sync = sync
        self._taking = threading.Lock()
        self._upto: int | None = None

    def hear(self, topic: str, hearer: Callable[[bytes], object]) -> None:
        """One more hearer, before anything is taken in."""
        self._hearers[topic] = hearer

    def tell(self, topic: str, payload: bytes) -> None:
        """Tell all nodes; this one has taken it in when this returns."""
        self._records.append(topic, payload)
        self.take_in()

    def take_in(self) -> int:
        """Take in what was told since; how many records."""
        taken = 0
        with self._taking:
            if self._upto is None:
                self._upto = self._records.taken_upto()
            while records := self._records.read(self._upto, _AT_ONCE):
                for record in records:
                    hearer = self._hearers.get(record.topic)
                    if hearer is not None:
                        hearer(record.payload)
                self._sync()
                self._records.taken(self._upto, records[-1].sequence)
                self._upto = records[-1].sequence
                taken += len(records)
        return taken

    def begin_with(self, topic: str, payloads: Callable[[], list[bytes]]) -> None:
        """At the start: what this node's log held of a topic before there were others becomes everybody's."""
        if not self._records.holds(topic):
            for payload in payloads():
                self._records.append(topic, payload)
        self.take_in()
