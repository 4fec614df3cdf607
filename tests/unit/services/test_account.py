"""Engines that start at the same time find one user that they run as, with one number."""

from __future__ import annotations

import os
import pwd
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from services import folders
from services.engine import NotToBeHad


def test_the_user_is_made_once_by_however_many_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As useradd does it: each call that finds no user makes one of a new number in place of the one before."""
    numbers: list[int] = []
    together = threading.Barrier(4)

    def find(name: str) -> Any:
        if not numbers:
            # As long as useradd takes to begin: the others look meanwhile, if they may.
            time.sleep(0.02)
            raise KeyError(name)
        return SimpleNamespace(pw_uid=numbers[-1])

    def add(command: list[str], **_: object) -> Any:
        assert command[0] == "useradd"
        numbers.append(999 - len(numbers))
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", find)
    monkeypatch.setattr(subprocess, "run", add)

    def start(_: int) -> int:
        together.wait()
        name = folders.account()
        assert name is not None
        return pwd.getpwnam(name).pw_uid

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [999] * 4


def test_who_cannot_make_the_user_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", find)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="useradd: cannot lock /etc/passwd\n")
    )

    with pytest.raises(NotToBeHad, match="cannot lock /etc/passwd"):
        folders.account()
