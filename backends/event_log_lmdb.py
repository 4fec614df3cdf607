"""The event log in one LMDB file: a table for each topic, the offset as key."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from pathlib import Path

import lmdb

from backends.lmdb_folder import LmdbFolder, Transaction
from common.errors import BackendUnavailable
from streams.ports import Record

_OFFSET = struct.Struct(">Q")
# Value: appended_at_ms, then the payload.
_APPENDED_AT = struct.Struct(">Q")
# Of a topic from which records were dropped: the offset that it begins at, when the last one before was appended.
_BEGIN = struct.Struct(">QQ")
_BEGINS = "begins"
_TOPICS_AT_MOST = 128
_DROPPED_AT_ONCE = 1000


class LmdbEventLog:
    """EventLog in a folder of its own; see LmdbFolder for what survives and what is refused.

    `readonly` reads what another process writes. Call `sync` about once a second: it bounds what the death of the
    machine can take, and the room that waits to be used again.
    """

    def __init__(self, path: Path | str, *, map_size_bytes: int = 64 << 30, readonly: bool = False) -> None:
        self._readonly = readonly
        self._tables: dict[str, lmdb._Database] = {}
        self._folder = LmdbFolder(
            path, what="event log", map_size_bytes=map_size_bytes, tables=_TOPICS_AT_MOST, readonly=readonly
        )
        begins = self._folder.table(_BEGINS)
        if begins is None:
            self._folder.close()
            raise BackendUnavailable(f"{path} holds no event log: give the folder that the server writes")
        self._begins = begins
        # Where each topic goes on, and when its last record was appended; this is the only process that appends.
        self._tails: dict[str, tuple[int, int]] = {}
        self._appending = threading.Lock()

    def append(self, topic: str, payloads: Sequence[bytes], appended_at_ms: int) -> int:
        """See EventLog. The time never goes back within a topic: an earlier one is taken as that of the last record."""
        assert not self._readonly, "a reader does not append"
        table = self._written_table(topic)
        with self._appending:
            # What a write that fails leaves behind is looked up again.
            tail = self._tails.pop(topic, None)
            with self._folder.writing() as transaction:
                first, last_at_ms = tail or self._tail(transaction, topic, table)
                at_ms = max(last_at_ms, appended_at_ms)
                at = _APPENDED_AT.pack(at_ms)
                for offset, payload in enumerate(payloads, start=first):
                    stored = transaction.put(_OFFSET.pack(offset), at + payload, append=True, db=table)
                    assert stored, f"offset {offset} of topic {topic} is there already"
            if payloads:
                self._tails[topic] = first + len(payloads), at_ms
        return first

    def sync(self) -> None:
        """See EventLog; two disk writes, and none when nothing was appended since."""
        self._folder.sync()

    def read(self, topic: str, offset: int, limit: int = 1000) -> list[Record]:
        """See EventLog. What retention dropped is skipped: look at the offset of the first record."""
        table = self._table(topic)
        if table is None:
            return []
        records: list[Record] = []
        with self._folder.reading() as transaction, transaction.cursor(table) as cursor:
            found = cursor.set_range(_OFFSET.pack(max(offset, 0)))
            while found and len(records) < limit:
                key, value = cursor.item()
                records.append(
                    Record(
                        _OFFSET.unpack(key)[0], _APPENDED_AT.unpack_from(value)[0], bytes(value[_APPENDED_AT.size :])
                    )
                )
                found = cursor.next()
        return records

    def begin(self, topic: str) -> int:
        """The offset of the oldest record that is kept; `end(topic)` when there is none."""
        return self._ends(topic)[0]

    def end(self, topic: str) -> int:
        """See EventLog."""
        return self._ends(topic)[1]

    def bytes_from(self, topic: str, offset: int) -> int:
        """See OutboxLog; by the pages of the topic's tree."""
        table = self._table(topic)
        if table is None:
            return 0
        with self._folder.reading() as transaction:
            pages = transaction.stat(table)
        records: int = pages["entries"]
        if not records:
            return 0
        size: int = pages["psize"] * (pages["leaf_pages"] + pages["branch_pages"] + pages["overflow_pages"])
        # Offsets are dense from the oldest record on.
        return size * min(max(self.end(topic) - offset, 0), records) // records

    def first_offset_at(self, topic: str, at_ms: int) -> int:
        """See EventLog; about 20 look-ups for a million records."""
        low, high = self._ends(topic)
        table = self._table(topic)
        if table is None:
            return high
        with self._folder.reading() as transaction:
            while low < high:
                middle = (low + high) // 2
                value = transaction.get(_OFFSET.pack(middle), db=table)
                # None: retention dropped it meanwhile.
                if value is None or _APPENDED_AT.unpack_from(value)[0] < at_ms:
                    low = middle + 1
                else:
                    high = middle
        return low

    def drop_before(self, topic: str, offset: int) -> int:
        """Forget the records before `offset`; how many. Their room is used again, the file does not shrink."""
        assert not self._readonly, "a reader drops nothing"
        table = self._written_table(topic)
        dropped = 0
        while True:
            with self._folder.writing() as transaction, transaction.cursor(table) as cursor:
                end, last_at_ms = self._tail(transaction, topic, table)
                before = dropped
                while cursor.first() and dropped - before < _DROPPED_AT_ONCE:
                    if _OFFSET.unpack(cursor.key())[0] >= offset:
                        break
                    cursor.delete()
                    dropped += 1
                # A topic that is emptied goes on where it was.
                transaction.put(topic.encode(), _BEGIN.pack(min(max(offset, 0), end), last_at_ms), db=self._begins)
            if dropped - before < _DROPPED_AT_ONCE:
                return dropped

    def begin_at(self, topic: str, offset: int) -> None:
        """See streams.moving.ports.MovableLog."""
        assert not self._readonly, "a reader begins nothing"
        table = self._written_table(topic)
        with self._appending, self._folder.writing() as transaction:
            self._tails.pop(topic, None)
            if self._tail(transaction, topic, table)[0] not in (0, offset):
                raise ValueError(f"topic {topic} has had records: it goes on where it was")
            transaction.put(topic.encode(), _BEGIN.pack(offset, 0), db=self._begins)

    def rewrite(self, topic: str, payloads: dict[int, bytes]) -> None:
        """See streams.erasures.RewritableLog; the bytes before stay in the file until LMDB uses the room again."""
        assert not self._readonly, "a reader rewrites nothing"
        table = self._written_table(topic)
        with self._folder.writing() as transaction:
            for offset, payload in payloads.items():
                before = transaction.get(_OFFSET.pack(offset), db=table)
                if before is not None:
                    at = bytes(before[: _APPENDED_AT.size])
                    transaction.put(_OFFSET.pack(offset), at + payload, db=table)

    def close(self) -> None:
        """See EventLog."""
        self._folder.close()

    def _ends(self, topic: str) -> tuple[int, int]:
        table = self._table(topic)
        if table is None:
            return 0, 0
        with self._folder.reading() as transaction, transaction.cursor(table) as cursor:
            if cursor.first():
                first = _OFFSET.unpack(cursor.key())[0]
                cursor.last()
                return first, _OFFSET.unpack(cursor.key())[0] + 1
            begin = self._stored_begin(transaction, topic)[0]
            return begin, begin

    def _tail(self, transaction: Transaction, topic: str, table: lmdb._Database) -> tuple[int, int]:
        """The next offset, and when the last record was appended."""
        with transaction.cursor(table) as cursor:
            if cursor.last():
                return _OFFSET.unpack(cursor.key())[0] + 1, _APPENDED_AT.unpack_from(cursor.value())[0]
        return self._stored_begin(transaction, topic)

    def _stored_begin(self, transaction: Transaction, topic: str) -> tuple[int, int]:
        stored = transaction.get(topic.encode(), db=self._begins)
        return _BEGIN.unpack(stored) if stored else (0, 0)

    def _table(self, topic: str) -> lmdb._Database | None:
        table = self._tables.get(topic) or self._folder.table(f"topic {topic}")
        if table is not None:
            self._tables[topic] = table
        return table

    def _written_table(self, topic: str) -> lmdb._Database:
        table = self._table(topic)
        assert table is not None, "a writer makes the tables that it needs"
        return table
