"""Into which partition of its topic does a record of the log go? The same one whenever it is asked, in any process.

A record that holds things of several partitions, as notices of several campaigns do, becomes a record in each of them,
so a record of the log is at most once in a partition.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final
from zlib import crc32

import msgspec

from streams import schemas
from streams.ports import Record
from streams.schemas import NoticesTaken, NoticeTaken
from streams.topics import Topic

# Records without an order go in runs of so many, which fill a batch of the producer's.
RUN: Final = 64


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A record, or a part of one, where it belongs; `key` is empty where no order is asked for."""

    partition: int
    key: bytes
    payload: bytes


def placed(topic: Topic, record: Record) -> list[Placed]:
    """Where the record goes, by partition. One that cannot be read goes where one without an order would: whoever
    reads it there says so.
    """
    if topic.ordered_by and not isinstance(event := schemas.decode(topic.name, record), schemas.Unreadable):
        if isinstance(event, NoticesTaken):
            return _notices(topic, record, event)
        key = getattr(event, topic.ordered_by)
        key = key if isinstance(key, bytes) else str(key).encode(errors="surrogatepass")
        return [Placed(partition_of(key, topic.partitions), key, record.payload)]
    return [Placed(record.offset // RUN % topic.partitions, b"", record.payload)]


def partition_of(key: bytes, partitions: int) -> int:
    """By CRC-32, as librdkafka does by default too."""
    return crc32(key) % partitions


def _notices(topic: Topic, record: Record, event: NoticesTaken) -> list[Placed]:
    by_partition: defaultdict[int, list[NoticeTaken]] = defaultdict(list)
    for notice in event.notices:
        by_partition[partition_of(_campaign(notice), topic.partitions)].append(notice)
    if len(by_partition) < 2:
        key = _campaign(event.notices[0]) if event.notices else b""
        return [Placed(partition_of(key, topic.partitions), key, record.payload)]
    return [
        Placed(partition, _campaign(own[0]), schemas.encode(NoticesTaken(event.taken_at_ms, tuple(own))))
        for partition, own in sorted(by_partition.items())
    ]


def _campaign(notice: NoticeTaken) -> bytes:
    """An outside bid has no campaign of ours; its bidder is who spends."""
    return str(notice.campaign_number).encode() if notice.campaign_number else notice.bidder.encode()
