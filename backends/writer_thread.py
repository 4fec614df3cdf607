"""Who writes while nobody waits? One thread, that takes all that has gathered since its last write."""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

from common.errors import BackendUnavailable

# What waits for the thread; more is dropped.
MOST_WAITING: Final = 4_096
_MOST_AT_ONCE: Final = 512
_FLUSH_S: Final = 5.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class WriterThread(Generic[T]):
    """Hands what is `put` to `write`, in order and in batches.

    `write` raises BackendUnavailable when nothing can be written now. Then the batch is gone; or, with `again_after_s`,
    it is tried again as it is until it is written, and what comes meanwhile waits behind it. So a `write` that may have
    been done in part, or whose answer may be lost, must be one that may be done twice.

    `counts`: `kept`, `dropped` for want of room, `failed`, by `size_of` an entry, and `again`, batches that were tried
    once more.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], None],
        *,
        most_waiting: int = MOST_WAITING,
        again_after_s: float | None = None,
        size_of: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._write = write
        self._again_after_s = again_after_s
        self._size_of = size_of
        self._ending = threading.Event()
        self._waiting: queue.Queue[tuple[T] | threading.Event | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._write_on, name=name, daemon=True)
        self._thread.start()

    def put(self, entry: T) -> None:
        """To be written soon; never waits."""
        try:
            self._waiting.put_nowait((entry,))
        except queue.Full:
            self.counts["dropped"] += self._size_of(entry)

    def flush(self) -> bool:
        """Wait, for some seconds at most, until everything put so far is written or given up; False when it is not."""
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=_FLUSH_S)
        except queue.Full:
            return False
        return done.wait(_FLUSH_S)

    def close(self) -> bool:
        """What waits is written, or tried once; nothing is afterwards. False while the thread hangs in a write."""
        self._ending.set()
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_FLUSH_S)
        self._thread.join(_FLUSH_S)
        return not self._thread.is_alive()

    def _write_on(self) -> None:
        ended = False
        while not ended:
            said = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(said) < _MOST_AT_ONCE:
                    said.append(self._waiting.get_nowait())
            entries = [one[0] for one in said if isinstance(one, tuple)]
            if entries:
                self.counts["kept" if self._written(entries) else "failed"] += sum(map(self._size_of, entries))
            for one in said:
                if isinstance(one, threading.Event):
                    one.set()
            ended = None in said

    def _written(self, entries: Sequence[T]) -> bool:
        while True:
            try:
                self._write(entries)
            except BackendUnavailable:
                if self._again_after_s is None or self._ending.wait(self._again_after_s):
                    return False
                self.counts["again"] += 1
            except Exception:
                # A mistake of ours costs the batch, and not all that come after it.
                _log.exception("%s could not be written", self._thread.name)
                return False
            else:
                return True
