"""What is a report of batch engines? An expression over tables, by its dimensions, with what it adds up. Pure.

Expressions are Ibis: written once, run on any engine. Money and counts are whole numbers, rates are whole parts of a
million, so that engines which add up in another order come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import ibis
import ibis.expr.types as ir
import msgspec

from common.errors import FieldError, InvalidInput
from streams.batch.tables import BatchTable, Column

MILLION: Final = 1_000_000

Tables: TypeAlias = Mapping[str, ir.Table]


class Rate(msgspec.Struct, frozen=True):
    """`name` is how many millionths `part` is of `whole`; 0 where there is no whole."""

    name: str
    part: str
    whole: str


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report. `expression` gives its dimensions and measures; the same dimensions may come several times.

    A report that is `personal` reads what tells of people, and needs an export with personal data. One of `whole_rows`
    has measures that are not added up, so it has all of its dimensions or none is asked for.
    """

    name: str
    question: str
    needs: tuple[BatchTable, ...]
    dimensions: tuple[Column, ...]
    measures: tuple[str, ...]
    expression: Callable[[Tables], ir.Table]
    rates: tuple[Rate, ...] = ()
    personal: bool = False
    whole_rows: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each row has, in order."""
        summed = (*self.measures, *(rate.name for rate in self.rates))
        return (*self.dimensions, *(Column(name, "int64") for name in summed))

    def by(self, names: Sequence[str]) -> BatchReport:
        """The same report by fewer dimensions; InvalidInput for those that it does not have."""
        known = {column.name: column for column in self.dimensions}
        if names and self.whole_rows:
            raise InvalidInput([FieldError("--by", ",".join(names)[:80], f"{self.name} has all of its rows or none")])
        if wrong := [name for name in names if name not in known]:
            errors = [FieldError("--by", repr(name[:40]), f"give some of {', '.join(known)}") for name in wrong]
            raise InvalidInput(errors)
        if len(set(names)) < len(names):
            raise InvalidInput([FieldError("--by", ",".join(names)[:80], "name each once")])
        return msgspec.structs.replace(self, dimensions=tuple(known[name] for name in names)) if names else self

    def over(self, tables: Tables) -> ir.Table:
        """The rows, in the order of their dimensions."""
        names = [column.name for column in self.dimensions]
        summed = self.expression(tables).group_by(names).aggregate(
            **{name: total(ibis._[name]) for name in self.measures}
        )  # fmt: skip
        whole = summed.mutate(**{rate.name: millionths(summed[rate.part], summed[rate.whole]) for rate in self.rates})
        return whole.select([column.name for column in self.columns]).order_by(names)


def table_of(table: BatchTable, hours: tuple[int, int] | None = None, *, name: str = "") -> ir.Table:
    """The table as an expression, of the hours since 1970 from the first to before the second."""
    found = ibis.table({column.name: ibis_type(column) for column in table.columns}, name=name or table.name)
    if hours is None or "hour" not in found.columns:
        return found
    return found.filter(found["hour"] >= hours[0], found["hour"] < hours[1])


def ibis_type(column: Column) -> str:
    """The type of a column as Ibis says it."""
    return "timestamp('UTC')" if column.type == "timestamp" else column.type


def total(values: Any) -> Any:
    """The sum as a whole number; 0 of no rows."""
    return values.sum().fill_null(0).cast("int64")


def number_where(condition: Any) -> Any:
    """How many rows it is true of."""
    return total(condition.ifelse(1, 0))


def whole(part: Any, divisor: Any) -> Any:
    """What `part // divisor` is, for numbers from 0 on: the multiple is divided, so that no engine rounds."""
    return ((part - part % divisor) / divisor).cast("int64")


def millionths(part: Any, of: Any) -> Any:
    """How many millionths `part` is of `of`, rounded down; 0 of nothing."""
    known = (of > 0) & (part >= 0)
    return known.ifelse(whole(part.cast("int64") * MILLION, known.ifelse(of, 1)), 0).cast("int64")
