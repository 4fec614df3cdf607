"""Is a file replaced whole, and by nothing that is seen before it is there?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.whole_files import replace_file, replace_files


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    replace_file(tmp_path / "state.json", b"one")
    replace_file(tmp_path / "state.json", b"two")

    assert (tmp_path / "state.json").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_secret_is_its_owners_alone_also_after_it_was_anybodys(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_bytes(b"old")
    (tmp_path / "a.key").chmod(0o644)
    replace_file(tmp_path / "a.key", b"secret", mode=0o600)

    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "state.json", b"whole")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "state.json", b"half")

    assert (tmp_path / "state.json").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_of_several_files_none_is_replaced_before_all_are_written(tmp_path: Path) -> None:
    replace_files(tmp_path / "out", {"a": b"1", "b": b"2"})
    with pytest.raises(OSError, match="missing"):
        replace_files(tmp_path / "out", {"a": b"3", "missing/b": b"4"})

    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == {"a": b"1", "b": b"2"}
