"""What did the benchmark find? A table of ratios to the raw echo, and everything as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.measure import Round, Spread
from bench.settings import BenchSettings

ECHO = "echo, unary"
NATIVE_ECHO = "echo, unary, native transport"
_PACKAGES = ("grpcio", "haat", "lightgbm", "lmdb", "numba", "numpy", "protobuf", "uvloop")
_SPREADS = ("per_core_s", "per_s", "p50_ms", "p99_ms")


def table(rows: Mapping[str, Sequence[Round]], remarks: Sequence[str]) -> Table:
    """One line a row: medians, with least and most in brackets."""
    shown = Table(title="Page views, by the CPU of the server", caption="; ".join(remarks))
    for heading in (
        "",
        "per core-second",
        "ratio to the echo",
        "µs of CPU each",
        "per second",
        "p50 ms",
        "p99 ms",
        "fill",
    ):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, rounds in rows.items():
        per_core_s, per_s = _spread(rounds, "per_core_s"), _spread(rounds, "per_s")
        ratio = ratio_to_echo(rows, name)
        shown.add_row(
            name,
            f"{per_core_s.median:,.0f} [{per_core_s.least:,.0f}–{per_core_s.most:,.0f}]",
            f"{ratio.median:.2f} [{ratio.least:.2f}–{ratio.most:.2f}]" if ratio is not None else "–",
            f"{1e6 / per_core_s.median:,.1f}" if per_core_s.median else "–",
            f"{per_s.median:,.0f} [{per_s.least:,.0f}–{per_s.most:,.0f}]",
            f"{_spread(rounds, 'p50_ms').median:.2f}",
            f"{_spread(rounds, 'p99_ms').median:.2f}",
            f"{_spread(rounds, 'fill').median:.0%}" if name not in (ECHO, NATIVE_ECHO) else "–",
        )
    return shown


def ratio_to_echo(rows: Mapping[str, Sequence[Round]], name: str) -> Spread | None:
    """Page views a core-second over the echo's of the same round; None when that was not measured."""
    echoes = rows.get(ECHO, ())
    ratios = [
        one.per_core_s / echo.per_core_s
        for one, echo in zip(rows[name], echoes, strict=False)
        if echo.per_core_s and one.per_core_s
    ]
    return Spread.of(ratios) if ratios else None


def results(
    rows: Mapping[str, Sequence[Round]], settings: BenchSettings, remarks: Sequence[str], conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that somebody needs who compares with another machine."""
    said: dict[str, Any] = {}
    for name, rounds in rows.items():
        ratio = ratio_to_echo(rows, name)
        said[name] = {
            **{field: asdict(_spread(rounds, field)) for field in _SPREADS},
            "ratio_to_echo": asdict(ratio) if ratio is not None else None,
            "rounds": [one.as_json() for one in rounds],
        }
    chosen = asdict(settings)
    del chosen["server_command"]
    return {
        "rows": said,
        "remarks": list(remarks),
        "settings": chosen,
        "conditions": dict(conditions),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def remarks_on(rows: Mapping[str, Sequence[Round]]) -> list[str]:
    """What spoils a figure: calls that failed, or a row without any answer."""
    said = []
    for name, rounds in rows.items():
        failed = sum(one.failed for one in rounds)
        if failed:
            because = next((one.first_error for one in rounds if one.first_error), "")
            said.append(f"{name}: {failed:,} page views failed ({because})")
        if not all(one.page_views for one in rounds):
            said.append(f"{name}: a round without answers")
    return said


def _spread(rounds: Sequence[Round], field: str) -> Spread:
    return Spread.of([getattr(one, field) for one in rounds])


def _machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    model = ""
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
