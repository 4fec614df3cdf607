"""To which state does an LMDB file go back when the machine died under it?

LMDB without a sync at each commit is safe against the death of the process, and not against that of the machine: the
disk may have written a newer root before the pages that it needs. So each sync copies the root pages beside the file
(they are on disk together with all they lead to), with the machine's boot id. When a file is opened in another boot,
its root pages are put back as they were at the last sync. Two marks are written in turn, so one is always whole.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import msgspec

_MAGIC = b"haatmark"
# Magic, how manieth mark, boot id, length of the root pages; a digest of all follows them.
_HEAD = struct.Struct(">8sQ16sI")
_DIGEST_BYTES = 16
_LONGEST = 1 << 18
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Mark(msgspec.Struct, frozen=True):
    """The root pages that were on disk in boot `boot`, and how manieth mark this is."""

    number: int
    boot: bytes
    roots: bytes


def boot_id() -> bytes | None:
    """16 bytes that are new whenever the machine starts; None where the system does not tell (outside Linux)."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))[:16]
    except (OSError, ValueError):
        return None


def newest(folder: Path) -> Mark | None:
    """The last mark that was written whole; None when there is none."""
    marks = [mark for turn in (0, 1) if (mark := _read(_path(folder, turn)))]
    return max(marks, key=lambda mark: mark.number, default=None)


def write(folder: Path, mark: Mark) -> None:
    """Return when the mark is on disk. OSError when it cannot be."""
    data = _HEAD.pack(_MAGIC, mark.number, mark.boot, len(mark.roots)) + mark.roots
    data += _digest(data)
    this, other = _path(folder, mark.number % 2), _path(folder, (mark.number + 1) % 2)
    if this.exists() and other.exists():
        _overwrite(this, data)
        return
    # Both take their room at the beginning, so that a disk which is full later can still be synced.
    _overwrite(this, data)
    _overwrite(other, data)
    _sync_names(folder)


def forget(folder: Path) -> None:
    """Remove the marks of a file that is no more."""
    for turn in (0, 1):
        _path(folder, turn).unlink(missing_ok=True)
    _sync_names(folder)


def _overwrite(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, data, 0)
        os.fdatasync(file)
    finally:
        os.close(file)


def _path(folder: Path, turn: int) -> Path:
    return folder / f"synced-{turn}.mark"


def _read(path: Path) -> Mark | None:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    if len(data) < _HEAD.size:
        return None
    magic, number, boot, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if magic != _MAGIC or data[end : end + _DIGEST_BYTES] != _digest(data[:end]):
        return None
    return Mark(number, boot, data[_HEAD.size : end])


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _sync_names(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
