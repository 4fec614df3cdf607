"""How do the files of a data folder come into another one? Keys, media and rules; each whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from common.errors import BackendUnavailable, FieldError, InvalidInput
from streams.moving.checksums import Checksum, Compared

# What has movers of its own, what is made anew from them, and what is of one run alone.
LEFT_OUT: Final = frozenset({"log", "profiles", "answers", "haat.sqlite", "search.sqlite", "work", "migration.json"})
# How far the log is shipped, and as what: under another name all of it would be shipped, and counted, again.
_SHIPPED: Final = Path("log") / "shipped.json"
_OF_A_RUN: Final = (".log", "-wal", "-shm", ".begun")
_READ_AT_ONCE: Final = 1 << 20
_WHAT: Final = "files"

# (what, files so far, files in all)
Progress = Callable[[str, int, int], None]


def movable(folder: Path) -> list[Path]:
    """The files of a data folder that move as they are, relative to it, in order."""
    beside_the_log = [_SHIPPED] if (folder / _SHIPPED).is_file() else []
    return sorted([*_walk(folder, folder), *beside_the_log])


def move_files(source: Path, target: Path, progress: Progress = lambda what, done, of: None) -> Compared:
    """Copy what the target does not have; then both sides. InvalidInput when it has other contents under a name."""
    files = movable(source)
    for done, name in enumerate(files, 1):
        there = target / name
        if there.exists():
            if _digest(source / name) != _digest(there):
                remedy = "give an empty data folder"
                raise InvalidInput([FieldError("--to-data-dir", f"holds another {name}", remedy)])
        else:
            _copy(source / name, there)
        progress(_WHAT, done, len(files))
    sides = []
    for folder in (source, target):
        checksum = Checksum()
        checksum.add(str(name).encode() + b"\0" + _digest(folder / name) for name in files)
        sides.append(checksum.sum())
    return Compared(_WHAT, sides[0], sides[1])


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in LEFT_OUT or path.name.endswith(_OF_A_RUN):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root)
        elif path.is_file():
            yield path.relative_to(root)


def _copy(source: Path, target: Path) -> None:
    begun = target.with_name(target.name + ".begun")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # With its mode: keys are readable by their owner alone.
        shutil.copy2(source, begun)
        with begun.open("rb+") as file:
            os.fsync(file.fileno())
        begun.replace(target)
    except OSError as error:
        said = error.strerror or str(error)
        raise BackendUnavailable(f"{target} cannot be written ({said}): look after that, then migrate again") from error


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=32)
    with path.open("rb") as file:
        while part := file.read(_READ_AT_ONCE):
            digest.update(part)
    return digest.digest()
