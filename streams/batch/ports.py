"""What batch work needs from outside: files of tables, who stands behind line items, and an engine that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from streams.batch.event_rows import Rows
from streams.batch.tables import BatchTable

if TYPE_CHECKING:
    import pyarrow as pa

    from streams.batch.report import BatchReport


class Exported(msgspec.Struct):
    """How far a log is exported into a folder.

    `upto` are the offsets by topic from which on nothing is exported yet, `last_at_ms` when the record before each was
    appended: by that another log is told from this one. `versions` are those of the tables by name. `source` is the
    log's id; empty of a log that no server has had yet, and in folders of before.
    """

    personal: bool
    versions: dict[str, int]
    upto: dict[str, int] = msgspec.field(default_factory=dict)
    last_at_ms: dict[str, int] = msgspec.field(default_factory=dict)
    source: str = ""


class TableFiles(Protocol):
    """Tables as files in one folder, by day. One writer at a time; readers see what `save` was told, and no more.

    BackendUnavailable when the folder is being written by another, or the disk refuses.
    """

    def load(self) -> Exported | None:
        """How far this folder is; None when nothing was exported into it. InvalidInput when it is somebody else's."""

    def save(self, exported: Exported) -> None:
        """Let readers see all that was written; returns when it would survive the death of the machine."""

    def write(self, table: BatchTable, from_offset: int, upto_offset: int, rows: Sequence[Rows]) -> None:
        """Write the rows of these offsets, a file for each day. Unseen until `save`."""

    def discard_unsaved(self, exported: Exported) -> int:
        """Remove files that were written and never saved; how many."""

    def replace(self, table: BatchTable, rows: Rows) -> None:
        """Replace a table that has no topic, whole."""

    def rewrite(self, table: BatchTable, change: Callable[[Rows], Rows | None]) -> int:
        """Replace each file of a table for which `change` gives other rows; how many. None leaves it."""

    def drop_days_before(self, table: BatchTable, day: str) -> int:
        """Remove the days before `day` (2026-03-05) of a table; how many."""

    def files(self, table: BatchTable, from_day: str = "") -> list[str]:
        """The files that readers may see, from a day on."""

    def close(self) -> None:
        """Let another write here."""


class LineItemNames(Protocol):
    """Who stands behind the numbers of line items."""

    def rows(self) -> Rows:
        """The rows of streams.batch.tables.LINE_ITEMS, by number."""


class BatchEngine(Protocol):
    """Runs reports over files of tables.

    Promises: the same files give the same rows in the same order whatever the engine, with the types of
    `report.columns`; times are UTC. A table without files is empty.
    """

    def run(self, report: BatchReport, files: Mapping[str, Sequence[str]]) -> pa.Table:
        """The rows of a report; `files` are those of each table that it needs. BackendUnavailable when it fails."""

    def close(self) -> None:
        """Let go of what it holds."""
