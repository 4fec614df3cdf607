"""How does a file change so that there is all of it or what was there before? Written beside, then moved into place."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Put `content` in the place of a file; its bytes are on the disk when this returns. OSError when it cannot be.

    Of several processes that write at once the last one's is there. `mode` is what the file has, less the umask.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.begun")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def replace_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put files by their names into a folder, made if need be: none is replaced before all are written. OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fresh-", dir=folder) as fresh:
        for name, content in contents.items():
            (Path(fresh) / name).write_bytes(content)
        for name in contents:
            os.replace(Path(fresh) / name, folder / name)
