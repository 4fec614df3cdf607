"""What was sold, seen and paid when the process before this one ended? Folded out of the log, after any kind of end.

An answer leaves after its auction was recorded and a notice is answered after it was recorded, so the two topics hold
everything that anybody was ever told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from common.consent import Permission
from common.ids import made_at_ms, number_of, text_of
from exchange.billing import Kind, Verdict
from exchange.budgets import CLOCK_STEP_MS, BudgetBook
from exchange.holds import Hold, Holds, Terms, is_over
from exchange.ports import CAMPAIGN_ACCOUNTS, BudgetLedger
from exchange.request import PricingModel
from exchange.spend import SpendProjector
from exchange.won_batch import WonBatch
from streams.auction_block import AuctionColumns
from streams.ports import EventLog
from streams.schemas import NoticesTaken, decode
from streams.topics import AUCTIONS, NOTICES

# Between an auction's id and its record in the log lies less than this.
AUCTION_LASTS_MS = 10_000
_RECORDS_PER_READ = 64


class Facts(msgspec.Struct, frozen=True):
    """What the log does not say of an auction. Each is asked for line items and creatives that run no more, too.

    `visitor_of` reads the visitor's id out of AuctionsHeld.page_view, "" without one; it is asked only where the
    visitor may be remembered.
    """

    campaign_of: Callable[[int], int]
    pricing_model_of: Callable[[int], int]
    product_of: Callable[[int], str]
    visitor_of: Callable[[bytes], str]
    # The placements' ids out of AuctionsHeld.page_view, in their order.
    placements_of: Callable[[bytes], Sequence[str]] = lambda _: ()


class Recovered(msgspec.Struct, frozen=True):
    """How recovery went. `carried` goes into Notices; `missing` ads were seen and their auction was not found."""

    carried: Mapping[int | str, int]
    counted_records: int
    open_ads: int
    missing: int
    unreadable: int


class _Ad(msgspec.Struct):
    """What notices said of one ad."""

    seen_at_ms: int = 0
    clicked_at_ms: int = 0
    order_ids: tuple[str, ...] = ()
    said: int = 0


def recover(
    *,
    log: EventLog,
    ledger: BudgetLedger,
    holds: Holds,
    book: BudgetBook,
    facts: Facts,
    now_ms: int,
    dead_holders: Sequence[str] = (),
) -> Recovered:
    """Fill empty `holds` and `book` as they were; before the first auction, without an event loop.

    The ledger is caught up with the log first. The book goes on with the leases of its own holder, so reserved money
    is never let go in between; those of `dead_holders` end. BackendUnavailable.
    """
    projector = SpendProjector(log, ledger, book.holder)
    counted = projector.catch_up()
    for holder in dead_holders:
        ledger.give_back_all(holder)
    leases, leased_at_ms = ledger.leases_of(book.holder)
    book.not_before(leased_at_ms)

    noticed, last_taken_at_ms = _noticed(log, holds.terms, now_ms)
    book.not_before(last_taken_at_ms)
    _add_unseen(log, holds, book, facts, noticed, now_ms)
    alive = {i: ad for i, ad in noticed.items() if not holds.terms.run_out(_as_hold(i, ad), now_ms)}
    seen = _find_seen(log, book, facts, alive)
    holds.restore(seen)

    accounts = list(book.accounts())
    reserved = {accounts[row]: micros for row, micros in holds.reserved_by_row().items() if micros}
    book.adopt(leases, reserved)
    # Only where limits were lowered, or the clock was set back, is more reserved than leased.
    lacking = {account: -book.standing(account).available_micros for account in reserved}
    if any(micros > 0 for micros in lacking.values()):
        book.cover_now({account: micros for account, micros in lacking.items() if micros > 0})
    return Recovered(ledger.carried(), counted, len(holds), len(alive) - len(seen), projector.unreadable)


def won_batch(columns: AuctionColumns, book: BudgetBook, facts: Facts) -> WonBatch:
    """What a recorded batch sold, as it was given to `Holds.add`."""
    placements = columns.placement_count.astype(np.int64)
    page_of = np.repeat(np.arange(len(placements)), placements)
    index_of = np.arange(len(page_of)) - np.repeat(np.cumsum(placements) - placements, placements)
    sold = np.nonzero(columns.winner_row_plus_one)[0]
    bids = columns.winner_row_plus_one[sold].astype(np.int64) - 1
    numbers = columns.bid_line_item[bids]
    campaigns = {number: facts.campaign_of(number) if number else 0 for number in set(numbers.tolist())}
    pricing = {n: facts.pricing_model_of(n) if n else PricingModel.CPM for n in campaigns}
    rows = {n: book.row_of(n) if n else -1 for n in campaigns}
    campaign_rows = {n: book.row_of(CAMPAIGN_ACCOUNTS + c) if n else -1 for n, c in campaigns.items()}
    outside = {bid.row: bid for bid in columns.outside_bids}
    pages, tests = page_of[sold].tolist(), frozenset(columns.test_page_view.tolist())
    if columns.placement_name.size:
        places = [columns.names[name] for name in columns.placement_name[sold].tolist()]
    else:  # a record of before
        asked = {page: facts.placements_of(columns.page_view[page]) for page in set(pages)}
        places = [
            asked[page][index] if index < len(asked[page]) else ""
            for page, index in zip(pages, index_of[sold].tolist(), strict=True)
        ]
    real = np.array([page not in tests for page in pages], np.bool_)
    entries = list(zip(numbers.tolist(), bids.tolist(), columns.bid_creative[bids].tolist(), strict=True))
    ids = zip(columns.auction_id_high.tolist(), columns.auction_id_low.tolist(), strict=True)
    return WonBatch(
        held_at_ms=columns.held_at_ms,
        currency=columns.currency,
        auction_ids=[text_of(high << 64 | low) for high, low in ids],
        visitor_ids=[
            facts.visitor_of(view) if bits & Permission.REMEMBER else ""
            for view, bits in zip(columns.page_view, columns.permissions.tolist(), strict=True)
        ],
        page_row=page_of[sold].astype(np.int32),
        placement_index=index_of[sold].astype(np.int32),
        line_item_number=numbers,
        campaign_number=np.array([campaigns[number] for number, _, _ in entries], np.uint32),
        line_item_account_row=np.where(real, np.array([rows[n] for n, _, _ in entries], np.int32), np.int32(-1)),
        campaign_account_row=np.where(
            real, np.array([campaign_rows[n] for n, _, _ in entries], np.int32), np.int32(-1)
        ),
        pricing_model=np.array([pricing[number] for number, _, _ in entries], np.uint8),
        price_micros=columns.bid_price_micros[bids],
        reserved_micros=columns.bid_reserved_micros[bids],
        bidder_index=columns.bid_bidder[bids].astype(np.int32),
        bidders=columns.bidders,
        product_ids=[
            facts.product_of(creative) if number else outside[bid].product_id if bid in outside else ""
            for number, bid, creative in entries
        ],
        outside_domains={
            entry: outside[bid].advertiser_domain
            for entry, (number, bid, _) in enumerate(entries)
            if not number and bid in outside
        },
        currencies=_other_currencies(columns, bids),
        creative_number=columns.bid_creative[bids],
        placement_ids=places,
        publisher_ids=publishers_of(columns),
        test_pages=tests,
        billing_urls={
            entry: told.billing_url
            for entry, (number, bid, _) in enumerate(entries)
            if not number and (told := outside.get(bid)) is not None and told.billing_url
        },
    )


def _other_currencies(columns: AuctionColumns, bids: NDArray[np.int64]) -> dict[int, str]:
    if not columns.bid_currency.size:
        return {}
    own = columns.bid_currency[bids].tolist()
    return {entry: columns.currencies[code] for entry, code in enumerate(own) if 0 < code < len(columns.currencies)}


def publishers_of(columns: AuctionColumns) -> list[str]:
    """The publisher of each page view; empty when none is known."""
    return [columns.names[name] for name in columns.publisher_name.tolist()]


def _noticed(log: EventLog, terms: Terms, now_ms: int) -> tuple[dict[str, _Ad], int]:
    """What notices said of each ad that may still be open, and when the last was taken (0: never)."""
    ads: dict[str, _Ad] = {}
    last = 0
    reach_ms = terms.unseen_ms + terms.seen_ms + terms.clicked_ms + AUCTION_LASTS_MS + CLOCK_STEP_MS
    # The newest record is read in any case: days that it was billed in are over.
    offset = min(log.first_offset_at(NOTICES.name, now_ms - reach_ms), max(log.end(NOTICES.name) - 1, 0))
    while records := log.read(NOTICES.name, offset, _RECORDS_PER_READ):
        offset = records[-1].offset + 1
        for record in records:
            event = decode(NOTICES.name, record)
            if not isinstance(event, NoticesTaken):
                continue
            last = max(last, event.taken_at_ms)
            for notice in event.notices:
                if notice.verdict == Verdict.INVALID or notice.kind == Kind.CORRECTION:
                    # The ad stands as if it had not been said; a refund does not open it again.
                    continue
                ad = ads.setdefault(notice.impression_id, _Ad())
                if notice.kind == Kind.IMPRESSION:
                    ad.seen_at_ms = event.taken_at_ms
                elif notice.kind == Kind.CLICK:
                    ad.clicked_at_ms = event.taken_at_ms
                elif notice.kind >= Kind.VIEWABLE:
                    ad.said |= 1 << notice.kind
                else:
                    ad.order_ids = (*ad.order_ids, notice.order_id)
    return ads, last


def _add_unseen(
    log: EventLog, holds: Holds, book: BudgetBook, facts: Facts, noticed: Mapping[str, _Ad], now_ms: int
) -> None:
    """Every batch whose ads may still be seen, without those that were."""
    unseen_ms = holds.terms.unseen_ms
    offset = log.first_offset_at(AUCTIONS.name, now_ms - unseen_ms - AUCTION_LASTS_MS)
    for _, columns in _auctions(log, offset, log.end(AUCTIONS.name)):
        if is_over(columns.held_at_ms, unseen_ms, now_ms):
            continue
        batch = won_batch(columns, book, facts)
        unheard = np.array([i not in noticed for i in _impression_ids(batch)], np.bool_)
        holds.add(batch if unheard.all() else _only(batch, unheard))


def _find_seen(log: EventLog, book: BudgetBook, facts: Facts, alive: Mapping[str, _Ad]) -> list[Hold]:
    """The ads that were seen and are still open, out of the records of their auctions."""
    found: dict[str, Hold] = {}
    by_auction: dict[str, set[str]] = {}
    for impression_id in alive:
        by_auction.setdefault(impression_id[:32], set()).add(impression_id)
    offset = 0
    end = log.end(AUCTIONS.name)
    # Ids are ordered by time, as the log is: one walk forwards that leaps over what nobody needs.
    for auction_id in sorted(by_auction):
        if by_auction[auction_id] <= found.keys():
            continue
        made_ms = made_at_ms(number_of(auction_id))
        offset = max(offset, log.first_offset_at(AUCTIONS.name, made_ms))
        for at, columns in _auctions(log, offset, end):
            if columns.held_at_ms > made_ms + AUCTION_LASTS_MS:
                break
            offset = at
            _pick(columns, book, facts, alive, by_auction, found)
            if by_auction[auction_id] <= found.keys():
                break
    if len(found) < len(alive):
        # The clock was set meanwhile: the order of ids is not that of the log. Slow, and seldom.
        oldest_ms = min(made_at_ms(number_of(impression_id[:32])) for impression_id in alive)
        for _, columns in _auctions(log, log.first_offset_at(AUCTIONS.name, oldest_ms - 3_600_000), end):
            _pick(columns, book, facts, alive, by_auction, found)
    return list(found.values())


def _pick(
    columns: AuctionColumns,
    book: BudgetBook,
    facts: Facts,
    alive: Mapping[str, _Ad],
    by_auction: Mapping[str, set[str]],
    found: dict[str, Hold],
) -> None:
    ids = zip(columns.auction_id_high.tolist(), columns.auction_id_low.tolist(), strict=True)
    here = [i for high, low in ids for i in by_auction.get(text_of(high << 64 | low), ()) if i not in found]
    if not here:
        return
    batch = Holds()
    batch.add(won_batch(columns, book, facts))
    for impression_id in here:
        hold = batch.find(impression_id)
        if hold is not None:
            found[impression_id] = _with(hold, alive[impression_id])


def _with(hold: Hold, ad: _Ad) -> Hold:
    """The ad after its notices: its reservation went into the first one that it was billed for."""
    paid = {
        PricingModel.CPM: bool(ad.seen_at_ms),
        PricingModel.CPC: bool(ad.clicked_at_ms),
        PricingModel.CPA: bool(ad.order_ids),
        PricingModel.VCPM: bool(ad.said >> Kind.VIEWABLE & 1),
    }[PricingModel(hold.pricing_model)]
    return replace(
        hold,
        seen_at_ms=ad.seen_at_ms,
        clicked_at_ms=ad.clicked_at_ms,
        order_ids=ad.order_ids,
        said=ad.said,
        left_micros=0 if paid else hold.left_micros,
    )


def _only(batch: WonBatch, kept: NDArray[np.bool_]) -> WonBatch:
    entries = np.nonzero(kept)[0].tolist()
    columns = {
        name: getattr(batch, name)[kept]
        for name in WonBatch.__struct_fields__
        if isinstance(getattr(batch, name), np.ndarray)
    }

    def kept_of(texts: Mapping[int, str]) -> dict[int, str]:
        return {new: texts[old] for new, old in enumerate(entries) if old in texts}

    return replace(
        batch,
        product_ids=[batch.product_ids[entry] for entry in entries],
        placement_ids=[batch.placement_ids[entry] for entry in entries],
        currencies=kept_of(batch.currencies),
        outside_domains=kept_of(batch.outside_domains),
        billing_urls=kept_of(batch.billing_urls),
        **columns,
    )


def _impression_ids(batch: WonBatch) -> list[str]:
    pairs = zip(batch.page_row.tolist(), batch.placement_index.tolist(), strict=True)
    return [f"{batch.auction_ids[page]}.{index}" for page, index in pairs]


def _auctions(log: EventLog, offset: int, end: int) -> Iterator[tuple[int, AuctionColumns]]:
    while offset < end and (records := log.read(AUCTIONS.name, offset, _RECORDS_PER_READ)):
        offset = records[-1].offset + 1
        for record in records:
            event = decode(AUCTIONS.name, record)
            if isinstance(event, AuctionColumns):
                yield record.offset, event


def _as_hold(impression_id: str, ad: _Ad) -> Hold:
    """Enough of a hold to ask whether its time is over."""
    return Hold(
        impression_id, 0, 0, 0, -1, -1, PricingModel.CPM, 0, 0, "", "", "", "", "", ad.seen_at_ms, ad.clicked_at_ms
    )
