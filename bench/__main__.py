"""`python -m bench`: how many page views does a core take, beside what grpcio costs that does nothing at all?"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.report import remarks_on, results, table
from bench.run import run
from bench.settings import QUICK, BenchSettings
from common.errors import HaatError

RESULTS = Path(__file__).parent / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every row was answered without failures, 1 when not, 2 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, under 30 s; written only with --output")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="of each round of each row")
    parser.add_argument("--line-items", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None, help=f"default: bench/{RESULTS.name}")
    given = parser.parse_args(arguments)
    settings = QUICK if given.quick else BenchSettings()
    changed = {"rounds": given.rounds, "seconds": given.seconds, "line_items": given.line_items}
    settings = replace(settings, **{name: value for name, value in changed.items() if value > 0})
    output = given.output or (None if given.quick else RESULTS)
    return measured(settings, output)


def measured(settings: BenchSettings, output: Path | None) -> int:
    """Measure with these settings; print the table and write the results to `output`."""
    screen = Console(stderr=True)
    try:
        rows, conditions = asyncio.run(run(settings, lambda line: screen.print(f"  {line}", highlight=False)))
    except (HaatError, OSError) as trouble:
        print(f"bench: {trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: stopped, nothing was written", file=sys.stderr)
        return 130
    remarks = remarks_on(rows)
    if not conditions["pinned"]:
        remarks.append("not pinned to cores: server and generator shared them")
    # Into a file or a pipe the table is as wide as it needs to be.
    Console(width=None if sys.stdout.isatty() else 150).print(table(rows, remarks))
    if output is not None:
        output.write_text(json.dumps(results(rows, settings, remarks, conditions), indent=2) + "\n", encoding="utf-8")
    return 1 if remarks_on(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
