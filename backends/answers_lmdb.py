"""Answers that sessions were given, in one LMDB file that all processes of a machine read and write.

It is a cache: whatever goes wrong, answers are forgotten and page views go on. Reading is a transaction of its own and
waits for nobody. Writing waits for other writers, so it is done in a thread; what that cannot keep up with is dropped.
A file from before the last start of the machine, or one that is no LMDB, is begun anew. Keys are digests, and answers
are what was sent to browsers anyway: nobody is named in the file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec

from backends import sync_mark
from backends.writer_thread import WriterThread
from common.errors import BackendUnavailable
from exchange.asked import Asked
from exchange.kept_answer import KeptAnswer

if TYPE_CHECKING:
    from backends.lmdb_folder import Transaction

# Address space, and disk as it fills; then everything is forgotten at once.
MAP_SIZE_BYTES: Final = 256 << 20
# Batches of answers that wait for the writer; more are dropped.
MOST_WAITING: Final = 256
# With each answer that is written so many old ones leave at most, so that the file does not grow for ever.
_LEAVE_FOR_ONE: Final = 2
_LEAST_LEAVING: Final = 16
_MOST_READERS: Final = 1_024
# The form of a value; others are not read.
_FORM: Final = b"\x03"
_EXPIRES: Final = struct.Struct(">Q")
_HEAD_BYTES: Final = 1 + _EXPIRES.size

_log = logging.getLogger(__name__)

# (digest, until when, the value)
_Entry = tuple[bytes, int, bytes]
_Batch = tuple[Sequence[tuple[Asked, KeptAnswer]], int]


class LmdbAnswers:
    """AnswerCache in a folder of its own. `counts` says what came of it: kept, dropped, unreadable, failed, cleared.

    BackendUnavailable when the folder cannot be opened.
    """

    def __init__(
        self, path: Path | str, *, map_size_bytes: int = MAP_SIZE_BYTES, most_waiting: int = MOST_WAITING
    ) -> None:
        self._path = Path(path)
        self._map_size_bytes = map_size_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(KeptAnswer)
        try:
            self._open()
        except (OSError, lmdb.Error) as error:
            raise BackendUnavailable(
                f"the shared answers in {path} cannot be opened ({error}): "
                "give a folder that all of the machine's processes may write, or none"
            ) from error
        self._writer: WriterThread[_Batch] = WriterThread(
            "shared answers", self._write, most_waiting=most_waiting, size_of=lambda batch: len(batch[0])
        )

    @property
    def counts(self) -> Counter[str]:
        """What came of it, since the start."""
        return self._writer.counts

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        """See AnswerCache; one transaction."""
        found: list[KeptAnswer | None] = []
        try:
            with self._env.begin(db=self._answers, buffers=True) as transaction:
                for asked in questions:
                    value = transaction.get(asked)
                    found.append(self._read(value, now_ms) if value is not None else None)
        except lmdb.Error as error:
            self._told(error)
            self.counts["failed"] += 1
            return [None] * len(questions)
        return found

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        """See AnswerCache; written soon, in a thread."""
        self._writer.put((entries, now_ms))

    def flush(self) -> None:
        """See AnswerCache; waits some seconds at most."""
        self._writer.flush()

    def close(self) -> None:
        """See AnswerCache; what waits is written before."""
        # Whoever writes on behind a writer that hangs must not find the file closed under it.
        if self._writer.close():
            self._env.close()

    def _open(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One process at a time looks whether the file is of this start of the machine.
        turn = os.open(self._path / "open.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            boot = sync_mark.boot_id()
            mark = self._path / "boot"
            if boot is not None and (not mark.exists() or mark.read_bytes() != boot):
                self._begin_anew()
                mark.write_bytes(boot)
            try:
                self._open_env(boot)
            except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError):
                self._begin_anew()
                self._open_env(boot)
        finally:
            os.close(turn)

    def _open_env(self, boot: bytes | None) -> None:
        # What the death of the machine breaks is begun anew, so no commit waits for the disk.
        each_commit = boot is None
        self._env = lmdb.open(
            str(self._path), map_size=self._map_size_bytes, max_dbs=2, max_readers=_MOST_READERS, sync=each_commit,
            metasync=each_commit, readahead=False, mode=0o600,
        )  # fmt: skip
        self._env.reader_check()
        self._answers = self._env.open_db(b"answers")
        self._ends = self._env.open_db(b"ends")

    def _begin_anew(self) -> None:
        for name in ("data.mdb", "lock.mdb"):
            (self._path / name).unlink(missing_ok=True)

    def _read(self, value: memoryview, now_ms: int) -> KeptAnswer | None:
        if len(value) < _HEAD_BYTES or bytes(value[:1]) != _FORM or _EXPIRES.unpack_from(value, 1)[0] <= now_ms:
            return None
        try:
            return self._decoder.decode(value[_HEAD_BYTES:])
        except msgspec.DecodeError:
            self.counts["unreadable"] += 1
            return None

    def _entry(self, asked: Asked, kept: KeptAnswer) -> _Entry:
        value = _FORM + _EXPIRES.pack(kept.expires_at_ms) + self._encoder.encode(kept)
        return asked, kept.expires_at_ms, value

    def _write(self, batches: Sequence[_Batch]) -> None:
        """In the writer's thread: all that waited becomes one transaction."""
        entries = [self._entry(asked, kept) for batch, _ in batches for asked, kept in batch]
        now_ms = max(now_ms for _, now_ms in batches)
        try:
            try:
                self._put(entries, now_ms)
            except lmdb.MapFullError:
                # Begun anew rather than sorted out: an answer lives for half a minute.
                with self._env.begin(write=True) as transaction:
                    for table in (self._answers, self._ends):
                        transaction.drop(table, delete=False)
                self.counts["cleared"] += 1
                self._put(entries, now_ms)
        except lmdb.Error as error:
            self._told(error)
            raise BackendUnavailable(str(error)) from error

    def _put(self, entries: Sequence[_Entry], now_ms: int) -> None:
        with self._env.begin(write=True, buffers=True) as transaction:
            for digest, expires_at_ms, value in entries:
                transaction.put(digest, value, db=self._answers)
                transaction.put(_EXPIRES.pack(expires_at_ms) + digest, b"", db=self._ends)
            self._let_go(transaction, now_ms, _LEAVE_FOR_ONE * len(entries) + _LEAST_LEAVING)

    def _let_go(self, transaction: Transaction, now_ms: int, most: int) -> None:
        """Up to so many answers whose time is over."""
        cursor = transaction.cursor(db=self._ends)
        while most and cursor.first():
            key = bytes(cursor.key())
            if _EXPIRES.unpack_from(key)[0] > now_ms:
                return
            digest = key[_EXPIRES.size :]
            held = transaction.get(digest, db=self._answers)
            # A question that was answered anew has another end by now.
            if held is not None and bytes(held[1:_HEAD_BYTES]) == key[: _EXPIRES.size]:
                transaction.delete(digest, db=self._answers)
            cursor.delete()
            most -= 1

    def _told(self, error: lmdb.Error) -> None:
        if not self.counts["failed"]:
            _log.warning("the shared answers in %s fail, so each process keeps its own: %s", self._path, error)
