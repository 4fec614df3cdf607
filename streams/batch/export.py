"""How does the event log become tables in files, a little more each time, and the same however often it is stopped?

Each step writes the rows of some offsets and then says so (`TableFiles.save`). What was written before a crash and not
said is removed at the next start and written again, so no row is missing and none is there twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from streams.batch.auction_rows import auction_rows
from streams.batch.event_rows import Rows, count_of, event_rows, without_personal
from streams.batch.forgetting import ErasedPeople, forget
from streams.batch.ports import Exported, LineItemNames, TableFiles
from streams.batch.tables import LINE_ITEMS, TABLES, BatchTable, tables_of
from streams.ports import EventLog, Record
from streams.topics import AUCTIONS, ERASURES, TOPICS

# One file holds about so many rows of its largest table.
ROWS_A_STEP: Final = 500_000
_RECORDS_A_STEP: Final = 100_000
_READ_AT_ONCE: Final = 256

# (topic, records so far, records in all)
Progress = Callable[[str, int, int], None]


class TopicExport(msgspec.Struct, frozen=True):
    """What an export did for one topic."""

    topic: str
    records: int
    rows: dict[str, int]
    unreadable: int
    upto_offset: int


class Export(msgspec.Struct, frozen=True):
    """What an export did. `forgotten_files` were written anew without erased people, `dropped_days` were too old."""

    topics: tuple[TopicExport, ...]
    forgotten_files: int
    dropped_days: int
    discarded_files: int


class _Step(msgspec.Struct):
    """Rows by table of the records from `from_offset` to before `upto_offset`; `longest` counts its largest table."""

    from_offset: int
    upto_offset: int = 0
    last_at_ms: int = 0
    records: int = 0
    unreadable: int = 0
    longest: int = 0
    rows: defaultdict[str, list[Rows]] = msgspec.field(default_factory=lambda: defaultdict(list))


class EventExport:
    """Exports a log into a folder. InvalidInput when the folder belongs to another log, or was begun otherwise."""

    def __init__(
        self,
        *,
        log: EventLog,
        files: TableFiles,
        line_items: LineItemNames,
        clock: Clock,
        personal: bool,
        rows_a_step: int = ROWS_A_STEP,
        source: str = "",
    ) -> None:
        """`source` is the id of the log, empty where it has none."""
        self._log = log
        self._files = files
        self._line_items = line_items
        self._clock = clock
        self._personal = personal
        self._rows_a_step = rows_a_step
        self._source = source
        self._erased = ErasedPeople(log, 0, 0)

    def run(self, progress: Progress = lambda topic, done, of: None) -> Export:
        """Export what is new since the last time, up to what the log holds now."""
        ends = {topic: self._log.end(topic) for topic in TOPICS}
        exported = self._begun(ends)
        discarded = self._files.discard_unsaved(exported)
        self._erased = ErasedPeople(self._log, 0, ends[ERASURES.name])
        forgotten = self._forget(exported, ends[ERASURES.name]) if self._personal else 0
        self._files.replace(LINE_ITEMS, self._line_items.rows())
        topics = tuple(self._topic(topic, ends[topic], exported, progress) for topic in TOPICS if tables_of(topic))
        dropped = self._drop_old() if self._personal else 0
        return Export(topics, forgotten, dropped, discarded)

    def _begun(self, ends: dict[str, int]) -> Exported:
        versions = {name: table.version for name, table in TABLES.items()}
        exported = self._files.load()
        if exported is None:
            exported = Exported(self._personal, versions, source=self._source)
            self._files.save(exported)
            return exported
        remedy = "give an empty folder, and export all of it anew"
        if exported.personal != self._personal:
            was = "with" if exported.personal else "without"
            raise InvalidInput([FieldError("--personal", f"the folder was begun {was} personal data", remedy)])
        if exported.versions != versions:
            other = sorted(name for name in versions if exported.versions.get(name) != versions[name])
            raise InvalidInput([FieldError("--to", f"holds other versions of {', '.join(other)}", remedy)])
        if self._source and exported.source not in ("", self._source):
            raise InvalidInput([FieldError("--to", "holds another event log", remedy)])
        exported.source = self._source or exported.source
        for topic, upto in exported.upto.items():
            if upto > ends.get(topic, 0) or not self._is_ours(topic, upto, exported.last_at_ms.get(topic, 0)):
                raise InvalidInput([FieldError("--to", f"holds {topic} of another event log", remedy)])
        return exported

    def _is_ours(self, topic: str, upto: int, last_at_ms: int) -> bool:
        """Is the last exported record still the same? One that retention dropped cannot be asked."""
        last = self._log.read(topic, upto - 1, 1) if upto else []
        return not last or last[0].offset != upto - 1 or last[0].appended_at_ms == last_at_ms

    def _topic(self, topic: str, end: int, exported: Exported, progress: Progress) -> TopicExport:
        begin = exported.upto.get(topic, 0)
        totals, records, unreadable = dict.fromkeys((table.name for table in tables_of(topic)), 0), 0, 0
        for step in self._steps(topic, begin, end):
            for table in tables_of(topic):
                if rows := step.rows.get(table.name):
                    self._files.write(table, step.from_offset, step.upto_offset, rows)
                    totals[table.name] += sum(map(count_of, rows))
            records += step.records
            unreadable += step.unreadable
            exported.upto[topic], exported.last_at_ms[topic] = step.upto_offset, step.last_at_ms
            self._files.save(exported)
            progress(topic, step.upto_offset - begin, end - begin)
        return TopicExport(topic, records, totals, unreadable, exported.upto.get(topic, 0))

    def _steps(self, topic: str, offset: int, end: int) -> Iterator[_Step]:
        """What is written together: the rows of as many records as make a file."""
        step: _Step | None = None
        while offset < end and (records := self._log.read(topic, offset, min(_READ_AT_ONCE, end - offset))):
            step = step or _Step(records[0].offset)
            for record in records:
                found = self._rows_of(topic, record)
                step.unreadable += found is None
                for name, rows in (found or {}).items():
                    step.rows[name].append(self._allowed(TABLES[name], rows))
                step.longest += max(map(count_of, (found or {}).values()), default=0)
            offset = step.upto_offset = records[-1].offset + 1
            step.records += len(records)
            step.last_at_ms = records[-1].appended_at_ms
            if step.longest >= self._rows_a_step or step.records >= _RECORDS_A_STEP:
                yield step
                step = None
        if step is not None:
            yield step

    def _rows_of(self, topic: str, record: Record) -> dict[str, Rows] | None:
        if topic == AUCTIONS.name:
            return auction_rows(record, personal=self._personal)
        return event_rows(topic, record)

    def _allowed(self, table: BatchTable, rows: Rows) -> Rows:
        if not self._personal:
            return without_personal(table, rows) if table.personal else rows
        if not table.personal:
            return rows
        return forget(table, rows, self._erased) or rows

    def _forget(self, exported: Exported, end: int) -> int:
        """Write the files anew that hold somebody who was erased since the last time."""
        begin = exported.upto.get(ERASURES.name, 0)
        if begin == end:
            return 0
        erased = ErasedPeople(self._log, begin, end)
        rewritten = sum(
            self._files.rewrite(table, partial(forget, table, erased=erased))
            for table in TABLES.values()
            if table.personal
        )
        exported.upto[ERASURES.name], exported.last_at_ms[ERASURES.name] = end, erased.last_at_ms
        self._files.save(exported)
        return rewritten

    def _drop_old(self) -> int:
        """What tells of people is kept no longer here than in the log."""
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date()
        dropped = 0
        for table in TABLES.values():
            if table.personal and (days := TOPICS[table.topic].retention_days):
                dropped += self._files.drop_days_before(table, (today - timedelta(days=days)).isoformat())
        return dropped
