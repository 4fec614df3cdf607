"""Whether a start has to wait for the compiler is asked of the sources as they are, not of what lies about."""

from __future__ import annotations

import pytest

import exchange.auction  # noqa: F401
from app.warm_up import kernels_are_compiled
from ranking.kernel_cache import KERNELS


def test_one_kernel_that_is_not_compiled_from_todays_sources_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [kernel for kernel in KERNELS if kernel.py_func.__module__.startswith("exchange.")]
    for kernel in mine:
        monkeypatch.setattr(kernel._cache._cache_file, "_load_index", lambda: {"a signature": "a file"})
    assert kernels_are_compiled()

    # As numba answers when the stamp of the index is another one.
    monkeypatch.setattr(mine[0]._cache._cache_file, "_load_index", dict)

    assert not kernels_are_compiled()
