"""How are reports run where one machine is too small? Spark over the same files: in this process, or by a master's URL.

Needs a JDK 17 and the extra `spark`, which pins what works together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import ibis
import pyarrow as pa

from backends.batch_results import in_order_of
from common.errors import BackendUnavailable
from streams.batch.report import BatchReport, table_of
from streams.batch.tables import BatchTable, ColumnType

# What Spark must be told so that it comes to the same as any other engine.
_SAME: Final = {
    # A day is a day in UTC, and a sum that does not fit is an error.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# Of a Spark in this process: it listens on loopback alone, and two rows do not become two hundred tasks.
_HERE: Final = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}
_TYPES: Final[dict[ColumnType, str]] = {
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "string": "STRING",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


class SparkBatchEngine:
    """BatchEngine on Spark; starting it takes some seconds. BackendUnavailable says what is missing."""

    def __init__(
        self,
        *,
        hours: tuple[int, int] | None = None,
        master: str = "local[*]",
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._hours = hours
        try:
            from pyspark.errors import PySparkException
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise BackendUnavailable(
                f"Spark is not installed ({error.name}): install haat with the extra `spark`, or say --engine duckdb"
            ) from error
        self._trouble = (PySparkException, OSError)
        own = _SAME | (_HERE if master.startswith("local") else {}) | dict(options or {})
        builder = SparkSession.builder.master(master).appName("haat batch")
        for name, value in own.items():
            builder = builder.config(name, value)
        try:
            self._session: Any = builder.getOrCreate()
        except Exception as error:
            # The gateway's own kind of error is not exported: without a JVM there is none to translate it.
            raise BackendUnavailable(f"Spark does not start ({_first_line(error)}): it needs a JDK 17") from error
        self._session.sparkContext.setLogLevel("ERROR")
        self._engine = ibis.pyspark.connect(self._session)

    def run(self, report: BatchReport, files: Mapping[str, Sequence[str]]) -> pa.Table:
        """See BatchEngine."""
        try:
            for table in report.needs:
                self._frame(table, files.get(table.name, ())).createOrReplaceTempView(table.name)
            rows = report.over({table.name: table_of(table, self._hours) for table in report.needs})
            # By Arrow alone: on the way that Ibis takes, each value would go through pandas.
            return in_order_of(report, self._session.sql(self._engine.compile(rows)).toArrow())
        except self._trouble as error:
            raise BackendUnavailable(f"Spark cannot run {report.name}: {_first_line(error)}") from error

    def _frame(self, table: BatchTable, paths: Sequence[str]) -> Any:
        schema = ", ".join(f"`{column.name}` {_TYPES[column.type]}" for column in table.columns)
        if not paths:
            return self._session.createDataFrame([], schema)
        # Without this, Spark would make columns of the names of folders.
        return self._session.read.schema(schema).option("recursiveFileLookup", "true").parquet(*paths)

    def close(self) -> None:
        """See BatchEngine."""
        self._session.stop()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
