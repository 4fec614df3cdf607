"""Whether a start has to wait for the compiler is asked of the sources as they are, not of what lies about."""

from __future__ import annotations

from pathlib import Path

import pytest

import exchange.auction  # noqa: F401
from app.settings import load
from app.warm_up import kernels_are_compiled, warm_up
from app.wiring import wire
from ranking.kernel_cache import KERNELS


def test_one_kernel_that_is_not_compiled_from_todays_sources_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [kernel for kernel in KERNELS if kernel.py_func.__module__.startswith("exchange.")]
    for kernel in mine:
        monkeypatch.setattr(kernel._cache._cache_file, "_load_index", lambda: {"a signature": "a file"})
    assert kernels_are_compiled()

    # As numba answers when the stamp of the index is another one.
    monkeypatch.setattr(mine[0]._cache._cache_file, "_load_index", dict)

    assert not kernels_are_compiled()


@pytest.mark.slow
async def test_after_a_warm_up_nothing_is_left_to_compile(tmp_path: Path) -> None:
    haat = wire(load({"data_dir": str(tmp_path)}, environment={}))
    try:
        await warm_up(haat)
    finally:
        haat.close()

    assert kernels_are_compiled()
