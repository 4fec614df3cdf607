"""How is an LMDB file opened, guarded and synced, and what does a person read when it cannot be?

One writer process, many readers. What is committed survives `kill -9` at once (it is in the system's page cache), and
the death of the machine once `sync` returned.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import lmdb

from backends import sync_mark
from backends.sync_mark import Mark
from common.errors import BackendUnavailable

# Pages that were allocated and freed again in the last transaction may lie beyond the end of a healthy file.
_PAGES_MISSING_AT_MOST = 256
_DISK_FULL_BELOW_BYTES = 16 << 20
# Room that was set free is used again after the next sync; a file that grows this much is not left waiting for one.
_GROWS_UNSYNCED_AT_MOST_BYTES = 32 << 20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_DAMAGED = (
    lmdb.InvalidError,
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    # A key or a value is not as long as all of ours are.
    struct.error,
)

# Keys and values are memoryviews into the file.
Transaction: TypeAlias = "lmdb.Transaction[memoryview]"


class LmdbFolder:
    """One LMDB environment in a folder of its own; `what` names it in sentences ("event log").

    `map_size_bytes` is the most that the file can grow to; it is address space and no disk until it is used.
    BackendUnavailable when another process writes here, the file is not ours or damaged, or the disk is full.
    """

    def __init__(
        self, path: Path | str, *, what: str, map_size_bytes: int, tables: int = 0, readonly: bool = False
    ) -> None:
        self._path = Path(path)
        self._what = what
        self._map_size_bytes = map_size_bytes
        self._readonly = readonly
        self._boot = sync_mark.boot_id()
        # Held while a transaction writes, or while `sync` notes what is committed.
        self._turn = threading.Lock()
        self._syncing = threading.Lock()
        self._soon: threading.Thread | None = None
        self._synced_pages = 0
        self._mark = Mark(0, b"", b"")
        self._anchor: lmdb.Transaction | None = None
        self._writer_lock = -1
        self._data = -1
        try:
            self._open(tables)
        except lmdb.Error as error:
            self._release()
            raise self._unavailable(error) from error
        except OSError as error:
            self._release()
            raise BackendUnavailable(
                f"the {what} in {self._path} cannot be opened: {error.strerror or error}; "
                "give a folder that this user may write"
            ) from error
        except BaseException:
            self._release()
            raise

    def _open(self, tables: int) -> None:
        if self._readonly:
            if not self._file.exists():
                raise BackendUnavailable(f"there is no {self._what} in {self._path}: start the server there first")
        else:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_out_other_writers()
            if not self._file.exists():
                sync_mark.forget(self._path)
        self._put_back()
        # Without a boot id nobody can tell whether the machine died, so LMDB syncs each commit itself.
        each_commit = self._boot is None
        self.env = lmdb.open(
            str(self._path),
            map_size=self._map_size_bytes,
            max_dbs=tables,
            sync=each_commit,
            metasync=each_commit,
            readonly=self._readonly,
            create=not self._readonly,
            readahead=False,
            mode=0o600,
        )
        self._data = os.open(self._file, os.O_RDWR if not self._readonly else os.O_RDONLY)
        self._page_bytes = self.env.stat()["psize"]
        self._refuse_cut_off_file()
        if not self._readonly:
            self.env.reader_check()
            self.sync()

    @property
    def _file(self) -> Path:
        return self._path / "data.mdb"

    def _lock_out_other_writers(self) -> None:
        self._writer_lock = os.open(self._path / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._writer_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._writer_lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise BackendUnavailable(
                f"the {self._what} in {self._path} is already being written by process {holder}: "
                "stop that one first, or give this one another data folder"
            ) from None
        os.ftruncate(self._writer_lock, 0)
        os.pwrite(self._writer_lock, f"{os.getpid()}\n".encode(), 0)

    def _put_back(self) -> None:
        """Go back to the last sync when the machine was started anew since."""
        mark = sync_mark.newest(self._path)
        if mark is None:
            return
        self._mark = mark
        if self._boot is None or mark.boot == self._boot or not self._file.exists():
            return
        file = os.open(self._file, os.O_RDONLY if self._readonly else os.O_RDWR)
        try:
            if os.pread(file, len(mark.roots), 0) == mark.roots:
                return
            if self._readonly:
                raise BackendUnavailable(
                    f"the machine went down while the {self._what} in {self._path} was open: "
                    "start the server there once, then read it"
                )
            os.pwrite(file, mark.roots, 0)
            os.fsync(file)
        finally:
            os.close(file)

    def _refuse_cut_off_file(self) -> None:
        """A read beyond the end of a mapped file would kill the process, so look at its length first."""
        wanted = (self.env.info()["last_pgno"] + 1) * self._page_bytes
        has = os.fstat(self._data).st_size
        if has < wanted - _PAGES_MISSING_AT_MOST * self._page_bytes:
            raise BackendUnavailable(
                f"the {self._what} in {self._path} is cut off: {has} of {wanted} bytes are there; "
                "put back a whole copy, or move the folder away to begin anew"
            )
        if has < wanted and not self._readonly:
            os.ftruncate(self._data, wanted)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction, all or nothing; its memoryviews end with the next write. BackendUnavailable on trouble."""
        with self._turn:
            try:
                with self.env.begin(write=True, buffers=True) as transaction:
                    yield transaction
                grown = self.env.info()["last_pgno"] - self._synced_pages
            except (lmdb.Error, struct.error) as error:
                self._sync_soon()
                raise self._unavailable(error) from error
        if grown * self._page_bytes > _GROWS_UNSYNCED_AT_MOST_BYTES:
            self._sync_soon()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A view of the last commit; its memoryviews end with it."""
        try:
            with self.env.begin(buffers=True) as transaction:
                yield transaction
        except (lmdb.Error, struct.error) as error:
            raise self._unavailable(error) from error

    def table(self, name: str) -> lmdb._Database | None:
        """The named table, made when it is missing; None when it is missing and this is a reader."""
        try:
            with self._turn:
                return self.env.open_db(name.encode(), create=not self._readonly)
        except lmdb.NotFoundError:
            return None
        except lmdb.Error as error:
            raise self._unavailable(error) from error

    def sync(self) -> None:
        """Return when everything committed so far would survive the death of the machine."""
        with self._syncing:
            if self._readonly or self._data < 0:
                return
            try:
                self._sync()
            except lmdb.Error as error:
                raise self._unavailable(error) from error
            except OSError as error:
                raise BackendUnavailable(
                    f"the {self._what} in {self._path} cannot be synced: {error.strerror or error}; "
                    "look after the disk, then start again"
                ) from error

    def _sync(self) -> None:
        with self._turn:
            roots = os.pread(self._data, 2 * self._page_bytes, 0)
            if self._anchor is not None and roots == self._mark.roots:
                return
            self._synced_pages = self.env.info()["last_pgno"]
            # While this reader stands, LMDB uses none of the pages again that `roots` lead to.
            anchor = self.env.begin()
        try:
            self.env.sync(True)
            if self._boot is not None:
                mark = Mark(self._mark.number + 1, self._boot, roots)
                sync_mark.write(self._path, mark)
                self._mark = mark
        except BaseException:
            anchor.abort()
            raise
        with self._turn:
            before, self._anchor = self._anchor, anchor
            if before is not None:
                before.abort()

    def _sync_soon(self) -> None:
        """Sync in a thread of its own, so that nobody who writes waits; its trouble shows at the next `sync`."""
        if self._soon is None or not self._soon.is_alive():
            self._soon = threading.Thread(target=self._try_to_sync, name=f"sync {self._what}", daemon=True)
            self._soon.start()

    def _try_to_sync(self) -> None:
        with suppress(BackendUnavailable):
            self.sync()

    def close(self) -> None:
        """Sync and let go of the files; a second time does nothing."""
        try:
            self.sync()
        finally:
            with self._syncing:
                self._release()

    def _release(self) -> None:
        if self._anchor is not None:
            self._anchor.abort()
            self._anchor = None
        if hasattr(self, "env"):
            self.env.close()
        for file in (self._data, self._writer_lock):
            if file >= 0:
                os.close(file)
        self._data = self._writer_lock = -1

    def _unavailable(self, error: lmdb.Error | struct.error) -> BackendUnavailable:
        where = f"the {self._what} in {self._path}"
        if isinstance(error, _DAMAGED):
            return BackendUnavailable(
                f"{where} is damaged or is not one of ours ({error}): "
                "put back a whole copy, or move the folder away to begin anew"
            )
        if isinstance(error, lmdb.MapFullError):
            return BackendUnavailable(
                f"{where} has reached its largest size of {self._map_size_bytes} bytes: "
                "drop old records, or start it with a larger map size"
            )
        if isinstance(error, lmdb.DiskError) or getattr(error, "code", 0) in _NO_ROOM:
            free = shutil.disk_usage(self._path).free
            trouble = "the disk is full" if free < _DISK_FULL_BELOW_BYTES else "the disk refused the write"
            return BackendUnavailable(f"{where} cannot be written: {trouble} ({free} bytes free); make room on it")
        if isinstance(error, lmdb.MemoryError):
            return BackendUnavailable(
                f"{where} cannot be mapped: this process may not use {self._map_size_bytes} bytes of address space; "
                "start it with a smaller map size"
            )
        if "already open" in str(error):
            return BackendUnavailable(f"{where} is open in this process already: use that one, or close it first")
        return BackendUnavailable(f"{where} cannot be used: {error}; start the server anew")
