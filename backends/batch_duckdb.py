"""How are reports run without a cluster? DuckDB over the files, on all cores, spilling to disk beyond its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import ibis
import pyarrow as pa

from backends.batch_results import in_order_of
from backends.table_files_parquet import arrow_schema
from common.errors import BackendUnavailable
from streams.batch.report import BatchReport, table_of


class DuckdbBatchEngine:
    """BatchEngine in this process. `memory_mib` 0 is DuckDB's own bound, four fifths of the machine's."""

    def __init__(self, *, hours: tuple[int, int] | None = None, threads: int = 0, memory_mib: int = 0) -> None:
        self._hours = hours
        self._spill = TemporaryDirectory(prefix="haat-batch-")
        self._engine = ibis.duckdb.connect(temp_directory=str(Path(self._spill.name)))
        # Without the zone a day would begin when it does on this machine.
        self._engine.raw_sql("SET TimeZone = 'UTC'")
        if threads:
            self._engine.raw_sql(f"SET threads = {int(threads)}")
        if memory_mib:
            self._engine.raw_sql(f"SET memory_limit = '{int(memory_mib)} MiB'")

    def run(self, report: BatchReport, files: Mapping[str, Sequence[str]]) -> pa.Table:
        """See BatchEngine."""
        try:
            for table in report.needs:
                if paths := files.get(table.name):
                    relation = self._engine.con.read_parquet(list(paths), hive_partitioning=False)
                    relation.create_view(table.name, replace=True)
                else:
                    self._engine.con.register(table.name, arrow_schema(table).empty_table())
            rows = report.over({table.name: table_of(table, self._hours) for table in report.needs})
            return in_order_of(report, self._engine.to_pyarrow(rows))
        except duckdb.Error as error:
            raise BackendUnavailable(f"DuckDB cannot run {report.name}: {str(error).splitlines()[0][:300]}") from error

    def close(self) -> None:
        """See BatchEngine."""
        self._engine.disconnect()
        self._spill.cleanup()
