"""Which standing bids may run here, and which of them are the best? A walk down the order book, best first.

For each placement the walk merges the runs of postings that the page's terms open, checks targeting, then the rules
that need no price (review, blocks, schedule, stock, money, frequency), and stops when it has enough finalists. A bid
that matches and falls to a rule is a refused bid with its code; it is counted, and the first few are kept by name.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from exchange.order_book import ANY_TERM, OrderBook
from exchange.pacing_draw import NOBODY, Paces, count_met, held_back
from exchange.refusals import Refusal

# Finalists of a placement; the ranker scores these and no others.
FINALISTS = 8
# Refused bids of a placement that are recorded one by one; the rest is counted.
REFUSED_RECORDED = 8
# Standing bids that one placement looks at, at most.
WALK_LIMIT = 4096
# Runs of postings that one placement merges, at most; the page's rarest terms come last.
RUNS = 512
# Finalists of one advertiser for a placement: only one can win, the second is there in case the first is refused.
PER_ADVERTISER = 2
# And of one product, for the same reason: otherwise the sellers of one bestseller fill all places of the finalists, and
# a page of three placements can show it once.
PER_PRODUCT = 2

# Codes as small indices for counting arrays; index 0 is WON.
CODES: tuple[int, ...] = tuple(int(code) for code in Refusal)
CODE_INDEX = {code: index for index, code in enumerate(CODES)}

_LOST = CODE_INDEX[Refusal.LOST_TO_HIGHER_BID]
_PENDING = CODE_INDEX[Refusal.CREATIVE_PENDING]
_REFUSED = CODE_INDEX[Refusal.CREATIVE_REFUSED]
_ADVERTISER = CODE_INDEX[Refusal.ADVERTISER_BLOCKED]
_CATEGORY = CODE_INDEX[Refusal.CATEGORY_BLOCKED]
_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]
_CAPPED = CODE_INDEX[Refusal.FREQUENCY_CAPPED]
_SCHEDULE = CODE_INDEX[Refusal.OUT_OF_SCHEDULE]
_STOCK = CODE_INDEX[Refusal.OUT_OF_STOCK]
_PACED = CODE_INDEX[Refusal.PACED]
_SPEND_UNKNOWN = CODE_INDEX[Refusal.SPEND_UNKNOWN]


class PageArrays(NamedTuple):
    """A batch of page views as the walk reads them; CSR where a page view has many of a thing."""

    term_start: NDArray[np.int32]  # (pages + 1)
    term: NDArray[np.int32]
    term_weight: NDArray[np.float32]
    affinity_start: NDArray[np.int32]  # (pages + 1): products this visitor has shown an affinity to
    affinity_product: NDArray[np.int32]  # row of the product
    affinity_weight: NDArray[np.float32]
    seen_start: NDArray[np.int32]  # (pages + 1): impressions this visitor has had
    seen_number: NDArray[np.uint32]
    seen_at_ms: NDArray[np.int64]
    hour_of_week: NDArray[np.int32]  # (pages, time zones)
    placement_start: NDArray[np.int32]  # (pages + 1)
    # One entry for each placement.
    placement_term: NDArray[np.int32]  # -1 when no line item targets this placement
    shape_start: NDArray[np.int32]  # (placements + 1)
    shape: NDArray[np.int32]
    block_start: NDArray[np.int32]  # (placements + 1)
    block: NDArray[np.int32]  # block terms: categories and domains
    # 1 when the placement before asks for exactly the same: its walk is reused.
    same_as_before: NDArray[np.uint8]


class Scratch(NamedTuple):
    """Stamps that save clearing: an entry counts only when it holds the current stamp."""

    term: NDArray[np.int64]
    weight: NDArray[np.float32]
    block: NDArray[np.int64]
    ad: NDArray[np.int64]
    stamp: NDArray[np.int64]  # one number: the last stamp used


class Finalists(NamedTuple):
    """What the walk found, by placement."""

    kept: NDArray[np.int32]  # (placements,): how many finalists
    ad: NDArray[np.int32]  # (placements, FINALISTS)
    weight: NDArray[np.float32]  # (placements, FINALISTS): summed weight of the matched terms
    refused_count: NDArray[np.int32]  # (placements,): recorded ones
    refused_ad: NDArray[np.int32]  # (placements, REFUSED_RECORDED)
    refused_code: NDArray[np.int32]  # (placements, REFUSED_RECORDED): index into CODES
    refused_total: NDArray[np.int32]  # (placements, len(CODES)): all of them


def scratch_for(terms: int, ads: int, blocks: int) -> Scratch:
    """Fresh scratch for so many terms, standing bids and block terms."""
    return Scratch(
        np.zeros(terms, np.int64),
        np.zeros(terms, np.float32),
        np.zeros(blocks, np.int64),
        np.zeros(ads, np.int64),
        np.zeros(1, np.int64),
    )


def eligible(
    book: OrderBook,
    pages: PageArrays,
    available_micros: NDArray[np.int64],
    scratch: Scratch,
    now_ms: int,
    paces: Paces = NOBODY,
) -> Finalists:
    """The finalists of every placement of the batch.

    `available_micros` is the budget book's array, only read here; `paces` are those of its rows. Dates and caps go by
    `now_ms`, the exchange's own time; hours of the week by the time of the page view.
    """
    placements = len(pages.placement_term)
    found = Finalists(
        np.zeros(placements, np.int32),
        np.empty((placements, FINALISTS), np.int32),
        np.empty((placements, FINALISTS), np.float32),
        np.zeros(placements, np.int32),
        np.empty((placements, REFUSED_RECORDED), np.int32),
        np.empty((placements, REFUSED_RECORDED), np.int32),
        np.zeros((placements, len(CODES)), np.int32),
    )
    _walk(book, pages, available_micros, scratch, found, now_ms, paces)
    return found


@numba.njit(cache=True, nogil=True, inline="always")
def _run_of(book, shape, term):  # type: ignore[no-untyped-def]
    key = np.int64(shape) << 32 | np.int64(term)
    mask = book.table_key.shape[0] - 1
    slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask
    while book.table_key[slot] != -1:
        if book.table_key[slot] == key:
            return book.table_run[slot]
        slot = (slot + 1) & mask
    return np.int32(-1)


@numba.njit(cache=True, nogil=True, inline="always")
def _match_weight(book, item, scratch, stamp):  # type: ignore[no-untyped-def]
    """Summed weight of matched terms, or -1 when a clause has no match."""
    weight = np.float32(0.0)
    for clause in range(book.item_clause[item], book.item_clause[item + 1]):
        hit = False
        for at in range(book.clause_term[clause], book.clause_term[clause + 1]):
            term = book.terms[at]
            if scratch.term[term] == stamp:
                hit = True
                weight += scratch.weight[term]
        if not hit:
            return np.float32(-1.0)
    return weight


@numba.njit(cache=True, nogil=True, inline="always")
def _refusal(book, ad, item, pages, page, available, scratch, block_stamp, now_ms, paces):  # type: ignore[no-untyped-def]
    """Index into CODES of the first rule that refuses, 0 when none does. The cheap rules come first."""
    review = book.ad_review[ad]
    if review != 2:
        return _PENDING if review == 1 else _REFUSED
    domain = book.item_domain[item]
    if domain >= 0 and scratch.block[domain] == block_stamp:
        return _ADVERTISER
    category = book.ad_category[ad]
    if category >= 0 and scratch.block[category] == block_stamp:
        return _CATEGORY
    if now_ms < book.item_starts_at_ms[item] or now_ms >= book.item_ends_at_ms[item]:
        return _SCHEDULE
    hour = pages.hour_of_week[page, book.item_zone[item]]
    if (book.item_hours[item, hour >> 6] >> np.uint64(hour & 63)) & np.uint64(1) == 0:
        return _SCHEDULE
    product = book.ad_product[ad]
    if product >= 0 and book.product_in_stock[product] == 0:
        return _STOCK
    cost = book.ad_cost[ad]
    account, campaign_account = book.item_account[item], book.item_campaign_account[item]
    if available[account] < cost or available[campaign_account] < cost:
        count_met(paces, account, campaign_account)
        return _SPEND_UNKNOWN if paces.spend_unknown else _BUDGET
    cap = book.item_cap[item]
    if cap > 0:
        number = book.item_number[item]
        since = now_ms - book.item_cap_window_ms[item]
        count = 0
        for at in range(pages.seen_start[page], pages.seen_start[page + 1]):
            if pages.seen_number[at] == number and pages.seen_at_ms[at] > since:
                count += 1
        if count >= cap:
            return _CAPPED
    if held_back(paces, page, available, account, book.item_number[item], campaign_account, book.item_campaign[item]):
        return _PACED
    return 0


@numba.njit(cache=True, nogil=True)
def _walk(book, pages, available, scratch, found, now_ms, paces):  # type: ignore[no-untyped-def]
    head = np.empty(RUNS, np.int64)
    end = np.empty(RUNS, np.int64)
    head_worth = np.empty(RUNS, np.int64)
    head_ad = np.empty(RUNS, np.int32)
    for page in range(pages.placement_start.shape[0] - 1):
        stamp = scratch.stamp[0] + 1
        scratch.stamp[0] = stamp
        first_term = pages.term_start[page]
        last_term = pages.term_start[page + 1]
        for at in range(first_term, last_term):
            scratch.term[pages.term[at]] = stamp
            scratch.weight[pages.term[at]] = pages.term_weight[at]
        scratch.term[ANY_TERM] = stamp
        scratch.weight[ANY_TERM] = 0.0
        for placement in range(pages.placement_start[page], pages.placement_start[page + 1]):
            if pages.same_as_before[placement] and placement > pages.placement_start[page]:
                before = placement - 1
                found.kept[placement] = found.kept[before]
                found.refused_count[placement] = found.refused_count[before]
                found.ad[placement] = found.ad[before]
                found.weight[placement] = found.weight[before]
                found.refused_ad[placement] = found.refused_ad[before]
                found.refused_code[placement] = found.refused_code[before]
                found.refused_total[placement] = found.refused_total[before]
                continue
            # The placement's own stamp marks its blocks and the standing bids it has met.
            own = scratch.stamp[0] + 1
            scratch.stamp[0] = own
            for at in range(pages.block_start[placement], pages.block_start[placement + 1]):
                scratch.block[pages.block[at]] = own
            placement_term = pages.placement_term[placement]
            if placement_term >= 0:
                scratch.term[placement_term] = stamp
                scratch.weight[placement_term] = 0.0

            heads = 0
            for at_shape in range(pages.shape_start[placement], pages.shape_start[placement + 1]):
                shape = pages.shape[at_shape]
                for at in range(first_term - 2, last_term):
                    if at == first_term - 2:
                        term = np.int32(ANY_TERM)
                    elif at == first_term - 1:
                        if placement_term < 0:
                            continue
                        term = placement_term
                    else:
                        term = pages.term[at]
                    if book.term_used[term] == 0:
                        continue
                    run = _run_of(book, shape, term)
                    if run >= 0 and heads < RUNS:
                        start = book.run_start[run]
                        head[heads] = start
                        end[heads] = book.run_start[run + 1]
                        head_worth[heads] = book.posting_worth[start]
                        head_ad[heads] = book.postings[start]
                        heads += 1

            kept = 0
            walked = 0
            while heads > 0 and kept < FINALISTS and walked < WALK_LIMIT:
                best = 0
                for i in range(1, heads):
                    if head_worth[i] > head_worth[best] or (
                        head_worth[i] == head_worth[best] and head_ad[i] < head_ad[best]
                    ):
                        best = i
                best_ad = head_ad[best]
                head[best] += 1
                if head[best] == end[best]:
                    heads -= 1
                    head[best] = head[heads]
                    end[best] = end[heads]
                    head_worth[best] = head_worth[heads]
                    head_ad[best] = head_ad[heads]
                else:
                    head_worth[best] = book.posting_worth[head[best]]
                    head_ad[best] = book.postings[head[best]]
                if scratch.ad[best_ad] == own:
                    continue
                scratch.ad[best_ad] = own
                walked += 1
                item = book.ad_item[best_ad]
                weight = _match_weight(book, item, scratch, stamp)
                if weight < 0.0:
                    continue
                code = _refusal(book, best_ad, item, pages, page, available, scratch, own, now_ms, paces)
                if code == 0:
                    of_advertiser = 0
                    of_product = 0
                    product = book.ad_product[best_ad]
                    for i in range(kept):
                        other = book.ad_item[found.ad[placement, i]]
                        if book.item_advertiser[other] == book.item_advertiser[item]:
                            of_advertiser += 1
                        if product >= 0 and book.ad_product[found.ad[placement, i]] == product:
                            of_product += 1
                    if of_advertiser >= PER_ADVERTISER or of_product >= PER_PRODUCT:
                        code = _LOST
                if code == 0:
                    found.ad[placement, kept] = best_ad
                    found.weight[placement, kept] = weight
                    kept += 1
                else:
                    found.refused_total[placement, code] += 1
                    recorded = found.refused_count[placement]
                    if recorded < REFUSED_RECORDED:
                        found.refused_ad[placement, recorded] = best_ad
                        found.refused_code[placement, recorded] = code
                        found.refused_count[placement] = recorded + 1
            found.kept[placement] = kept
            if placement_term >= 0:
                scratch.term[placement_term] = 0
