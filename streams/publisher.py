"""How does an event get into the log, and what gives way when the disk is full?"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from common.clock import Clock
from common.errors import BackendUnavailable
from streams.ports import EventLog
from streams.topics import TOPICS


class Publisher:
    """Appends to the log and counts by topic. May be used from several threads."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._published: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._counting = threading.Lock()

    @property
    def published(self) -> Mapping[str, int]:
        """Records written so far, by topic."""
        return self._counts(self._published)

    @property
    def dropped(self) -> Mapping[str, int]:
        """Records that gave way because the log could not take them, by topic; never of money."""
        return self._counts(self._dropped)

    def publish(self, topic: str, payloads: Sequence[bytes], durable: bool = False) -> int | None:
        """Append records; the offset of the first. `durable` returns when they would survive the machine's death.

        Telemetry that nobody asked to be durable is dropped and counted when the log cannot take it: None.
        BackendUnavailable for everything else; ValueError for a topic that is not declared.
        """
        if topic not in TOPICS:
            raise ValueError(f"topic {topic!r} is not declared in streams/topics.py")
        try:
            first = self._log.append(topic, payloads, self._clock.now_ms())
            if durable:
                self._log.sync()
        except BackendUnavailable:
            if durable or not TOPICS[topic].droppable:
                raise
            self._count(self._dropped, topic, len(payloads))
            return None
        self._count(self._published, topic, len(payloads))
        return first

    def sync(self) -> None:
        """Return when everything published so far would survive the death of the machine; blocks for a disk write."""
        self._log.sync()

    def _count(self, counter: Counter[str], topic: str, records: int) -> None:
        with self._counting:
            counter[topic] += records

    def _counts(self, counter: Counter[str]) -> dict[str, int]:
        with self._counting:
            return {topic: counter[topic] for topic in TOPICS}
