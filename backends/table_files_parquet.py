"""How do the tables of batch engines lie in a folder? Parquet, a folder for each table, version and day.

    FOLDER/export.json
    FOLDER/table=notices/version=1/day=2026-03-05/000000000000-000000004096.parquet

A file holds the rows of one day out of the offsets that it is named by. Those beyond what export.json says are not
there yet: a writer that was stopped left them, and the next one removes them.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.errors import BackendUnavailable, FieldError, InvalidInput
from streams.batch.event_rows import Rows
from streams.batch.ports import Exported
from streams.batch.tables import TABLES, BatchTable, ColumnType

_STATE: Final = "export.json"
_LOCK: Final = "export.lock"
_FORMAT: Final = 1
_PART: Final = re.compile(r"(\d{12})-(\d{12})\.parquet")
TYPES: Final[dict[ColumnType, pa.DataType]] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    # What Spark and DuckDB both read as it is.
    "timestamp": pa.timestamp("us", "UTC"),
}


class _State(msgspec.Struct):
    """What export.json holds."""

    format: int
    exported: Exported


def arrow_schema(table: BatchTable) -> pa.Schema:
    """The fixed schema of a table; its name and version stand in the metadata of each file."""
    fields = [pa.field(column.name, TYPES[column.type], nullable=False) for column in table.columns]
    return pa.schema(fields, {"haat.table": table.name, "haat.version": str(table.version)})


class ParquetTableFiles:
    """TableFiles in a folder, which is made when it is not there. `readonly` takes no lock and writes nothing."""

    def __init__(self, folder: Path, *, readonly: bool = False) -> None:
        self._folder = folder
        self._lock = -1
        if not readonly:
            with self._writing():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise BackendUnavailable(f"{folder} is being exported into: wait until that has ended") from None

    def load(self) -> Exported | None:
        """See TableFiles."""
        try:
            state = msgspec.json.decode((self._folder / _STATE).read_bytes(), type=_State)
        except FileNotFoundError:
            if any(entry.name != _LOCK for entry in self._entries()):
                remedy = "give an empty folder, or one that was exported into before"
                raise InvalidInput([FieldError("--to", f"{self._folder} holds other files", remedy)]) from None
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            remedy = "move the folder away, and export all of it anew"
            raise InvalidInput([FieldError("--to", f"{_STATE} cannot be read: {error}", remedy)]) from error
        if state.format != _FORMAT:
            remedy = f"this haat reads format {_FORMAT}: export all of it anew"
            raise InvalidInput([FieldError("--to", f"has format {state.format}", remedy)])
        return state.exported

    def save(self, exported: Exported) -> None:
        """See TableFiles."""
        data = msgspec.json.format(msgspec.json.encode(_State(_FORMAT, exported)), indent=1) + b"\n"
        with self._writing():
            _replace(self._folder / _STATE, lambda path: path.write_bytes(data))

    def write(self, table: BatchTable, from_offset: int, upto_offset: int, rows: Sequence[Rows]) -> None:
        """See TableFiles."""
        whole = pa.concat_tables([_arrow(table, part) for part in rows])
        days = pc.strftime(whole["at"], "%Y-%m-%d")
        for day in sorted(pc.unique(days).to_pylist()):
            part = whole.filter(pc.equal(days, day))
            path = self._table(table) / f"day={day}" / f"{from_offset:012}-{upto_offset:012}.parquet"
            self._put(path, part)

    def discard_unsaved(self, exported: Exported) -> int:
        """See TableFiles."""
        removed = 0
        with self._writing():
            for table in TABLES.values():
                for path in self._parts(table):
                    if _upto(path) > exported.upto.get(table.topic, 0):
                        path.unlink()
                        removed += 1
            for begun in self._folder.rglob("*.begun"):
                begun.unlink()
        return removed

    def replace(self, table: BatchTable, rows: Rows) -> None:
        """See TableFiles."""
        self._put(self._table(table) / f"{table.name}.parquet", _arrow(table, rows))

    def rewrite(self, table: BatchTable, change: Callable[[Rows], Rows | None]) -> int:
        """See TableFiles."""
        changed = 0
        for path in list(self._parts(table)):
            before = pq.ParquetFile(path).read()
            columns = {name: before[name].to_pylist() for name in before.column_names if name != "at"}
            after = change(columns)
            if after is not None:
                self._put(path, _arrow(table, after))
                changed += 1
        return changed

    def drop_days_before(self, table: BatchTable, day: str) -> int:
        """See TableFiles."""
        old = [path for path in self._days(table) if path.name.removeprefix("day=") < day]
        with self._writing():
            for path in old:
                shutil.rmtree(path)
        return len(old)

    def files(self, table: BatchTable, from_day: str = "") -> list[str]:
        """See TableFiles."""
        if not table.topic:
            whole = self._table(table) / f"{table.name}.parquet"
            return [str(whole)] if whole.exists() else []
        exported = self.load()
        upto = exported.upto.get(table.topic, 0) if exported else 0
        return [
            str(path)
            for path in self._parts(table)
            if _upto(path) <= upto and path.parent.name.removeprefix("day=") >= from_day
        ]

    def close(self) -> None:
        """See TableFiles."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _table(self, table: BatchTable) -> Path:
        return self._folder / f"table={table.name}" / f"version={table.version}"

    def _days(self, table: BatchTable) -> list[Path]:
        return sorted(self._table(table).glob("day=*"))

    def _parts(self, table: BatchTable) -> Iterator[Path]:
        for day in self._days(table):
            yield from sorted(path for path in day.iterdir() if _PART.fullmatch(path.name))

    def _entries(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    def _put(self, path: Path, rows: pa.Table) -> None:
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, lambda begun: pq.write_table(rows, begun, compression="zstd", write_statistics=True))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = error.strerror or str(error)
            raise BackendUnavailable(
                f"{self._folder} cannot be written ({said}): make room, or give another"
            ) from error


def _arrow(table: BatchTable, rows: Rows) -> pa.Table:
    schema = arrow_schema(table)
    columns: dict[str, Any] = dict(rows)
    if "at" in schema.names:
        columns["at"] = np.asarray(rows["at_ms"], np.int64).astype("datetime64[ms]").astype("datetime64[us]")
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema)


def _upto(path: Path) -> int:
    found = _PART.fullmatch(path.name)
    assert found is not None, f"{path.name} is no part"
    return int(found[2])


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside, sync, and move into place: there is all of it or what was there before."""
    begun = path.with_name(path.name + ".begun")
    try:
        write(begun)
        with begun.open("rb+") as file:
            os.fsync(file.fileno())
        begun.replace(path)
    except BaseException:
        with suppress(OSError):
            begun.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
