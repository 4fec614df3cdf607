"""Which ads are sold and not yet paid for? Open reservations: by batch until their impression, one by one from then on.

Nearly all ads are never heard of again, so a batch of auctions is kept as the arrays that it was decided in and
leaves as a whole. Only an ad that was seen becomes a value of its own.
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

# A deadline that lies further ahead than its term and this was set by a clock that has been set back since.
CLOCK_STEP_MS: Final = 3_600_000
_ENTRY_BITS: Final = 20
_ID_DIGITS: Final = 32

T = TypeVar("T", int, str)


class WonBatch(msgspec.Struct):
    """What a batch of auctions sold. Arrays have one entry for each sold placement; entries of a page view stand
    together, in the order of its placements.

    `page_row` indexes `auction_ids` and `visitor_ids`; `placement_index` counts within the page view.
    `line_item_number` 0 is an outside bid: it has account rows of -1 and no reservation, its bidder is
    `bidders[bidder_index]` and its advertiser stands in `outside_domains` under its entry. Visitor ids are empty
    unless the visitor may be remembered. `price_micros` is per unit of the pricing model.
    """

    held_at_ms: int
    currency: str
    auction_ids: list[str]
    visitor_ids: list[str]
    page_row: NDArray[np.int32]
    placement_index: NDArray[np.int32]
    line_item_number: NDArray[np.uint32]
    campaign_number: NDArray[np.uint32]
    line_item_account_row: NDArray[np.int32]
    campaign_account_row: NDArray[np.int32]
    pricing_model: NDArray[np.uint8]
    price_micros: NDArray[np.int64]
    reserved_micros: NDArray[np.int64]
    bidder_index: NDArray[np.int32]
    bidders: list[str]
    product_ids: list[str]
    outside_domains: dict[int, str] = msgspec.field(default_factory=dict)
    # Entries that are not in `currency`: prices and reservations are in the currency of the bid.
    currencies: dict[int, str] = msgspec.field(default_factory=dict)
    # By page view, as exchange.session_impressions names them; empty where no session is known.
    session_keys: list[str] = msgspec.field(default_factory=list)
    # By sold placement, and empty where it is not known.
    creative_number: NDArray[np.uint32] = msgspec.field(default_factory=lambda: np.zeros(0, np.uint32))
    placement_ids: list[str] = msgspec.field(default_factory=list)
    # By page view, and empty where no publisher is known.
    publisher_ids: list[str] = msgspec.field(default_factory=list)
    # Pages that were a test: their entries have rows of -1 and reserve nothing.
    test_pages: frozenset[int] = frozenset()
    # Where outside bidders are told of billing, under their entry, with all macros replaced but the impression's time.
    billing_urls: dict[int, str] = msgspec.field(default_factory=dict)


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

    line_item_rows: NDArray[np.int32]
    campaign_rows: NDArray[np.int32]
    micros: NDArray[np.int64]


class _Batch(msgspec.Struct):
    won: WonBatch
    # Entries that became holds of their own.
    taken: set[int]
    # The columns that holds are made of, by entry; made when the first notice comes.
    rows: list[tuple[int, ...]] = []

    def row(self, entry: int) -> tuple[int, ...]:
        if not self.rows:
            won = self.won
            none = np.zeros(len(won.page_row), np.uint32)
            columns = (
                *(won.page_row, won.line_item_number, won.campaign_number, won.line_item_account_row),
                *(won.campaign_account_row, won.pricing_model, won.price_micros, won.reserved_micros),
                *(won.bidder_index, won.creative_number if len(won.creative_number) else none),
            )
            self.rows = list(zip(*(column.tolist() for column in columns), strict=True))
        return self.rows[entry]


class Holds:
    """Open reservations, found by impression id: the auction's id, a dot, the placement's index."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self._batches: dict[int, _Batch] = {}
        self._next_batch = 0
        # Auction id -> batch and its first entry in one number. Many small tables, because a large one stops everything
        # for a tenth of a second whenever it grows.
        self._auctions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._kept: dict[str, Hold] = {}
        # Heaps: what runs out next stands first, also when the clock was set back between two entries.
        self._unseen: list[tuple[int, int]] = []
        self._seen: list[tuple[int, str]] = []
        self._clicked: list[tuple[int, str]] = []
        self._expired_at_ms = 0

    def __len__(self) -> int:
        """How many ads are known: waiting for their impression, their click or their conversions."""
        return len(self._kept) + sum(len(b.won.page_row) - len(b.taken) for b in self._batches.values())

    def add(self, batch: WonBatch) -> None:
        """Take in what a batch sold, after it was recorded."""
        if not len(batch.page_row):
            return
        serial = self._next_batch
        self._next_batch += 1
        self._batches[serial] = _Batch(batch, set())
        heappush(self._unseen, (batch.held_at_ms, serial))
        first, ids, auctions = serial << _ENTRY_BITS, batch.auction_ids, self._auctions
        before = -1
        for entry, page in enumerate(batch.page_row.tolist()):
            if page != before:
                auction_id = ids[page]
                auctions[auction_id[-2:]][auction_id] = first | entry
                before = page

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
        terms, rows = self.terms, []
        line_items, campaigns, micros = [], [], []
        # What was stamped by a clock that was far ahead stands last, so all is looked at once.
        every = now_ms <= self._expired_at_ms - CLOCK_STEP_MS
        self._expired_at_ms = now_ms
        for serial in _run_out(self._unseen, terms.unseen_ms, now_ms, every):
            batch = self._batches.get(serial)
            if batch is None:
                continue
            won = batch.won
            columns = (won.line_item_account_row, won.campaign_account_row, won.reserved_micros)
            if batch.taken:
                open_ = np.ones(len(won.page_row), np.bool_)
                open_[list(batch.taken)] = False
                columns = (columns[0][open_], columns[1][open_], columns[2][open_])
            line_items.append(columns[0])
            campaigns.append(columns[1])
            micros.append(columns[2])
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
        line_items.append(np.array([row[0] for row in rows], np.int32))
        campaigns.append(np.array([row[1] for row in rows], np.int32))
        micros.append(np.array([row[2] for row in rows], np.int64))
        return Released(np.concatenate(line_items), np.concatenate(campaigns), np.concatenate(micros))

    def reserved_by_row(self) -> dict[int, int]:
        """What is reserved in each row of the budget book; looks at everything, for recovery and for checks."""
        reserved: defaultdict[int, int] = defaultdict(int)
        for batch in self._batches.values():
            won, taken = batch.won, batch.taken
            columns = (won.line_item_account_row, won.campaign_account_row, won.reserved_micros)
            for entry, (row, campaign_row, micros) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
                if row >= 0 and entry not in taken:
                    reserved[row] += micros
                    reserved[campaign_row] += micros
        for hold in self._kept.values():
            if hold.line_item_row >= 0:
                reserved[hold.line_item_row] += hold.left_micros
                reserved[hold.campaign_row] += hold.left_micros
        return dict(reserved)

    def _where(self, impression_id: str) -> tuple[int, int] | None:
        """(batch, entry) of an impression id that is still in a batch."""
        auction_id, index = impression_id[:_ID_DIGITS], placement_index_of(impression_id)
        if index is None:
            return None
        pages = self._auctions.get(auction_id[-2:])
        found = pages.get(auction_id) if pages else None
        if found is None:
            return None
        serial, first = found >> _ENTRY_BITS, found & ((1 << _ENTRY_BITS) - 1)
        won = self._batches[serial].won
        page_row, placements = won.page_row, won.placement_index
        page = page_row[first]
        # Entries of a page stand together, in the order of its placements.
        for entry in range(first, len(page_row)):
            if page_row[entry] != page:
                return None
            if placements[entry] == index:
                return serial, entry
        return None

    def _hold_of(self, serial: int, entry: int, impression_id: str) -> Hold:
        batch = self._batches[serial]
        won = batch.won
        page, line_item, campaign, row, campaign_row, pricing, price, reserved, bidder, creative = batch.row(entry)
        outside = not line_item
        return Hold(
            impression_id=impression_id,
            held_at_ms=won.held_at_ms,
            line_item_number=line_item,
            campaign_number=campaign,
            line_item_row=-1 if outside else row,
            campaign_row=-1 if outside else campaign_row,
            pricing_model=PricingModel.CPM if outside else pricing,
            price_micros=price,
            left_micros=0 if outside else reserved,
            currency=won.currencies.get(entry, won.currency),
            visitor_id=won.visitor_ids[page],
            product_id=won.product_ids[entry],
            bidder=won.bidders[bidder],
            advertiser_domain=won.outside_domains.get(entry, ""),
            creative_number=creative,
            session_key=won.session_keys[page] if won.session_keys else "",
            placement_id=won.placement_ids[entry] if won.placement_ids else "",
            publisher_id=won.publisher_ids[page] if won.publisher_ids else "",
            test=page in won.test_pages,
            billing_url=won.billing_urls.get(entry, ""),
        )

    def _take(self, serial: int, entry: int) -> None:
        batch = self._batches[serial]
        batch.taken.add(entry)
        if len(batch.taken) == len(batch.won.page_row):
            self._forget(serial)

    def _forget(self, serial: int) -> None:
        won = self._batches.pop(serial).won
        for page in set(won.page_row.tolist()):
            auction_id = won.auction_ids[page]
            self._auctions[auction_id[-2:]].pop(auction_id, None)


def placement_index_of(impression_id: str) -> int | None:
    """The placement's index in an impression id; None unless it is written in the one way that it is given out."""
    digits = impression_id[_ID_DIGITS + 1 :]
    if impression_id[_ID_DIGITS : _ID_DIGITS + 1] != "." or not digits.isascii() or not digits.isdigit():
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
