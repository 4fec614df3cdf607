from __future__ import annotations

import numpy as np

from streams import schemas
from streams.partitioning import RUN, partition_of, placed
from streams.ports import Record
from streams.schemas import NoticesTaken
from streams.topics import AUCTIONS, NOTICES, PRODUCTS
from tests.event_batches import notices


def test_notices_of_many_campaigns_are_parted_by_campaign_and_none_is_lost() -> None:
    event = notices(200, np.random.default_rng(3))

    parts = placed(NOTICES, Record(7, 1, schemas.encode(event)))

    found: list[schemas.NoticeTaken] = []
    for part in parts:
        read = schemas.decode(NOTICES.name, Record(7, 1, part.payload))
        assert isinstance(read, NoticesTaken)
        assert read.taken_at_ms == event.taken_at_ms
        for notice in read.notices:
            assert partition_of(str(notice.campaign_number).encode(), NOTICES.partitions) == part.partition
        # In their order.
        assert [n.impression_id for n in read.notices] == [n.impression_id for n in event.notices if n in read.notices]
        found += read.notices
    assert sorted(n.impression_id for n in found) == sorted(n.impression_id for n in event.notices)
    assert len({part.partition for part in parts}) == len(parts) > 1


def test_notices_of_one_campaign_stay_as_they_are() -> None:
    event = notices(1, np.random.default_rng(3))
    payload = schemas.encode(event)

    (part,) = placed(NOTICES, Record(7, 1, payload))

    assert part.payload is payload
    assert part.key == str(event.notices[0].campaign_number).encode()


def test_records_without_an_order_go_in_runs_over_all_partitions() -> None:
    found = [placed(AUCTIONS, Record(offset, 1, b""))[0].partition for offset in range(RUN * AUCTIONS.partitions * 2)]

    assert [found[at] for at in range(0, len(found), RUN)] == [*range(AUCTIONS.partitions)] * 2
    assert placed(PRODUCTS, Record(5, 1, b""))[0].partition == 0
