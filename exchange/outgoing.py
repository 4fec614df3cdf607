"""What are outside bidders still to be told? Wins, billings and losses out of the log, until each was heard.

The log says what happened and with which address it is to be told; a projection of it is the list of what is waiting.
So a killed process forgets nothing, and an address that answered is never called again: what was enqueued and what was
heard are written down, and only the time between an answer and its note can repeat a call.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from streams.auction_reader import outside_bids_of
from streams.ports import EventLog
from streams.schemas import NoticesTaken, decode
from streams.topics import AUCTIONS, NOTICES

_RECORDS_PER_STEP = 256
# So many records are read again after a restart at the most, where nobody is to be told of any.
_READ_AND_NOT_STORED = 4096


class OutgoingKind(IntEnum):
    """What is told; OpenRTB's nurl, burl and lurl."""

    WIN = 1
    BILLING = 2
    LOSS = 3


class OutgoingState(IntEnum):
    """How far it is."""

    WAITING = 0
    HEARD = 1
    GIVEN_UP = 2
    # Its address is none that may be called.
    REFUSED = 3


class Outgoing(msgspec.Struct, frozen=True):
    """One thing to be told. `source` names its place in the log, so that it is enqueued once."""

    source: str
    kind: OutgoingKind
    impression_id: str
    bidder: str
    url: str


class Waiting(msgspec.Struct, frozen=True):
    """One that is due: its number, its URL and how often it was tried."""

    number: int
    url: str
    attempts: int
    enqueued_at_ms: int


class Tried(msgspec.Struct, frozen=True):
    """What came of a try. `said` is a status line or a reason, without anything of the answer's content."""

    number: int
    state: OutgoingState
    attempts: int
    due_at_ms: int
    at_ms: int
    said: str


class Told(msgspec.Struct, frozen=True):
    """How one of them stands, for people."""

    kind: OutgoingKind
    impression_id: str
    bidder: str
    state: OutgoingState
    attempts: int
    enqueued_at_ms: int
    at_ms: int
    said: str


class OutgoingStore(Protocol):
    """What is waiting, and how far each topic is read; both change in one transaction."""

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is enqueued yet."""

    def enqueue(self, topic: str, entries: Sequence[Outgoing], from_offset: int, upto_offset: int, now_ms: int) -> bool:
        """Add what the offsets from `from_offset` to `upto_offset` (exclusive) hold, each source once; False, and
        nothing is added, when the topic is not read exactly up to `from_offset`.
        """

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        """What is to be tried now, the longest due first."""

    def note(self, tried: Sequence[Tried]) -> None:
        """What came of tries; one that was heard stays so."""

    def of_auction(self, auction_id: str) -> list[Told]:
        """All that is known of one auction's."""

    def forget_before(self, at_ms: int) -> int:
        """Drop what is done and was enqueued before; how many."""


class OutgoingProjector:
    """Reads topics `auctions` and `notices` into the list."""

    def __init__(self, log: EventLog, store: OutgoingStore) -> None:
        self._log = log
        self._store = store
        self._one_at_a_time = threading.Lock()
        # By topic: how far the store knows it to be read, and how far this process has read it. Where nobody is to be
        # told of anything the store hears of it now and then, as reading again costs less than a write to disk.
        self._stored: dict[str, int] = {}
        self._read: dict[str, int] = {}

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is enqueued yet."""
        return self._store.read_upto(topic)

    def catch_up(self, now_ms: int) -> int:
        """Enqueue what is new; how many records were read. Blocks on disk and SQL: call it in a thread."""
        read = 0
        with self._one_at_a_time:
            for topic in (AUCTIONS.name, NOTICES.name):
                while step := self._step(topic, now_ms):
                    read += step
        return read

    def _step(self, topic: str, now_ms: int) -> int:
        if topic not in self._read:
            self._read[topic] = self._stored[topic] = self._store.read_upto(topic)
        offset = self._read[topic]
        if offset >= self._log.end(topic):
            return 0
        records = self._log.read(topic, offset, _RECORDS_PER_STEP)
        if not records:
            return 0
        entries: list[Outgoing] = []
        for record in records:
            if topic == AUCTIONS.name:
                entries += _of_auctions(record.payload, record.offset)
            else:
                event = decode(topic, record)
                if isinstance(event, NoticesTaken):
                    entries += _of_notices(event, record.offset)
        upto = records[-1].offset + 1
        if entries or upto - self._stored[topic] >= _READ_AND_NOT_STORED:
            # Nobody is told of what the death of the machine could still take out of the log.
            self._log.sync()
            if not self._store.enqueue(topic, entries, self._stored[topic], upto, now_ms):
                # Another process has read on: look again from where it is.
                del self._read[topic]
                return 0
            self._stored[topic] = upto
        self._read[topic] = upto
        return len(records)


def _of_auctions(payload: bytes, offset: int) -> list[Outgoing]:
    """Of a record that cannot be read nobody is told, and those behind it are read."""
    entries: list[Outgoing] = []
    try:
        bids = list(outside_bids_of(payload))
    except (ValueError, IndexError):
        return entries
    for bid, impression_id, bidder in bids:
        for kind, url in ((OutgoingKind.WIN, bid.win_url), (OutgoingKind.LOSS, bid.loss_url)):
            if url:
                entries.append(Outgoing(f"a{offset}.{bid.row}.{int(kind)}", kind, impression_id, bidder, url))
    return entries


def _of_notices(event: NoticesTaken, offset: int) -> list[Outgoing]:
    return [
        Outgoing(f"n{offset}.{at}", OutgoingKind.BILLING, notice.impression_id, notice.bidder, notice.billing_url)
        for at, notice in enumerate(event.notices)
        if notice.billing_url
    ]
