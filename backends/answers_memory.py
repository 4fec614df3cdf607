"""Answers that sessions were given, in this process: by question, the oldest leave when there are too many."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from exchange.asked import Asked
from exchange.kept_answer import KeptAnswer

MOST_ANSWERS: Final = 100_000


class MemoryAnswers:
    """AnswerCache of one process; runs on one thread."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._kept: dict[Asked, KeptAnswer] = {}
        # The same, oldest first: two lines that move together make no object for an entry.
        self._questions: deque[Asked] = deque()
        self._answers: deque[KeptAnswer] = deque()

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        """See AnswerCache."""
        return [
            kept if (kept := self._kept.get(asked)) is not None and now_ms < kept.expires_at_ms else None
            for asked in questions
        ]

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        """See AnswerCache."""
        for asked, kept in entries:
            self._kept[asked] = kept
            self._questions.append(asked)
            self._answers.append(kept)
        while len(self._questions) > self._most:
            asked, kept = self._questions.popleft(), self._answers.popleft()
            # A question that was answered anew stands further behind as well.
            if self._kept.get(asked) is kept:
                del self._kept[asked]

    def flush(self) -> None:
        """See AnswerCache: everything can be recalled at once."""

    def close(self) -> None:
        """See AnswerCache."""
        self._kept.clear()
        self._questions.clear()
        self._answers.clear()
