"""Where do the engines live? Under var/services, or SERVICES_DIR, which worktrees may share."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import threading
from pathlib import Path

from services.engine import NotToBeHad

_ACCOUNT = "haat-services"
_making = threading.Lock()


def services_dir() -> Path:
    """The folder of programs, data, logs, pid files and addresses."""
    named = os.environ.get("SERVICES_DIR")
    return Path(named).resolve() if named else Path(__file__).resolve().parent.parent / "var" / "services"


def account() -> str | None:
    """The user that engines run as: ours, or, since most refuse root, one of their own that is made when missing."""
    if os.geteuid() != 0:
        return None
    # useradd looks whether the name is there before it takes its lock: two at once both make the user, and the second
    # gives it another number, which nobody knows who asked for the first.
    with _making:
        try:
            pwd.getpwnam(_ACCOUNT)
        except KeyError:
            made = subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _ACCOUNT],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise NotToBeHad(f"user {_ACCOUNT} cannot be made: {made.stderr.strip()}") from None
    return _ACCOUNT


def reachable(folder: Path, user: str | None) -> Path:
    """The folder itself, or one in /var/tmp in its stead where a closed parent keeps `user` out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is None or subprocess.run(["test", "-x", str(folder)], user=user, check=False).returncode == 0:
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    instead = Path("/var/tmp") / f"haat-services-{name}"
    instead.mkdir(exist_ok=True)
    if instead.stat().st_uid != os.geteuid():
        raise NotToBeHad(
            f"{folder} is closed to {user}, and {instead} is another's: set SERVICES_DIR to an open folder"
        )
    return instead


def give_to(folder: Path, user: str | None) -> None:
    """Make the folder and let it, with all that is in it, be the user's."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is None:
        return
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    for found in folder.rglob("*"):
        os.chown(found, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
