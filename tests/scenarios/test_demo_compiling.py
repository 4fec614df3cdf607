"""The very first demo of a clone compiles beside its posts: the exchange that does so starts, serves and ends."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from app import demo_compiling


@pytest.mark.parametrize("compiled", [True, False])
def test_an_exchange_is_started_only_where_something_is_to_be_compiled(
    monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    monkeypatch.setattr(demo_compiling, "kernels_are_compiled", lambda: compiled)
    said = io.StringIO()
    reached = False

    with demo_compiling.compiled_beside(Console(file=said)):
        reached = True

    assert reached
    assert ("compiles" in said.getvalue()) is not compiled
