"""Is it worth asking? While an engine does not answer nobody asks it but one thread, which looks when it is back.

A call that fails opens the breaker; from then on `closed` is False and a call costs one look at it. The looks come
further and further apart, up to some seconds, with a random part so that many nodes do not return in one moment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Final

from common.errors import BackendUnavailable

FIRST_PAUSE_MS: Final = 100
LONGEST_PAUSE_MS: Final = 5_000
# On a busy machine it opens and closes many times a minute, which is told so often; the counts have each.
TOLD_EVERY_S: Final = 30.0

_log = logging.getLogger(__name__)


def pause_ms(failures: int, chance: float) -> int:
    """How long until the next look, after so many that failed; `chance` (0 to 1) picks within the upper half."""
    longest = min(FIRST_PAUSE_MS << min(failures, 16), LONGEST_PAUSE_MS)
    return longest // 2 + int(longest / 2 * chance)


class Breaker:
    """`look` asks the engine as the calls would and raises BackendUnavailable when it does not answer in their time.

    `opened` counts how often it opened. `look_now` is what the thread does; tests may do it themselves, with
    `watch=False`.
    """

    def __init__(self, what: str, look: Callable[[], None], chance: Random, *, watch: bool = True) -> None:
        self.closed = True
        self.opened = 0
        self._what = what
        self._look = look
        self._chance = chance
        self._watch = watch
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._watching = False
        self._told_at_s = -TOLD_EVERY_S

    def failed(self, why: BaseException) -> None:
        """A call failed: nobody asks until a look succeeds."""
        with self._changing:
            if not self.closed:
                return
            self.closed = False
            self.opened += 1
            fresh = monotonic() - self._told_at_s >= TOLD_EVERY_S
            self._told_at_s = monotonic() if fresh else self._told_at_s
            level = logging.WARNING if fresh else logging.DEBUG
            _log.log(level, "%s does not answer, and is not asked until it does: %s", self._what, why)
            if self._watch and not self._watching and not self._ended.is_set():
                self._watching = True
                threading.Thread(target=self._watch_on, name=f"looks for {self._what}", daemon=True).start()

    def look_now(self) -> bool:
        """Ask once; True when it answered, and then everybody asks again."""
        try:
            self._look()
        except BackendUnavailable:
            return False
        with self._changing:
            if not self.closed:
                _log.debug("%s answers again", self._what)
            self.closed = True
        return True

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _watch_on(self) -> None:
        failures = 0
        while not self._ended.wait(pause_ms(failures, self._chance.random()) / 1000):
            if self.look_now():
                with self._changing:
                    # Whoever opened it again meanwhile saw a thread at work, so it goes on.
                    if self.closed:
                        self._watching = False
                        return
                failures = 0
            else:
                failures += 1
        with self._changing:
            self._watching = False
