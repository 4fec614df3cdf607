"""Which recorded auctions stand for the last days? Batches of the event log, evenly drawn, each with its weight."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from streams import schemas
from streams.auction_block import AuctionColumns
from streams.ports import EventLog
from streams.topics import AUCTIONS

_READ_AT_ONCE = 64


class Sample(msgspec.Struct, frozen=True):
    """How the batches were drawn: of `records` in the log since `since_ms` every `every`-th, up to `until_ms`."""

    records: int
    every: int
    since_ms: int
    until_ms: int


def sample_of(log: EventLog, since_ms: int, now_ms: int, most: int) -> Sample:
    """Plan a sample of at most about `most` batches since `since_ms`."""
    first, end = log.first_offset_at(AUCTIONS.name, since_ms), log.end(AUCTIONS.name)
    records = max(end - first, 0)
    return Sample(records, max(-(-records // max(most, 1)), 1), since_ms, now_ms)


def batches(log: EventLog, sample: Sample) -> Iterator[AuctionColumns]:
    """The batches of a sample, in the order of time; each stands for `sample.every` of the log."""
    offset, end = log.first_offset_at(AUCTIONS.name, sample.since_ms), log.end(AUCTIONS.name)
    if sample.every == 1:
        while offset < end and (records := log.read(AUCTIONS.name, offset, _READ_AT_ONCE)):
            for record in records:
                event = schemas.decode(AUCTIONS.name, record)
                if isinstance(event, AuctionColumns):
                    yield event
            offset = records[-1].offset + 1
        return
    for at in range(offset, end, sample.every):
        for record in log.read(AUCTIONS.name, at, 1):
            event = schemas.decode(AUCTIONS.name, record)
            if isinstance(event, AuctionColumns):
                yield event
