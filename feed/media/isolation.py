"""How is a picture opened without trusting it? In a process of its own, within bounds of time and memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from common.errors import BackendUnavailable
from feed.media.image_worker import Job, Made
from feed.media.images import ImageLimits
from feed.media.record import Rendition
from feed.media.refused import MediaRefused

_ROOT = Path(__file__).resolve().parents[2]
_SMALLER = "upload a smaller or simpler picture"
# Starting the process, and waiting for a busy machine, comes on top of the time that a picture may take.
_GRACE_S = 10
_QUEUE_S = 30


class IsolatedImages:
    """Renders pictures one process each, at most `at_once` of them; may be used from several threads."""

    def __init__(
        self,
        limits: ImageLimits,
        *,
        max_seconds: int = 10,
        max_memory_bytes: int = 1_500 << 20,
        at_once: int = 2,
    ) -> None:
        self._limits = limits
        self._max_seconds = max_seconds
        self._max_memory_bytes = max_memory_bytes
        self._free = threading.BoundedSemaphore(at_once)

    def render(self, source: Path, folder: Path, declared: str) -> list[Rendition]:
        """Write the picture's renditions into `folder`; MediaRefused as feed.media.images.render, and when it takes
        too long or too much. BackendUnavailable when too many wait.
        """
        job = Job(str(source), str(folder), declared, self._limits, self._max_seconds, self._max_memory_bytes)
        if not self._free.acquire(timeout=_QUEUE_S):
            raise BackendUnavailable("too many pictures are being looked at: finish the upload again in a moment")
        try:
            made = self._run(job)
        finally:
            self._free.release()
        if made.found:
            raise MediaRefused(made.found, made.remedy)
        return list(made.renditions)

    def _run(self, job: Job) -> Made:
        try:
            done = subprocess.run(
                # -P: nothing is imported from the folder that haat happens to run in.
                [sys.executable, "-P", "-m", "feed.media.image_worker"],
                input=msgspec.json.encode(job),
                capture_output=True,
                timeout=self._max_seconds + _GRACE_S,
                # Nothing of this process's surroundings goes along.
                env={"PYTHONPATH": str(_ROOT)},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MediaRefused("a picture that takes too long to open", _SMALLER) from None
        try:
            return msgspec.json.decode(done.stdout, type=Made)
        except msgspec.DecodeError:
            # It was ended by the operating system: beyond its bounds, or broken by what it read.
            raise MediaRefused("a picture that cannot be opened within bounds", _SMALLER) from None
