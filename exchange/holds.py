"""Which ads are sold and not yet paid for? Open reservations: by batch until their impression, one by one from then on.

Nearly all ads are never heard of again, so a batch of auctions is kept as a whole, is found by the millisecond that its
ids begin with, and leaves as a whole. Only an ad that was seen becomes a value of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.request import PricingModel
from exchange.won_batch import ID_DIGITS, MOMENT_DIGITS, KeptBatch, WonBatch, kept_of

# A deadline that lies further ahead than its term and this was set by a clock that has been set back since.
CLOCK_STEP_MS: Final = 3_600_000

T = TypeVar("T", int, str)


class Hold(msgspec.Struct, frozen=True, gc=False):
    """One sold ad. `left_micros` is what is still reserved for it in both accounts (rows of the budget book, or -1);
    `said` has a bit for each kind of notice that is counted and not billed.
    """

    impression_id: str
    held_at_ms: int
    line_item_number: int
    campaign_number: int
    line_item_row: int
    campaign_row: int
    pricing_model: int
    price_micros: int
    left_micros: int
    currency: str
    visitor_id: str
    product_id: str
    bidder: str
    advertiser_domain: str
    seen_at_ms: int = 0
    clicked_at_ms: int = 0
    order_ids: tuple[str, ...] = ()
    # Not kept over a restart: sessions are counted in memory alone.
    session_key: str = ""
    said: int = 0
    creative_number: int = 0
    placement_id: str = ""
    publisher_id: str = ""
    test: bool = False
    billing_url: str = ""


class Terms(msgspec.Struct, frozen=True):
    """How long an ad is waited for: for its impression, then for its click, then for its conversions."""

    unseen_ms: int = 120_000
    seen_ms: int = 30 * 60_000
    clicked_ms: int = 24 * 3_600_000

    def run_out(self, hold: Hold, now_ms: int) -> bool:
        """Is the time of this ad over?"""
        if hold.clicked_at_ms:
            return is_over(hold.clicked_at_ms, self.clicked_ms, now_ms)
        if hold.seen_at_ms:
            return is_over(hold.seen_at_ms, self.seen_ms, now_ms)
        return is_over(hold.held_at_ms, self.unseen_ms, now_ms)


class Released(msgspec.Struct, frozen=True):
    """What ran out: rows of both accounts (-1 for outside bids) and the micros that were reserved, by ad."""

    line_item_rows: NDArray[np.int64]
    campaign_rows: NDArray[np.int64]
    micros: NDArray[np.int64]


_NOTHING: Final = Released(*np.zeros((3, 0), np.int64))


class Holds:
    """Open reservations, found by impression id: the auction's id, a dot, the placement's index."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self._batches: dict[int, KeptBatch] = {}
        self._next_batch = 0
        # The batches of a millisecond.
        self._moments: defaultdict[str, list[int]] = defaultdict(list)
        self._kept: dict[str, Hold] = {}
        # Heaps: what runs out next stands first, also when the clock was set back between two entries.
        self._unseen: list[tuple[int, int]] = []
        self._seen: list[tuple[int, str]] = []
        self._clicked: list[tuple[int, str]] = []
        self._expired_at_ms = 0

    def __len__(self) -> int:
        """How many ads are known: waiting for their impression, their click or their conversions."""
        return len(self._kept) + sum(len(batch) - len(batch.taken) for batch in self._batches.values())

    def add(self, batch: WonBatch) -> None:
        """Take in what a batch sold, after it was recorded."""
        if not len(batch.page_row):
            return
        serial = self._next_batch
        self._next_batch += 1
        kept = kept_of(batch)
        self._batches[serial] = kept
        heappush(self._unseen, (kept.held_at_ms, serial))
        for moment in kept.moments:
            self._moments[moment].append(serial)

    def find(self, impression_id: str) -> Hold | None:
        """The ad that is known by this id; None when there is none, or none any more."""
        kept = self._kept.get(impression_id)
        if kept is not None:
            return kept
        where = self._where(impression_id)
        if where is None:
            return None
        serial, entry = where
        return None if entry in self._batches[serial].taken else self._hold_of(serial, entry, impression_id)

    def keep(self, hold: Hold) -> None:
        """Remember what a notice made of an ad: it was seen at least."""
        assert hold.seen_at_ms, "an ad that was not seen stays in its batch"
        before = self._kept.get(hold.impression_id)
        self._kept[hold.impression_id] = hold
        if before is None:
            where = self._where(hold.impression_id)
            if where is not None:
                self._take(*where)
            heappush(self._seen, (hold.seen_at_ms, hold.impression_id))
        if hold.clicked_at_ms and (before is None or not before.clicked_at_ms):
            heappush(self._clicked, (hold.clicked_at_ms, hold.impression_id))

    def restore(self, holds: list[Hold]) -> None:
        """Take in ads that were seen before this process began, into empty holds or beside fresh batches."""
        for hold in holds:
            self._kept[hold.impression_id] = hold
            heappush(self._seen, (hold.seen_at_ms, hold.impression_id))
            if hold.clicked_at_ms:
                heappush(self._clicked, (hold.clicked_at_ms, hold.impression_id))

    def expire(self, now_ms: int) -> Released:
        """Forget every ad whose time is over and say what it had reserved; costs what it finds, not what is there."""
        terms, rows, released = self.terms, [], []
        # What was stamped by a clock that was far ahead stands last, so all is looked at once.
        every = now_ms <= self._expired_at_ms - CLOCK_STEP_MS
        self._expired_at_ms = now_ms
        for serial in _run_out(self._unseen, terms.unseen_ms, now_ms, every):
            batch = self._batches.get(serial)
            if batch is None:
                continue
            accounts = batch.accounts
            if batch.taken:
                open_ = np.ones(len(batch), np.bool_)
                open_[list(batch.taken)] = False
                accounts = accounts[:, open_]
            released.append(accounts)
            self._forget(serial)
        for line, term_ms in ((self._seen, terms.seen_ms), (self._clicked, terms.clicked_ms)):
            for impression_id in _run_out(line, term_ms, now_ms, every):
                hold = self._kept.get(impression_id)
                # One that was clicked meanwhile waits in the other line.
                if hold is None or (line is self._seen and hold.clicked_at_ms):
                    continue
                del self._kept[impression_id]
                if hold.left_micros:
                    rows.append((hold.line_item_row, hold.campaign_row, hold.left_micros))
        if not released and not rows:
            return _NOTHING
        released.append(np.array(rows, np.int64).reshape(-1, 3).T)
        return Released(*np.concatenate(released, axis=1))

    def reserved_by_row(self) -> dict[int, int]:
        """What is reserved in each row of the budget book; looks at everything, for recovery and for checks."""
        reserved: defaultdict[int, int] = defaultdict(int)
        for batch in self._batches.values():
            for entry, (row, campaign_row, micros) in enumerate(batch.accounts.T.tolist()):
                if row >= 0 and entry not in batch.taken:
                    reserved[row] += micros
                    reserved[campaign_row] += micros
        for hold in self._kept.values():
            if hold.line_item_row >= 0:
                reserved[hold.line_item_row] += hold.left_micros
                reserved[hold.campaign_row] += hold.left_micros
        return dict(reserved)

    def _where(self, impression_id: str) -> tuple[int, int] | None:
        """(batch, entry) of an impression id that is still in a batch."""
        auction_id, index = impression_id[:ID_DIGITS], placement_index_of(impression_id)
        if index is None:
            return None
        for serial in self._moments.get(auction_id[:MOMENT_DIGITS], ()):
            entry = self._batches[serial].entry_of(auction_id, index)
            if entry is not None:
                return serial, entry
        return None

    def _hold_of(self, serial: int, entry: int, impression_id: str) -> Hold:
        batch = self._batches[serial]
        sold = batch.sold(entry)
        outside = not sold.line_item_number
        return Hold(
            impression_id=impression_id,
            held_at_ms=batch.held_at_ms,
            line_item_number=sold.line_item_number,
            campaign_number=sold.campaign_number,
            line_item_row=-1 if outside else sold.line_item_row,
            campaign_row=-1 if outside else sold.campaign_row,
            pricing_model=PricingModel.CPM if outside else sold.pricing_model,
            price_micros=sold.price_micros,
            left_micros=0 if outside else sold.reserved_micros,
            currency=batch.currencies.get(entry, batch.currency),
            visitor_id=batch.visitor_ids[sold.page],
            product_id=batch.product_ids[entry],
            bidder=batch.bidders[sold.bidder],
            advertiser_domain=batch.outside_domains.get(entry, ""),
            creative_number=sold.creative_number,
            session_key=batch.session_keys[sold.page] if batch.session_keys else "",
            placement_id=batch.placement_ids[entry] if batch.placement_ids else "",
            publisher_id=batch.publisher_ids[sold.page] if batch.publisher_ids else "",
            test=sold.page in batch.test_pages,
            billing_url=batch.billing_urls.get(entry, ""),
        )

    def _take(self, serial: int, entry: int) -> None:
        batch = self._batches[serial]
        batch.taken.add(entry)
        if len(batch.taken) == len(batch):
            self._forget(serial)

    def _forget(self, serial: int) -> None:
        for moment in self._batches.pop(serial).moments:
            serials = self._moments[moment]
            serials.remove(serial)
            if not serials:
                del self._moments[moment]


def placement_index_of(impression_id: str) -> int | None:
    """The placement's index in an impression id; None unless it is written in the one way that it is given out."""
    digits = impression_id[ID_DIGITS + 1 :]
    if impression_id[ID_DIGITS : ID_DIGITS + 1] != "." or not digits.isascii() or not digits.isdigit():
        return None
    if len(digits) > 4 or (digits[0] == "0" and digits != "0"):
        return None
    return int(digits)


def _run_out(line: list[tuple[int, T]], term_ms: int, now_ms: int, every: bool) -> Iterator[T]:
    """Take out of a heap what is over: from its front, or wherever it stands."""
    if every:
        over = [entry for entry in line if is_over(entry[0], term_ms, now_ms)]
        line[:] = [entry for entry in line if not is_over(entry[0], term_ms, now_ms)]
        heapify(line)
        yield from (what for _, what in over)
    while line and is_over(line[0][0], term_ms, now_ms):
        yield heappop(line)[1]


def is_over(from_ms: int, term_ms: int, now_ms: int) -> bool:
    """Has a term run out, or does its beginning lie in a future that the clock has been set back from?"""
    return not -CLOCK_STEP_MS < now_ms - from_ms < term_ms
