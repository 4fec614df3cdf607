"""What has been spent? The billed notices of the log, counted into the ledger once each."""

from __future__ import annotations

import threading

from common.errors import BackendUnavailable
from exchange.billing import Kind, Verdict, payer_of
from exchange.ports import BudgetLedger, Spend
from streams.ports import EventLog
from streams.schemas import NoticesTaken, decode
from streams.topics import NOTICES

# Records in one transaction of the ledger; each may hold some thousand notices.
RECORDS_PER_STEP = 64


class SpendProjector:
    """Keeps the ledger up with topic `notices`; spend is a projection, the log is the record.

    `holder` is whose leases the spend comes out of. `unreadable` counts records that were passed over.
    """

    def __init__(self, log: EventLog, ledger: BudgetLedger, holder: str) -> None:
        self.unreadable = 0
        self._log = log
        self._ledger = ledger
        self._holder = holder
        # A caller that is cancelled leaves its thread at work; the next one waits for it.
        self._one_at_a_time = threading.Lock()

    def catch_up(self) -> int:
        """Count what is new; how many records. Blocks on disk and SQL: call it in a thread.

        BackendUnavailable when the store does not answer, or holds more than the log: they are not of one another.
        Conflict when another process counts the same log.
        """
        counted = 0
        with self._one_at_a_time:
            while step := self._step():
                counted += step
        return counted

    def _step(self) -> int:
        offset, end = self._ledger.counted_upto(), self._log.end(NOTICES.name)
        if offset > end:
            raise BackendUnavailable(
                f"the ledger has counted {offset} records of notices and the log holds {end}: "
                "one of them was restored from an older copy; restore both from the same time"
            )
        if offset == end:
            return 0
        # What the death of the machine could still take out of the log must not stand in the ledger.
        self._log.sync()
        records = self._log.read(NOTICES.name, offset, RECORDS_PER_STEP)
        spends: list[Spend] = []
        carried: dict[int | str, int] = {}
        for record in records:
            event = decode(NOTICES.name, record)
            if not isinstance(event, NoticesTaken):
                self.unreadable += 1
                continue
            for notice in event.notices:
                # Nobody pays for a test, so it is on no invoice and in no publisher's revenue either.
                if notice.test:
                    continue
                spends.append(
                    Spend(
                        line_item_number=notice.line_item_number,
                        campaign_number=notice.campaign_number,
                        billed_micros=notice.billed_micros,
                        # A refund belongs to the day that was billed.
                        taken_at_ms=notice.corrects_taken_at_ms or event.taken_at_ms,
                        kind=notice.kind,
                        verdict=notice.verdict,
                        currency=notice.currency,
                        bidder=notice.bidder,
                        publisher_id=notice.publisher_id,
                        placement_id=notice.placement_id,
                        corrects_kind=notice.corrects_kind,
                    )
                )
                if notice.kind in (Kind.IMPRESSION, Kind.VIEWABLE) and notice.verdict != Verdict.INVALID:
                    carried[payer_of(notice)] = notice.carried_thousandths
        upto = records[-1].offset + 1 if records else end
        self._ledger.settle(self._holder, spends, upto, from_offset=offset, carried=carried)
        return len(records)
