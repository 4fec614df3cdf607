"""Answers that sessions were given, in this process: found by hash, the oldest leave when there are too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from exchange.answer import KeptAnswer
from exchange.asked import Asked

MOST_ANSWERS: Final = 100_000


class MemoryAnswers:
    """AnswerCache of one process; runs on one thread."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._kept: OrderedDict[int, tuple[tuple[object, ...], KeptAnswer]] = OrderedDict()

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        """See AnswerCache. Of two questions with one hash the later is remembered."""
        found: list[KeptAnswer | None] = []
        for asked in questions:
            known = self._kept.get(asked.key)
            if known is None or known[0] != asked.parameters or now_ms >= known[1].expires_at_ms:
                found.append(None)
            else:
                found.append(known[1])
        return found

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        """See AnswerCache."""
        for asked, kept in entries:
            self._kept[asked.key] = (asked.parameters, kept)
            self._kept.move_to_end(asked.key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def flush(self) -> None:
        """See AnswerCache: everything can be recalled at once."""

    def close(self) -> None:
        """See AnswerCache."""
        self._kept.clear()
