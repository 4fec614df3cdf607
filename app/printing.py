"""How is a result shown? A table on a terminal, plain lines in a pipe, one JSON document when asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


def print_json(result: object) -> None:
    """One JSON document, indented, keys in their order."""
    text = msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2)
    sys.stdout.write(text.decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their columns; tab-separated with no heading when stdout is not a terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(str(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, so that square brackets in a value are never taken for markup.
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def print_tree(result: Mapping[str, Any], indent: str = "") -> None:
    """A nested result as `name: value` lines, two blanks deeper for each level; lists of mappings as numbered parts."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            print(f"{indent}{name}:")
            print_tree(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and any(isinstance(part, Mapping) for part in value):
            print(f"{indent}{name}:")
            for number, part in enumerate(value, 1):
                print(f"{indent}  {number}.")
                print_tree(part if isinstance(part, Mapping) else {"": part}, indent + "     ")
        elif isinstance(value, (list, tuple)):
            print(f"{indent}{name}: {', '.join(str(part) for part in value) or '–'}")
        else:
            print(f"{indent}{name}: {'–' if value is None or value == '' else value}")


def print_result(result: Mapping[str, Any], *, as_json: bool) -> None:
    """The result of a command, for a person or for a program."""
    if as_json:
        print_json(result)
    else:
        print_tree(result)
