"""Step 2: has this session asked exactly this before? Then it gets the same answer, and nothing is decided again.

An answer is kept only while it holds: until its time is over, a line item in it changes, or a product in it is sold
out. Two tabs that ask the same at once are one question: the second waits for the first one's decision.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from exchange.answer import Answer
from exchange.inventory import Snapshot
from exchange.ports import LineItemRecord
from exchange.request import PageView

Parameters = tuple[object, ...]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a session asked: all that its answer depends on, and the hash of it, which is taken once."""

    parameters: Parameters
    key: int


class Kept(msgspec.Struct, gc=False):
    """An answer with what it holds for and how long; its line items by id, None for an outside bid."""

    parameters: Parameters
    expires_at_ms: int
    sequence: int
    line_items: dict[str, LineItemRecord | None]
    answer: Answer


class _Running(msgspec.Struct, gc=False):
    """A question that is being decided, and who else waits for it."""

    parameters: Parameters
    waiters: list[asyncio.Future[Answer]]


class SessionAnswers:
    """Answers by session and parameters, in this process; the oldest leave when `limit` is reached.

    `refreshed` brings a kept answer up to date for the page view that asks again, or says None when it holds no more.
    """

    def __init__(
        self,
        *,
        ttl_ms: int = 30_000,
        limit: int = 100_000,
        refreshed: Callable[[Answer, PageView], Answer | None] = lambda answer, _: answer,
    ) -> None:
        self._ttl_ms = ttl_ms
        self._refreshed = refreshed
        self._limit = limit
        # By hash of the parameters, which costs some microseconds and is taken once.
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._running: dict[int, _Running] = {}
        # How many decisions were saved.
        self.recalled = 0

    def recall(self, view: PageView, snapshot: Snapshot, now_ms: int) -> tuple[Answer | None, Asked | None]:
        """The answer that was given before and still holds, under this page view's request id; and the key to `keep`
        the decision by, 0 when it is not to be kept.
        """
        if not view.session_id or self._ttl_ms <= 0 or view.test:
            return None, None
        parameters = _parameters(view)
        key = hash(parameters)
        asked = Asked(parameters, key)
        kept = self._kept.get(key)
        if kept is None or kept.parameters != parameters:
            return None, asked
        if now_ms >= kept.expires_at_ms or (
            (kept.sequence != snapshot.sequence and not _unchanged(kept.line_items, snapshot))
            or not _in_stock(kept.answer, snapshot)
        ):
            del self._kept[key]
            return None, asked
        answer = self._refreshed(kept.answer, view)
        if answer is None:
            del self._kept[key]
            return None, asked
        self.recalled += 1
        return replace(answer, request_id=view.request_id, kept=True), asked

    def join(self, asked: Asked) -> asyncio.Future[Answer] | None:
        """The answer to the same question, which is being decided; None when it is not, and then the caller decides
        it and says so by `keep` or `give_up`.
        """
        running = self._running.get(asked.key)
        if running is None:
            self._running[asked.key] = _Running(asked.parameters, [])
            return None
        if running.parameters != asked.parameters:
            # Another question of the same hash goes its own way; it is told of by nobody.
            return None
        self.recalled += 1
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        running.waiters.append(waiter)
        return waiter

    def give_up(self, questions: Iterable[Asked | None], error: BaseException) -> None:
        """These could not be decided; whoever waits for one of them fails in the same way."""
        for asked in questions:
            for waiter in self._waiters_of(asked):
                waiter.set_exception(error)

    def _waiters_of(self, asked: Asked | None) -> list[asyncio.Future[Answer]]:
        running = self._running.get(asked.key) if asked is not None else None
        if asked is None or running is None or running.parameters != asked.parameters:
            return []
        del self._running[asked.key]
        # Its caller may be gone.
        return [waiter for waiter in running.waiters if not waiter.done()]

    def keep(self, asked: Asked | None, answer: Answer, snapshot: Snapshot, now_ms: int) -> None:
        """Remember an answer that sold something to what `recall` said was asked; an empty one is asked for again.
        Whoever waits for it gets it.
        """
        if asked is None:
            return
        for waiter in self._waiters_of(asked):
            waiter.set_result(answer)
        line_items = {}
        for placement in answer.placements:
            if placement.ad is not None:
                row = snapshot.item_rows.get(placement.ad.line_item_id)
                line_items[placement.ad.line_item_id] = snapshot.items[row] if row is not None else None
        if not line_items:
            return
        expires_at_ms = now_ms + self._ttl_ms
        self._kept[asked.key] = Kept(asked.parameters, expires_at_ms, snapshot.sequence, line_items, answer)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


def _parameters(view: PageView) -> Parameters:
    """All that may change the decision: a changed price, product, consent or placement asks anew."""
    return (
        view.session_id, view.publisher_id, view.visitor_id, view.permissions, view.url, view.product_id,
        view.placements, view.price_rule, view.categories, view.keywords, view.country, view.device_type, view.language,
        view.segments, view.affinities, view.allowed_seats, view.blocked_seats, view.allowed_languages,
        view.allowed_categories, view.test, view.currency, view.currencies, view.page_rules,
    )  # fmt: skip


def _unchanged(line_items: dict[str, LineItemRecord | None], snapshot: Snapshot) -> bool:
    for line_item_id, line_item in line_items.items():
        row = snapshot.item_rows.get(line_item_id)
        if row is None:
            # Outside bids carry no line item of ours; a line item of ours that is gone must not be shown again.
            if line_item is not None:
                return False
        # With its creatives, whose review or content changes without a revision of the line item.
        elif snapshot.items[row] is not line_item and snapshot.items[row] != line_item:
            return False
    return True


def _in_stock(answer: Answer, snapshot: Snapshot) -> bool:
    """Is every product in it still to be had? What the snapshot does not know cannot be out of stock."""
    in_stock, rows = snapshot.book.product_in_stock, snapshot.product_rows
    for placement in answer.placements:
        row = rows.get(placement.ad.facts.product_id) if placement.ad is not None else None
        if row is not None and not in_stock[row]:
            return False
    return True
