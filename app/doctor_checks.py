"""How is this machine? The data folder, its disk, the ports and the clock, as `haat doctor` looks at them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.ports_in_use import check_port_free
from app.settings import Settings
from backends.probing import Finding
from common.errors import HaatError

_LEAST_FREE_BYTES = 256 << 20
_FEW_FREE_BYTES = 5 << 30


def data_folder(settings: Settings) -> list[Finding]:
    """May haat write there, and is there room?"""
    return [*_written(settings.data_dir), *_room(settings.data_dir)]


def ports(settings: Settings) -> list[Finding]:
    """Are they free, or has a haat that runs them?"""
    return [
        *_port(settings.grpc_host, settings.grpc_port, "gRPC"),
        *_port(settings.http_host, settings.http_port, "HTTP"),
    ]


def own_clock(_: Settings) -> list[Finding]:
    """A clock that is before the day on which this program was installed was never set."""
    installed_s = Path(__file__).stat().st_mtime
    says = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if time.time() < installed_s - 86_400:
        return [Finding("clock", "missing", f"{says} is before this haat was installed", "set the clock")]
    return [Finding("clock", "ok", says)]


def _written(folder: Path) -> Iterator[Finding]:
    there = _that_is(folder)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"haat")
            file.flush()
    except OSError as error:
        remedy = "let the user that runs haat write there, or give another with --data-dir"
        yield Finding("data folder", "missing", f"{folder} cannot be written ({error.strerror})", remedy)
        return
    yield Finding("data folder", "ok", f"{folder}" if there == folder else f"{folder} can be made")


def _room(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_that_is(folder)).free
    says = f"{free / (1 << 30):,.1f} GiB free"
    if free < _LEAST_FREE_BYTES:
        yield Finding("disk", "missing", says, "make room: without it no auction can be recorded, and none is held")
    elif free < _FEW_FREE_BYTES:
        yield Finding("disk", "note", says, "make room soon: the event log grows with the traffic")
    else:
        yield Finding("disk", "ok", says)


def _that_is(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.resolve().parents) if one.exists())


def _port(host: str, port: int, what: str) -> Iterator[Finding]:
    name = f"port {port} ({what})"
    if port == 0:
        yield Finding(name, "ok", "any free one is taken")
        return
    try:
        check_port_free(host, port, what)
    except HaatError as error:
        yield Finding(name, "note", str(error), "nothing is wrong when that is the haat which runs here")
    else:
        yield Finding(name, "ok", "free")
