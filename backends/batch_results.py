"""In which form does any batch engine hand over its rows? In the types that the report names, nothing null."""

from __future__ import annotations

import pyarrow as pa

from backends.table_files_parquet import TYPES
from common.errors import BackendUnavailable
from streams.batch.report import BatchReport


def in_order_of(report: BatchReport, found: pa.Table) -> pa.Table:
    """The rows as `report.columns` says. BackendUnavailable when the engine found something else."""
    schema = pa.schema([pa.field(column.name, TYPES[column.type], nullable=False) for column in report.columns])
    columns = []
    for field in schema:
        column = found[field.name].cast(field.type)
        if column.null_count:
            raise BackendUnavailable(f"report {report.name}: {column.null_count} rows have nothing in {field.name}")
        columns.append(column)
    return pa.table(columns, schema)
