"""Answers that sessions were given, in this process: by question, the oldest leave when there are too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from exchange.asked import Asked
from exchange.kept_answer import KeptAnswer

MOST_ANSWERS: Final = 100_000


class MemoryAnswers:
    """AnswerCache of one process; runs on one thread."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._kept: OrderedDict[Asked, KeptAnswer] = OrderedDict()

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
            self._kept.move_to_end(asked)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def flush(self) -> None:
        """See AnswerCache: everything can be recalled at once."""

    def close(self) -> None:
        """See AnswerCache."""
        self._kept.clear()
