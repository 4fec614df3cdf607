"""How are many documents written? In bulks of bounded size, each item with an outcome of its own.

What Elasticsearch is too busy for is sent again, later and later; what it can never take is said to be so, item by
item, and the rest goes on. Back-pressure is the caller's wait: one bulk is under way at a time, and none is begun while
Elasticsearch says that it has too many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
from elasticsearch import ApiError, Elasticsearch

from backends.elasticsearch_client import BLOCKED, translated, trouble_of
from common.errors import BackendUnavailable

# A bulk ends with whichever comes first; a document that is larger goes by itself.
BULK_ITEMS: Final = 1_000
BULK_BYTES: Final = 4 << 20
# Waits between tries: doubled each time, with chance, as all writers come back at once otherwise.
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 5.0
TRIES: Final = 8

_TOO_BUSY: Final = frozenset({429, 502, 503, 504})


class Outcome(Enum):
    """What became of one item."""

    WRITTEN = "written"
    # A newer form of it is there already.
    SUPERSEDED = "superseded"
    # It does not fit the mapping: it never will, and belongs among the dead letters.
    BAD_DOCUMENT = "bad document"
    # What was to be deleted was not there.
    MISSING = "missing"


class Item(msgspec.Struct, frozen=True):
    """One document to be written into `index` under `id`, or deleted where `document` is None.

    `version` is external: an older one never replaces a newer one, and with `only_newer` neither does the same one.
    None: the last one written stays.
    """

    index: str
    id: str
    document: dict[str, Any] | None
    version: int | None = None
    only_newer: bool = False


class Written(msgspec.Struct, frozen=True):
    """What became of an item; `reason` is Elasticsearch's own, for a bad document."""

    item: Item
    outcome: Outcome
    reason: str = ""


class BulkWriter:
    """Writes items, waits and tries again. `wait` takes seconds; tests hand in their own."""

    def __init__(
        self, client: Elasticsearch, *, wait: Callable[[float], object] = time.sleep, chance: Random | None = None
    ) -> None:
        self._client = client
        self._wait = wait
        self._chance = chance or Random()
        # Counted for metrics: items by outcome, and tries that were refused for being too many.
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.retried = 0

    def write(self, items: Iterable[Item], *, refresh: bool = False) -> list[Written]:
        """Write all; the outcome of each, in their order. With `refresh` searches see them when this returns.

        BackendUnavailable when Elasticsearch is gone, stays too busy, is read-only or full: some items may be written
        then, and all of them may be written again.
        """
        written: list[Written] = []
        indices: set[str] = set()
        for bulk in _bulks(items):
            written += self._write(bulk)
            indices.update(one.item.index for one in bulk)
        if refresh and indices:
            with translated("making writes visible"):
                self._client.indices.refresh(index=sorted(indices))
        for one in written:
            self.outcomes[one.outcome] += 1
        return written

    def _write(self, bulk: Sequence[_Encoded]) -> list[Written]:
        done: dict[int, Written] = {}
        waiting = list(range(len(bulk)))
        trouble: BackendUnavailable | None = None
        for attempt in range(TRIES):
            if attempt:
                self.retried += len(waiting)
                self._wait(self._pause_s(attempt))
            try:
                answers = self._send([bulk[at] for at in waiting])
            except _TooBusy as error:
                trouble = error
                continue
            again = []
            for at, (status, type_, reason) in zip(waiting, answers, strict=True):
                outcome = _outcome(status, type_)
                if outcome is None:
                    trouble = trouble_of(status, type_, reason)
                    again.append(at)
                else:
                    done[at] = Written(bulk[at].item, outcome, reason if outcome is Outcome.BAD_DOCUMENT else "")
            waiting = again
            if not waiting:
                return [done[at] for at in range(len(bulk))]
        assert trouble is not None
        raise trouble

    def _send(self, items: Sequence[_Encoded]) -> list[tuple[int, str, str]]:
        """(status, type of the error, reason) of each item. Only _TooBusy comes right by waiting: a lost connection is
        for the caller to come back from, and a blocked index is for an operator.
        """
        try:
            with translated("writing a bulk"):
                # Lines that are bytes go as they are.
                lines: list[Any] = [line for item in items for line in item.lines]
                answer = self._client.bulk(operations=lines)
        except BackendUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, ApiError) and cause.status_code in _TOO_BUSY and type(error) is BackendUnavailable:
                raise _TooBusy(f"Elasticsearch is too busy to take a bulk ({cause.status_code})") from cause
            raise
        results = []
        for one in answer["items"]:
            ((_, said),) = one.items()
            refused = said.get("error", {})
            reasons = (refused.get("reason"), (refused.get("caused_by") or {}).get("reason"))
            reason = " ".join(filter(None, reasons))[:500]
            if refused.get("type") == BLOCKED:
                raise trouble_of(said["status"], BLOCKED, reason)
            results.append((int(said["status"]), str(refused.get("type", "")), reason))
        return results

    def _pause_s(self, attempt: int) -> float:
        pause_s: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
        return pause_s * (0.5 + self._chance.random())


class _TooBusy(BackendUnavailable):
    """It comes right by waiting."""


class _Encoded(NamedTuple):
    """An item as it goes over the wire: encoded once, for its size and for sending."""

    item: Item
    lines: tuple[bytes, ...]


def _outcome(status: int, type_: str) -> Outcome | None:
    if status < 300:
        return Outcome.WRITTEN
    if status == 404 and not type_:
        return Outcome.MISSING
    if status == 409:
        return Outcome.SUPERSEDED
    if status == 400:
        return Outcome.BAD_DOCUMENT
    return None


def _encoded(item: Item) -> _Encoded:
    meta: dict[str, Any] = {"_index": item.index, "_id": item.id}
    if item.version is not None:
        meta |= {"version": item.version, "version_type": "external" if item.only_newer else "external_gte"}
    if item.document is None:
        return _Encoded(item, (msgspec.json.encode({"delete": meta}),))
    return _Encoded(item, (msgspec.json.encode({"index": meta}), msgspec.json.encode(item.document)))


def _bulks(items: Iterable[Item]) -> Iterator[list[_Encoded]]:
    bulk: list[_Encoded] = []
    size = 0
    for item in map(_encoded, items):
        bytes_ = sum(map(len, item.lines))
        if bulk and (len(bulk) == BULK_ITEMS or size + bytes_ > BULK_BYTES):
            yield bulk
            bulk, size = [], 0
        bulk.append(item)
        size += bytes_
    if bulk:
        yield bulk
