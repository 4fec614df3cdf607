"""How is a file of others opened as a table? Checked first: it is there, readable, bounded, and has the columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import duckdb

from common.errors import FieldError, InvalidInput, NotFound

_MOST_LINES = 50_000_000


def open_tables(engine: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], columns: Sequence[str]) -> None:
    """Make the view `name` of Parquet or CSV files (by their endings), all of one kind.

    NotFound when a file is missing; InvalidInput when one cannot be read, lacks one of `columns` or is too long.
    """
    for file in files:
        if not file.is_file():
            raise NotFound(f"there is no file {file}")
        relation = _read(engine, [file])
        if missing := [column for column in columns if column not in relation.columns]:
            said = f"no column {', '.join(missing)}"
            raise InvalidInput([FieldError(file.name, said, f"name the columns {', '.join(columns)}")])
        try:
            (lines,) = relation.count("*").fetchone() or (0,)
        except duckdb.Error as trouble:
            raise _unreadable(file, trouble) from trouble
        if lines > _MOST_LINES:
            raise InvalidInput([FieldError(file.name, f"{lines} lines", f"give at most {_MOST_LINES}")])
    _read(engine, files).create_view(name)


def fetch(engine: duckdb.DuckDBPyConnection, query: str, file: Path) -> dict[str, Any]:
    """The columns of a query as arrays by name; InvalidInput names `file` when its values are of other types."""
    try:
        return dict(engine.execute(query).fetchnumpy())
    except duckdb.Error as trouble:
        raise _unreadable(file, trouble) from trouble


def _read(engine: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    try:
        if files[0].suffix == ".parquet":
            return engine.read_parquet([str(file) for file in files])
        parts = [engine.read_csv(str(file)) for file in files]
        return reduce(lambda one, other: one.union(other), parts)
    except duckdb.Error as trouble:
        raise _unreadable(files[0], trouble) from trouble


def _unreadable(file: Path, trouble: duckdb.Error) -> InvalidInput:
    # The first line says what; the others show the query, and the path of the file.
    said = str(trouble).splitlines()[0].replace(str(file.parent), "").strip()[:160]
    return InvalidInput([FieldError(file.name, said, "give a Parquet file, or a CSV file with a header")])
