"""Which processes are ours? A pid file holds number and start time, so one that was given away again is not taken."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_GRACE_S = 30.0
# They outlive us; those that end before us must be waited for, or they stay as zombies.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started here, the leader of its own group, and the port it was given."""

    pid: int
    started: str
    port: int

    def runs(self) -> bool:
        """Whether that very process still runs."""
        return _start_time(self.pid) == self.started


def start(
    command: list[str], more: dict[str, str], *, cwd: Path, log: Path, user: str | None, pid_file: Path, port: int
) -> Started:
    """Start a process in a session of its own, its output in `log`; OSError when it cannot be."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | more,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            umask=0o077 if user else -1,
        )
    _CHILDREN[process.pid] = process
    found = Started(process.pid, _start_time(process.pid), port)
    pid_file.write_text(json.dumps({"pid": found.pid, "started": found.started, "port": port}) + "\n", encoding="utf-8")
    return found


def read(pid_file: Path) -> Started | None:
    """What the file says when its process still runs, else None."""
    try:
        found = json.loads(pid_file.read_text(encoding="utf-8"))
        started = Started(int(found["pid"]), str(found["started"]), int(found["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return started if started.runs() else None


def end(started: Started, ending: signal.Signals) -> None:
    """Ask the process and its group to end, and after half a minute make them."""
    with contextlib.suppress(ProcessLookupError):
        # The leader alone is asked: PostgreSQL's and Elasticsearch's end their children in order.
        os.kill(started.pid, ending)
    wait_gone(started)
    # What the leader left behind is still in its group, whose number nobody else can have until then.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)


def wait_gone(started: Started) -> None:
    """Until the process is gone, half a minute at most."""
    child = _CHILDREN.get(started.pid)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
            del _CHILDREN[started.pid]
        return
    deadline = time.monotonic() + _GRACE_S
    while started.runs() and time.monotonic() < deadline:
        time.sleep(0.05)


def _start_time(pid: int) -> str:
    """When a process began, as boot and clock ticks since; empty when it is gone or a zombie."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
