"""Rows in every table of the SQL store, made up from the tables themselves, so that no table is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Boolean, Column, Engine, Float, LargeBinary, String, Table, insert

from backends.sql import writing
from backends.sql_schema import METADATA
from backends.sql_tables_money import OPEN_TRANSACTIONS

# Where a table does not take any value.
_FITTING: dict[str, Callable[[int], int | None]] = {
    "balance_accounts.balance_micros": lambda row: -row,
    "budget_carries.thousandths": lambda row: row % 1000,
    "balance_postings.amount_micros": lambda row: 7 if row % 2 else -7,
    # Two postings to a transaction, which add up to nothing.
    "balance_postings.transaction_number": lambda row: (row + 1) // 2,
    "balance_postings.account_number": lambda row: (row + 1) // 2,
    "invoices.of_invoice": lambda row: None if row == 1 else row - 1,
}


def fill(engine: Engine, rows: int = 5) -> dict[str, int]:
    """Put `rows` rows into each table (an even number of postings); how many there are by table."""
    made = {}
    with writing(engine) as connection:
        for table in METADATA.sorted_tables:
            if table is OPEN_TRANSACTIONS:
                made[table.name] = 0
                continue
            count = max(rows - rows % 2, 2) if table.name == "balance_postings" else rows
            connection.execute(insert(table), [_row(table, number) for number in range(1, count + 1)])
            made[table.name] = count
    return made


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(table, column, number) for column in table.columns}


def _value(table: Table, column: Column[Any], number: int) -> Any:
    if (fitting := _FITTING.get(f"{table.name}.{column.name}")) is not None:
        return fitting(number)
    for key in column.foreign_keys:
        return _value(key.column.table, key.column, number)
    if column.nullable and number % 3 == 0:
        return None
    kind = column.type
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Float):
        return number / 7
    if isinstance(kind, LargeBinary):
        return b"\0" + number.to_bytes(2) + b"\xff"
    if isinstance(kind, String):
        text = f"{number} é'{column.name}"
        return text[: kind.length] if kind.length else text + " \N{SHOPPING TROLLEY}\n"
    return number
