"""Step 2: has this session asked exactly this before? Then it gets the same answer, and nothing is decided again.

An answer is kept only while it holds: until its time is over, a line item in it changes, or a product in it is sold
out. Two tabs that ask the same at once are one question: the second waits for the first one's decision. Where several
processes serve a machine they share what they keep; a question that two of them decide in the same moment is decided
twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from msgspec.structs import replace

from exchange.answer import Answer
from exchange.asked import Asked, question_of
from exchange.creatives.ad_facts import AdFacts
from exchange.inventory import Snapshot
from exchange.kept_answer import KeptAnswer, kept_answer, slim
from exchange.ports import AnswerCache, LineItemRecord
from exchange.request import PageView

# Who saved a decision, as `saved` counts them.
PROCESS, MACHINE, WAITING = "process", "machine", "waiting"


class SessionAnswers:
    """Answers by session and parameters: in this process (`near`), and with all others of the machine (`shared`).

    `refreshed` makes the answer of what was kept for the page view that asks again, or says None when it holds no more;
    `adopted` is told of an answer that another process gave.
    """

    def __init__(
        self,
        near: AnswerCache,
        *,
        refreshed: Callable[[KeptAnswer, PageView], Answer | None],
        ttl_ms: int = 30_000,
        shared: AnswerCache | None = None,
        adopted: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self._near = near
        self._shared = shared
        self._ttl_ms = ttl_ms
        self._refreshed = refreshed
        self._adopted = adopted
        # What is being decided, and who else waits for it.
        self._running: dict[Asked, list[asyncio.Future[Answer]]] = {}
        # How many decisions were saved, by whom.
        self.saved: Counter[str] = Counter()

    def recall(
        self, views: Sequence[PageView], snapshot: Snapshot, now_ms: int
    ) -> list[tuple[Answer | None, Asked | None]]:
        """For each page view the answer that was given before and still holds, under its own request id; and the
        question to `keep` the decision by, None when it is not to be kept.
        """
        found: list[tuple[Answer | None, Asked | None]] = [(None, None)] * len(views)
        rows = [row for row, view in enumerate(views) if view.session_id and self._ttl_ms > 0 and not view.test]
        if not rows:
            return found
        questions = [question_of(views[row]) for row in rows]
        unknown: list[tuple[int, Asked]] = []
        for row, asked, kept in zip(rows, questions, self._near.recall(questions, now_ms), strict=True):
            answer = self._still_holds(kept, views[row], snapshot) if kept is not None else None
            found[row] = (answer, asked)
            if answer is not None:
                self.saved[PROCESS] += 1
            elif asked not in self._running:
                unknown.append((row, asked))
        if unknown and self._shared is not None:
            shared = self._shared.recall([asked for _, asked in unknown], now_ms)
            for (row, asked), kept in zip(unknown, shared, strict=True):
                if kept is not None:
                    found[row] = (self._adopt(asked, kept, views[row], snapshot, now_ms), asked)
        return found

    def _still_holds(self, kept: KeptAnswer, view: PageView, snapshot: Snapshot) -> Answer | None:
        if kept.sequence != snapshot.sequence and not _unchanged(kept, snapshot):
            return None
        return self._refreshed(kept, view) if _in_stock(kept, snapshot) else None

    def _adopt(self, asked: Asked, kept: KeptAnswer, view: PageView, snapshot: Snapshot, now_ms: int) -> Answer | None:
        """The answer of another process, from now on one of this one's; None where it does not hold here."""
        # Another process counts the changes of its inventory by itself, so the line items are looked at.
        if not _unchanged(kept, snapshot):
            return None
        kept = replace(kept, facts=_facts_of(kept, snapshot), sequence=snapshot.sequence)
        answer = self._still_holds(kept, view, snapshot)
        if answer is None:
            return None
        self._adopted(answer)
        self._near.keep([(asked, kept)], now_ms)
        self.saved[MACHINE] += 1
        return answer

    def join(self, asked: Asked) -> asyncio.Future[Answer] | None:
        """The answer to the same question, which is being decided; None when it is not, and then the caller decides
        it and says so by `keep` or `give_up`.
        """
        running = self._running.get(asked)
        if running is None:
            self._running[asked] = []
            return None
        self.saved[WAITING] += 1
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        running.append(waiter)
        return waiter

    def give_up(self, questions: Iterable[Asked | None], error: BaseException) -> None:
        """These could not be decided; whoever waits for one of them fails in the same way."""
        for asked in questions:
            for waiter in self._waiters_of(asked):
                waiter.set_exception(error)

    def _waiters_of(self, asked: Asked | None) -> list[asyncio.Future[Answer]]:
        if asked is None:
            return []
        # Its caller may be gone.
        return [waiter for waiter in self._running.pop(asked, ()) if not waiter.done()]

    def keep(
        self, questions: Sequence[Asked | None], answers: Sequence[Answer], snapshot: Snapshot, now_ms: int
    ) -> None:
        """Remember answers that sold something to what `recall` said was asked; an empty one is asked for again.
        Whoever waits for one gets it.
        """
        entries: list[tuple[Asked, KeptAnswer]] = []
        for_others: list[tuple[Asked, KeptAnswer]] = []
        expires_at_ms = now_ms + self._ttl_ms
        for asked, answer in zip(questions, answers, strict=True):
            if asked is None:
                continue
            for waiter in self._waiters_of(asked):
                waiter.set_result(answer)
            line_items: list[LineItemRecord | None] = []
            sold = False
            for placement in answer.placements:
                sold = sold or placement.ad is not None
                row = snapshot.item_rows.get(placement.ad.line_item_id) if placement.ad is not None else None
                line_items.append(snapshot.items[row] if row is not None else None)
            if sold:
                kept = kept_answer(answer, tuple(line_items), expires_at_ms, snapshot.sequence)
                entries.append((asked, kept))
                if self._shared is not None:
                    for_others.append((asked, slim(kept, answer)))
        if not entries:
            return
        self._near.keep(entries, now_ms)
        if self._shared is not None:
            self._shared.keep(for_others, now_ms)


def _unchanged(kept: KeptAnswer, snapshot: Snapshot) -> bool:
    for facts, line_item in zip(kept.facts, kept.line_items, strict=True):
        if facts is None:
            continue
        row = snapshot.item_rows.get(facts.line_item_id)
        if row is None:
            # Outside bids carry no line item of ours; a line item of ours that is gone must not be shown again.
            if line_item is not None:
                return False
        # With its creatives, whose review or content changes without a revision of the line item.
        elif snapshot.items[row] is not line_item and snapshot.items[row] != line_item:
            return False
    return True


def _in_stock(kept: KeptAnswer, snapshot: Snapshot) -> bool:
    """Is every product in it still to be had? What the snapshot does not know cannot be out of stock."""
    in_stock, rows = snapshot.book.product_in_stock, snapshot.product_rows
    for facts in kept.facts:
        row = rows.get(facts.product_id) if facts is not None else None
        if row is not None and not in_stock[row]:
            return False
    return True


def _facts_of(kept: KeptAnswer, snapshot: Snapshot) -> tuple[AdFacts | None, ...]:
    """This process's own facts of the ads of line items, which are those that the answer was given with."""

    def own(told: AdFacts | None) -> AdFacts | None:
        row = snapshot.item_rows.get(told.line_item_id) if told is not None else None
        if told is None or row is None:
            return told
        first = int(np.searchsorted(snapshot.book.ad_item, row))
        ads = snapshot.ads[first : first + len(snapshot.items[row].creatives)]
        return next(facts for facts in ads if facts.creative_id == told.creative_id)

    return tuple(own(facts) for facts in kept.facts)
