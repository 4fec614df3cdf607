"""Step 2: has this session asked exactly this before? Then it gets the same answer, and nothing is decided again.

An answer is kept only while it holds: until its time is over, or until a line item in it changes.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
from msgspec.structs import replace

from exchange.answer import Answer
from exchange.inventory import Snapshot
from exchange.request import PageView

Parameters = tuple[object, ...]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a session asked: all that its answer depends on, and the hash of it, which is taken once."""

    parameters: Parameters
    key: int


class Kept(msgspec.Struct, gc=False):
    """An answer with what it holds for and how long; revisions of line items by id, -1 for an outside bid."""

    parameters: Parameters
    expires_at_ms: int
    sequence: int
    revisions: dict[str, int]
    answer: Answer


class SessionAnswers:
    """Answers by session and parameters, in this process; the oldest leave when `limit` is reached."""

    def __init__(self, *, ttl_ms: int = 30_000, limit: int = 100_000) -> None:
        self._ttl_ms = ttl_ms
        self._limit = limit
        # By hash of the parameters, which costs some microseconds and is taken once.
        self._kept: OrderedDict[int, Kept] = OrderedDict()
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
            kept.sequence != snapshot.sequence and not _unchanged(kept.revisions, snapshot)
        ):
            del self._kept[key]
            return None, asked
        self.recalled += 1
        return replace(kept.answer, request_id=view.request_id, kept=True), asked

    def keep(self, asked: Asked | None, answer: Answer, snapshot: Snapshot, now_ms: int) -> None:
        """Remember an answer that sold something to what `recall` said was asked; an empty one is asked for again."""
        if asked is None:
            return
        revisions = {}
        for placement in answer.placements:
            if placement.ad is not None:
                row = snapshot.item_rows.get(placement.ad.line_item_id)
                revisions[placement.ad.line_item_id] = snapshot.items[row].revision if row is not None else -1
        if not revisions:
            return
        expires_at_ms = now_ms + self._ttl_ms
        self._kept[asked.key] = Kept(asked.parameters, expires_at_ms, snapshot.sequence, revisions, answer)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


def _parameters(view: PageView) -> Parameters:
    """All that may change the decision: a changed price, product, consent or placement asks anew."""
    return (
        view.session_id, view.visitor_id, view.permissions, view.url, view.product_id, view.placements,
        view.price_rule, view.categories, view.keywords, view.country, view.device_type, view.language,
        view.segments, view.affinities,
    )  # fmt: skip


def _unchanged(revisions: dict[str, int], snapshot: Snapshot) -> bool:
    for line_item_id, revision in revisions.items():
        row = snapshot.item_rows.get(line_item_id)
        if row is None:
            # Outside bids carry no line item of ours; a line item of ours that is gone must not be shown again.
            if revision != -1:
                return False
        elif snapshot.items[row].revision != revision:
            return False
    return True
