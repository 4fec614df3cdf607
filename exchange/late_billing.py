"""What of a node that was written off, and is back? Its money was given to others: what its log still bills is taken
back, by corrections in the same log, so that the ledger, statistics and reports agree that nothing was paid.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from exchange.billing import Kind, Verdict
from exchange.invalid_traffic import Validity
from exchange.notices import MAX_GROUP
from streams.ports import EventLog
from streams.schemas import NoticesTaken, NoticeTaken, decode
from streams.topics import NOTICES

_RECORDS_AT_ONCE = 64


def take_back_uncounted(
    log: EventLog, counted_upto: int, now_ms: int, record: Callable[[NoticesTaken], None]
) -> tuple[int, int]:
    """Take back what topic `notices` bills from `counted_upto` on and is not taken back yet; (notices, micros of all
    currencies). Call it before these are counted; `record` appends to the topic. Done twice it is done once.
    """
    billed: dict[tuple[str, int, str], tuple[int, NoticeTaken]] = {}
    offset, end = counted_upto, log.end(NOTICES.name)
    while offset < end and (records := log.read(NOTICES.name, offset, _RECORDS_AT_ONCE)):
        offset = records[-1].offset + 1
        for at in records:
            event = decode(NOTICES.name, at)
            if not isinstance(event, NoticesTaken):
                continue
            for notice in event.notices:
                if notice.kind == Kind.CORRECTION:
                    billed.pop((notice.impression_id, notice.corrects_kind, notice.order_id), None)
                elif notice.billed_micros > 0:
                    billed[notice.impression_id, notice.kind, notice.order_id] = (event.taken_at_ms, notice)
    taken_back = [
        replace(
            notice,
            kind=Kind.CORRECTION,
            verdict=Verdict.ACCEPTED,
            billed_micros=-notice.billed_micros,
            validity=int(Validity.BILLED_TOO_LATE),
            billing_url="",
            corrects_kind=notice.kind,
            corrects_taken_at_ms=taken_at_ms,
        )
        for taken_at_ms, notice in billed.values()
    ]
    for first in range(0, len(taken_back), MAX_GROUP):
        record(NoticesTaken(now_ms, tuple(taken_back[first : first + MAX_GROUP])))
    return len(taken_back), -sum(notice.billed_micros for notice in taken_back)
