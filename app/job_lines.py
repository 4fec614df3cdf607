"""Where do jobs run that block? In lines: one thread for the jobs of a line, one after the other, each at its time.

A thread that sleeps until several jobs are due wakes seldom, and nobody else is woken to start or to end a job: on a
busy machine that is most of what a small job costs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from common.errors import HaatError

# What is due within so long is done at once.
_TOGETHER_S: Final = 0.05

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """Something to do again and again, `every_s` seconds after it was done."""

    name: str
    every_s: float
    work: Callable[[], object]


class Trouble:
    """Tells the log once when a job begins to fail, and once when it works again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failing = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Around one attempt: a mistake of ours in one job must not end the others."""
        try:
            yield
        except HaatError as error:
            if not self._failing:
                _log.warning("%s fails and is tried again: %s", self._name, error)
            self._failing = True
        except Exception:
            if not self._failing:
                _log.exception("%s fails and is tried again", self._name)
            self._failing = True
        else:
            if self._failing:
                _log.info("%s works again", self._name)
            self._failing = False


class JobLine:
    """Jobs that block, in a thread of their own. A job that takes long keeps those behind it waiting."""

    def __init__(self, name: str, jobs: Sequence[Job]) -> None:
        self._jobs = [(job, Trouble(job.name)) for job in jobs]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; all jobs are due at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the job that is being done. Blocks until then."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due = [(time.monotonic(), at) for at in range(len(self._jobs))]
        heapify(due)
        while due and not self._ended.wait(max(due[0][0] - time.monotonic(), 0.0)):
            until_s = time.monotonic() + _TOGETHER_S
            while due[0][0] <= until_s and not self._ended.is_set():
                _, at = heappop(due)
                job, trouble = self._jobs[at]
                with trouble.told():
                    job.work()
                # From when it was done: what takes long must not keep the line from the others.
                heappush(due, (time.monotonic() + max(job.every_s, 2 * _TOGETHER_S), at))
