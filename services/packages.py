"""How are programs had? From Debian through apt-get, from Maven Central through mvn, one after another."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from services.engine import NotToBeHad

# apt-get has one lock for the machine, and two mvn write one repository: engines install one after another.
_ONE_AT_A_TIME = threading.RLock()
_PATIENCE_S = 900


def from_debian(package: str, program: str) -> None:
    """Have `program`, a name or a path, by installing Debian's `package` where it is not there."""
    with _ONE_AT_A_TIME:
        if shutil.which(program):
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise NotToBeHad(
                f"{program} is not installed: install the package {package}, or run this as root on Debian"
            )
        _run(["apt-get", "update", "--quiet"], f"the list of Debian's packages for {package}")
        _run(["apt-get", "install", "--yes", "--no-install-recommends", package], f"Debian's package {package}")


def from_maven(goal: list[str], what: str, *, cwd: Path) -> None:
    """Run one goal of Maven, which is installed first where it is missing; checksums must be right."""
    with _ONE_AT_A_TIME:
        from_debian("maven", "mvn")
        _run(["mvn", "--quiet", "--batch-mode", "--strict-checksums", *goal], what, cwd=cwd)


def java_home() -> Path:
    """The folder of the Java that `java` is; Debian's 17 is installed where there is none."""
    from_debian("openjdk-17-jre-headless", "java")
    found = shutil.which("java")
    assert found is not None
    return Path(found).resolve().parent.parent


def _run(command: list[str], what: str, *, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{what} did not arrive within {_PATIENCE_S} s ({' '.join(command[:2])})") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotToBeHad(f"{what} cannot be had: {said[0][:300] if said else f'{command[0]} failed without a word'}")
