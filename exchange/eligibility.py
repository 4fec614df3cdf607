"""Which standing bids may run here, and which of them are the best? A walk down the order book, best first.

For each placement the walk merges the runs of postings that the page's terms open, checks targeting, then the rules
that need no price (deals, review, traits, schedule, stock, money, frequency), and stops when it has enough finalists. A
bid that matches and falls to a rule is a refused bid with its code; it is counted, and the first few are kept by name.

Runs of the deals that a placement offers are walked before the open ones, guaranteed deals first: what a buyer was
promised must be found even where others would pay more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.order_book import ANY_TERM, OrderBook
from exchange.pacing_draw import NOBODY, Paces, count_met, held_back
from exchange.refusals import Refusal
from exchange.traits import REFUSAL_OF_KIND, Kind
from exchange.walk_arrays import (
    BY_SESSION,
    BY_VISITOR,
    FINALISTS,
    REFUSED_RECORDED,
    Finalists,
    PageArrays,
    Scratch,
    room_for,
)
from exchange.walk_rules import (
    KEPT_OUT,
    NO_DEAL,
    blocked_kind,
    deal_of,
    falls_to_share,
    match_weight,
    missing_kind,
    run_of,
    times_seen,
)
from ranking.kernel_cache import kernel

__all__ = ["CODES", "CODE_INDEX", "FINALISTS", "REFUSED_RECORDED", "Finalists", "PageArrays", "Scratch", "eligible"]

# Finalists that are found under deals, at most: the others are there in case no deal clears.
DEAL_FINALISTS = 5
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
_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]
_CAPPED = CODE_INDEX[Refusal.FREQUENCY_CAPPED]
_SCHEDULE = CODE_INDEX[Refusal.OUT_OF_SCHEDULE]
_STOCK = CODE_INDEX[Refusal.OUT_OF_STOCK]
_NOT_IN_DEAL = CODE_INDEX[Refusal.NOT_ALLOWED_IN_DEAL]
_PRIVATE = CODE_INDEX[Refusal.PRIVATE_AUCTION]
_OF_KIND = tuple(CODE_INDEX[REFUSAL_OF_KIND[kind]] for kind in Kind)
_PACED = CODE_INDEX[Refusal.PACED]
_SPEND_UNKNOWN = CODE_INDEX[Refusal.SPEND_UNKNOWN]

# Guaranteed deals, other deals, the open.
_GUARANTEED, _OPEN = 0, 2


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
    found = room_for(len(pages.placement_term), len(CODES))
    _walk(
        book.packed, _Book(*[getattr(book, name) for name in _Book._fields]), pages, available_micros, scratch, found,
        now_ms, paces,
    )  # fmt: skip
    return found


class _Book(NamedTuple):
    """What the walk reads of the order book beside its records."""

    ad_trait: NDArray[np.int32]
    trait_kind: NDArray[np.uint8]
    item_deal: NDArray[np.int32]
    cap_scope: NDArray[np.int8]
    cap_impressions: NDArray[np.int32]
    cap_window_ms: NDArray[np.int64]
    cap_share: NDArray[np.uint64]
    clause_term: NDArray[np.int32]
    terms: NDArray[np.int32]
    table_key: NDArray[np.int64]
    table_run: NDArray[np.int32]
    run_start: NDArray[np.int32]
    postings: NDArray[np.int32]
    posting_worth: NDArray[np.int64]
    term_used: NDArray[np.uint8]
    product_in_stock: NDArray[np.uint8]


@kernel
def _walk(packed, book, pages, available, scratch, found, now_ms, paces):  # type: ignore[no-untyped-def]
    ads, items = packed.ad, packed.item
    paced, out_of_money = paces.threshold.shape[0] > 0, _SPEND_UNKNOWN if paces.spend_unknown else _BUDGET
    ad_trait, trait_kind, item_deal = book.ad_trait, book.trait_kind, book.item_deal
    cap_scope, cap_impressions, cap_window_ms, cap_share = (
        book.cap_scope, book.cap_impressions, book.cap_window_ms, book.cap_share,
    )  # fmt: skip
    clause_term, terms = book.clause_term, book.terms
    table_key, table_run, run_start, term_used = book.table_key, book.table_run, book.run_start, book.term_used
    postings, posting_worth, in_stock = book.postings, book.posting_worth, book.product_in_stock
    term_met, term_weight, blocked, allowed, met = (
        scratch.term, scratch.weight, scratch.block, scratch.allow, scratch.ad,
    )  # fmt: skip
    seen_number, seen_creative, seen_campaign, seen_brand, seen_at_ms = (
        pages.seen_number, pages.seen_creative, pages.seen_campaign, pages.seen_brand, pages.seen_at_ms,
    )  # fmt: skip
    hour_of_week, page_term = pages.hour_of_week, pages.term
    deal_term, deal_floor, deal_needs, deal_guaranteed = (
        pages.deal_term, pages.deal_floor, pages.deal_needs, pages.deal_guaranteed,
    )  # fmt: skip
    deal_trait_start, deal_trait = pages.deal_trait_start, pages.deal_trait
    found_ad, found_weight, found_deal = found.ad, found.weight, found.deal

    head = np.empty(RUNS, np.int64)
    end = np.empty(RUNS, np.int64)
    head_worth = np.empty(RUNS, np.int64)
    head_ad = np.empty(RUNS, np.int32)
    for page in range(pages.placement_start.shape[0] - 1):
        stamp = scratch.stamp[0] + 1
        scratch.stamp[0] = stamp
        page_first, page_last = pages.term_start[page], pages.term_start[page + 1]
        for at in range(page_first, page_last):
            term_met[page_term[at]] = stamp
            term_weight[page_term[at]] = pages.term_weight[at]
        term_met[ANY_TERM] = stamp
        term_weight[ANY_TERM] = 0.0
        for at in range(pages.allow_start[page], pages.allow_start[page + 1]):
            allowed[pages.allow[at]] = stamp
        asked = np.int64(pages.allow_kinds[page])
        known_by = pages.known_by[page]
        chance = pages.chance[page]
        seen_first, seen_split, seen_last = pages.seen_start[page], pages.seen_split[page], pages.seen_start[page + 1]
        for placement in range(pages.placement_start[page], pages.placement_start[page + 1]):
            if pages.same_as_before[placement] and placement > pages.placement_start[page]:
                before = placement - 1
                found.kept[placement] = found.kept[before]
                found.refused_count[placement] = found.refused_count[before]
                found_ad[placement] = found_ad[before]
                found_weight[placement] = found_weight[before]
                found_deal[placement] = found_deal[before]
                found.refused_ad[placement] = found.refused_ad[before]
                found.refused_code[placement] = found.refused_code[before]
                found.refused_total[placement] = found.refused_total[before]
                continue
            # The placement's own stamp marks its blocks and the standing bids it has met.
            own = scratch.stamp[0] + 1
            scratch.stamp[0] = own
            blocks = pages.block_start[placement + 1] - pages.block_start[placement]
            for at in range(pages.block_start[placement], pages.block_start[placement + 1]):
                blocked[pages.block[at]] = own
            placement_term = pages.placement_term[placement]
            if placement_term >= 0:
                term_met[placement_term] = stamp
                term_weight[placement_term] = 0.0

            private = pages.private[placement]
            deal_first, deal_last = pages.deal_start[placement], pages.deal_start[placement + 1]
            kept = 0
            walked = 0
            for turn in range(_GUARANTEED if deal_first < deal_last else _OPEN, _OPEN + 1):
                heads = 0
                for at_shape in range(pages.shape_start[placement], pages.shape_start[placement + 1]):
                    shape = pages.shape[at_shape]
                    first_term, last_term = (page_first - 2, page_last) if turn == _OPEN else (deal_first, deal_last)
                    for at in range(first_term, last_term):
                        if turn != _OPEN:
                            if deal_guaranteed[at] != (turn == _GUARANTEED):
                                continue
                            term = deal_term[at]
                        elif at == page_first - 2:
                            term = np.int32(ANY_TERM)
                        elif at == page_first - 1:
                            if placement_term < 0:
                                continue
                            term = placement_term
                        else:
                            term = page_term[at]
                        if term_used[term] == 0:
                            continue
                        run = run_of(table_key, table_run, shape, term)
                        if run >= 0 and heads < RUNS and run_start[run] < run_start[run + 1]:
                            start = run_start[run]
                            head[heads] = start
                            end[heads] = run_start[run + 1]
                            head_worth[heads] = posting_worth[start]
                            head_ad[heads] = postings[start]
                            heads += 1

                most = FINALISTS if turn == _OPEN else DEAL_FINALISTS
                while heads > 0 and kept < most and walked < WALK_LIMIT:
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
                        head_worth[best] = posting_worth[head[best]]
                        head_ad[best] = postings[head[best]]
                    if met[best_ad] == own:
                        continue
                    ad = ads[best_ad]
                    item = items[ad.item]
                    deal = NO_DEAL
                    if deal_first < deal_last:
                        deal = deal_of(
                            deal_first, deal_last, deal_term, deal_floor, deal_needs, deal_trait_start, deal_trait,
                            item.deal_start, item.deal_end, item_deal, item.seat, item.domain, ad.worth,
                        )  # fmt: skip
                        if turn != _OPEN and deal < 0 and not (item.deals_only or private):
                            # It bids in the open, and is met there in its turn.
                            continue
                        if turn == _GUARANTEED and deal >= 0 and not deal_guaranteed[deal]:
                            continue
                    met[best_ad] = own
                    walked += 1
                    weight = match_weight(
                        item.clause_start, item.clause_end, clause_term, terms, term_met, term_weight, stamp
                    )
                    if weight < 0.0:
                        continue

                    # The first rule that refuses decides the code; the cheap ones come first.
                    code = 0
                    if deal < 0 and (private or item.deals_only):
                        code = _NOT_IN_DEAL if deal == KEPT_OUT else _PRIVATE
                    elif ad.review != 2:
                        code = _PENDING if ad.review == 1 else _REFUSED
                    if code == 0 and (blocks > 0 or asked):
                        kind = blocked_kind(ad.trait_start, ad.trait_end, ad_trait, trait_kind, blocked, own)
                        if kind < 0 and asked:
                            kind = missing_kind(
                                ad.trait_start, ad.trait_end, ad_trait, trait_kind, allowed, stamp, asked
                            )
                        if kind >= 0:
                            code = _OF_KIND[kind]
                    if code == 0:
                        hour = hour_of_week[page, item.zone]
                        hours = item.hours_0 if hour < 64 else item.hours_1 if hour < 128 else item.hours_2
                        if (
                            now_ms < item.starts_at_ms
                            or now_ms >= item.ends_at_ms
                            or (hours >> np.uint64(hour & 63)) & np.uint64(1) == 0
                        ):
                            code = _SCHEDULE
                        elif ad.product >= 0 and in_stock[ad.product] == 0:
                            code = _STOCK
                        elif available[item.account] < ad.cost or available[item.campaign_account] < ad.cost:
                            code = out_of_money
                            if paced:
                                count_met(paces, item.account, item.campaign_account)
                    if code == 0:
                        # What cannot be counted in the way that a cap asks for is counted in the other.
                        for cap in range(item.cap_start, item.cap_end):
                            if known_by == 0:
                                if falls_to_share(item.number, chance, cap_share[cap]):
                                    code = _CAPPED
                                continue
                            scope = cap_scope[cap]
                            first, last = seen_split, seen_last
                            if known_by & BY_VISITOR and (scope > 0 or known_by & BY_SESSION == 0):
                                first, last = seen_first, seen_split
                            since_ms = now_ms - cap_window_ms[cap]
                            if scope == 1 or scope == -1:
                                count = times_seen(first, last, seen_number, seen_at_ms, item.number, since_ms)
                            elif scope == 2 or scope == -2:
                                count = times_seen(first, last, seen_campaign, seen_at_ms, item.campaign, since_ms)
                            elif scope == 3 or scope == -3:
                                count = times_seen(first, last, seen_brand, seen_at_ms, item.brand, since_ms)
                            else:
                                count = times_seen(first, last, seen_creative, seen_at_ms, ad.creative, since_ms)
                            if count >= cap_impressions[cap]:
                                code = _CAPPED
                    # Last, so that only those auctions are drawn for that nothing else keeps it out of.
                    if (
                        code == 0
                        and paced
                        and held_back(
                            paces, page, available, item.account, item.number, item.campaign_account, item.campaign
                        )
                    ):
                        code = _PACED
                    if code == 0:
                        of_advertiser = 0
                        of_product = 0
                        for i in range(kept):
                            other = ads[found_ad[placement, i]]
                            if items[other.item].advertiser == item.advertiser:
                                of_advertiser += 1
                            if ad.product >= 0 and other.product == ad.product:
                                of_product += 1
                        if of_advertiser >= PER_ADVERTISER or of_product >= PER_PRODUCT:
                            code = _LOST
                    if code == 0:
                        found_ad[placement, kept] = best_ad
                        found_weight[placement, kept] = weight
                        found_deal[placement, kept] = pages.deal_row[deal] if deal >= 0 else -1
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
                term_met[placement_term] = 0
