"""What runs in the process that opens a picture? `python -m feed.media.image_worker`, one picture, then it ends.

Reads a Job as JSON from its input and writes an Outcome to its output. Memory, time and files are bounded by the
operating system, so a decoder that goes astray takes nothing else along.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec

from feed.media.images import ImageLimits, render
from feed.media.record import Rendition
from feed.media.refused import MediaRefused


class Job(msgspec.Struct, frozen=True):
    """Which picture to open, and within which bounds."""

    source: str
    folder: str
    declared: str
    limits: ImageLimits
    max_seconds: int
    max_memory_bytes: int


class Made(msgspec.Struct, frozen=True):
    """What came of it: renditions in the folder, or why there are none."""

    renditions: tuple[Rendition, ...] = ()
    found: str = ""
    remedy: str = ""


def main() -> None:
    """Do one job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(1 << 16), type=Job)
    _bound(job)
    sys.stdout.buffer.write(msgspec.json.encode(_made(job)))


def _made(job: Job) -> Made:
    try:
        return Made(tuple(render(Path(job.source), Path(job.folder), job.declared, job.limits)))
    except MediaRefused as refused:
        return Made(found=refused.found, remedy=refused.remedy)
    except MemoryError:
        return Made(found="a picture that takes too much memory", remedy="upload a smaller one")
    except Exception as error:
        # Decoders raise whatever they like on broken bytes.
        return Made(found=f"broken ({type(error).__name__})", remedy="save the picture again, and upload that")


def _bound(job: Job) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (job.max_seconds, job.max_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (job.max_memory_bytes, job.max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
