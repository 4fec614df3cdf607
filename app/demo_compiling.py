"""Who waits for the compiler? Nobody: while the demo's posts are made, another process compiles the kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from app.demo_engines import ADDRESSES, as_environment
from app.demo_processes import started
from app.warm_up import kernels_are_compiled


@contextmanager
def compiled_beside(console: Console) -> Iterator[None]:
    """Kernels are compiled when the block has ended; nothing is started where they are already."""
    if kernels_are_compiled():
        yield
        return
    console.print("The first start compiles the auction's kernels, which takes some twenty seconds …")
    with tempfile.TemporaryDirectory(prefix="haat-compiling-") as folder, ThreadPoolExecutor(1) as beside:
        compiling = beside.submit(_compile, Path(folder))
        yield
        compiling.result()


def _compile(folder: Path) -> None:
    """An exchange that serves is warmed up: its kernels are on the disk by then."""
    command = ["app", "serve", "--data-dir", str(folder / "data"), "--grpc-port", "0", "--http-port", "0"]
    # Its engines are embedded, whatever those of the demo are.
    embedded = as_environment(dict.fromkeys(("profile", *ADDRESSES), ""))
    with started("haat serve", command, _ready, folder / "serve.log", embedded):
        pass


def _ready(line: str) -> str | None:
    return line if line.startswith("haat serves") else None
