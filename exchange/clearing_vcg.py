"""Which slate of the page is worth most, and what does each winner's presence cost the others? Vickrey-Clarke-Groves.

The slate is found by branch and bound over the placements that are still open: the best candidates first, a branch is
left when even the best candidate of each open placement could not beat the best slate so far. The players are
advertisers. One pays the worth that the others could have had without it, less the worth they have beside it; that
takes one more search for each winner. Worth counts from the placement's floor on, because the publisher would rather
keep a placement than sell it for less: so no price is below the floor, and it is still nobody's advantage to bid
anything but its value (exactly so where all bids for a placement have one floor, that is without deals).

The work is bounded: SEARCH_STEPS for a page, all searches together. A search that runs out of them goes on with the
best slate it has met, which is never worse than the best candidate of each placement in turn, and prices stay between
floor and bid. Three placements of eight finalists never come to it.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.clearing_prices import in_own_units, runner_up, to_reserve
from exchange.clearing_rules import keep_out, rivals
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from ranking.kernel_cache import kernel

# Candidates that the searches for one page look at, all together: a millisecond or two.
SEARCH_STEPS: Final = 20_000
_BUDGET = CODE_INDEX[Refusal.BUDGET_EXHAUSTED]


class Slates(NamedTuple):
    """One page as the search sees it; rows and placements are counted from the page's first."""

    placements: NDArray[np.int64]  # open ones with candidates, the one with the most to win first
    order: NDArray[np.int64]  # candidates, best first within each placement
    order_start: NDArray[np.int64]  # (placements of the page + 1)
    value: NDArray[np.float64]  # by row: worth above the placement's least floor
    advertiser: NDArray[np.int64]
    out: NDArray[np.uint8]  # by row: 1 when its money did not suffice
    apart: NDArray[np.uint8]  # (rows, rows): 1 when two may not win together
    namesakes: NDArray[np.int32]  # by row: ads of its advertiser that are sold already
    limits: NDArray[np.int64]  # (most of one advertiser, most ads to come)
    steps: NDArray[np.int64]  # one number: candidates looked at so far


@kernel
def sell_slate(bids, terms, worth, available, winners, page, first, last):
    """Sell the open placements of a page under VCG: winners, prices and reservations are filled in."""
    start, end = terms.placement_start[page], terms.placement_start[page + 1]
    slates, base = _slates(bids, terms, worth, winners, page, first, last)
    slate = np.full(end - start, -1, np.int64)
    while True:
        slate[:] = -1
        total = _search(slates, -1, slate, -1.0)
        short = _reserve(bids, worth, available, slate, first)
        if short < 0:
            break
        # Its money does not suffice: the slate is sought again without it.
        bids.outcome[short] = _BUDGET
        slates.out[short - first] = 1
    others = np.empty_like(slate)
    for place in range(end - start):
        chosen = slate[place]
        if chosen < 0:
            continue
        row = first + chosen
        if worth.rule[row] == 502:
            # What this advertiser brings, and what the others could make of the page without it.
            mine = 0.0
            for at in range(end - start):
                same = slate[at] >= 0 and bids.advertiser[first + slate[at]] == bids.advertiser[row]
                others[at] = -1 if same else slate[at]
                mine += slates.value[slate[at]] if same else 0.0
            without = _search(slates, bids.advertiser[row], others, total - mine)
            # An advertiser with several placements pays for each by what it brings.
            part = (without - (total - mine)) * slates.value[chosen] / mine if mine > 0.0 else 0.0
            per_mille = max(worth.floor[row], base[place] + part)
            bids.price_micros[row] = in_own_units(
                per_mille, bids.pricing[row], worth.share[row], bids.rate[row], bids.bid_micros[row]
            )
    for place in range(end - start):
        if slate[place] >= 0:
            row = first + slate[place]
            if worth.rule[row] == 501:
                # A deal's own rule: its rank is against those who may still win elsewhere, as where best is sold first.
                worth.ahead_of[row] = runner_up(
                    bids.placement, bids.outcome, worth.score, worth.tier, worth.kept_out, row
                )
            bids.outcome[row] = 0
            winners[start + place] = row
            keep_out(
                bids.placement, bids.advertiser, bids.product, bids.category, worth.kept_out, worth.namesakes,
                terms.most_per_advertiser[page], terms.separate[page], first, last, row,
            )  # fmt: skip


@kernel
def _slates(bids, terms, worth, winners, page, first, last):
    """(what there is to search, the least floor of each placement among its candidates)."""
    start, end = terms.placement_start[page], terms.placement_start[page + 1]
    order = np.empty(last - first, np.int64)
    order_start = np.zeros(end - start + 1, np.int64)
    base = np.zeros(end - start, np.float64)
    value = np.zeros(last - first, np.float64)
    placements = np.empty(end - start, np.int64)
    opened, count, sold = 0, 0, 0
    row = first
    for place in range(end - start):
        begin = count
        sold += winners[start + place] >= 0
        while row < last and bids.placement[row] == start + place:
            if bids.outcome[row] == -1 and winners[start + place] < 0 and worth.kept_out[row] == 0:
                if count == begin or worth.floor[row] < base[place]:
                    base[place] = worth.floor[row]
                to = count
                while to > begin and worth.score[first + order[to - 1]] < worth.score[row]:
                    order[to] = order[to - 1]
                    to -= 1
                order[to] = row - first
                count += 1
            row += 1
        order_start[place + 1] = count
        for at in range(begin, count):
            value[order[at]] = worth.score[first + order[at]] - base[place]
        if count > begin:
            to = opened
            while to > 0 and value[order[order_start[placements[to - 1]]]] < value[order[begin]]:
                placements[to] = placements[to - 1]
                to -= 1
            placements[to] = place
            opened += 1
    most = terms.most_per_advertiser[page]
    apart = rivals(bids.advertiser, bids.product, bids.category, most, terms.separate[page], first, last)
    limits = np.array([np.int64(most), np.int64(terms.most_ads[page] - sold)])
    slates = Slates(
        placements[:opened], order, order_start, value, bids.advertiser[first:last], np.zeros(last - first, np.uint8),
        apart, worth.namesakes[first:last], limits, np.zeros(1, np.int64),
    )  # fmt: skip
    return slates, base


@kernel
def _reserve(bids, worth, available, slate, first):
    """Reserve what the slate bids; the row whose money does not suffice, with nothing reserved then, or -1."""
    for place in range(slate.shape[0]):
        row = first + slate[place]
        if slate[place] < 0 or bids.account[row] < 0:
            continue
        account, campaign = bids.account[row], bids.campaign_account[row]
        cost = to_reserve(bids.pricing[row], bids.bid_micros[row], worth.share[row])
        if available[account] < cost or available[campaign] < cost:
            for before in range(place):
                back = first + slate[before]
                if slate[before] >= 0 and bids.account[back] >= 0:
                    available[bids.account[back]] += bids.reserved_micros[back]
                    available[bids.campaign_account[back]] += bids.reserved_micros[back]
                    bids.reserved_micros[back] = 0
            return row
        available[account] -= cost
        available[campaign] -= cost
        bids.reserved_micros[row] = cost
    return -1


@kernel
def _search(slates, without, best, best_value):
    """Make of `best` (by placement: a row, or -1) the slate of most value without advertiser `without`; its value."""
    placements, order, order_start, value = slates.placements, slates.order, slates.order_start, slates.value
    depths = placements.shape[0]
    chosen = np.full(depths + 1, -1, np.int64)
    pointer = np.empty(depths + 1, np.int64)
    so_far = np.zeros(depths + 1, np.float64)
    room = np.empty(depths + 1, np.float64)
    met = False
    depth = 0
    if depths > 0:
        pointer[0] = order_start[placements[0]]
    while depth >= 0:
        if depth == depths:
            met = True
            if so_far[depth] > best_value:
                best_value = so_far[depth]
                best[:] = -1
                for at in range(depths):
                    best[placements[at]] = chosen[at]
            depth -= 1
            continue
        end = order_start[placements[depth] + 1]
        at = pointer[depth]
        chosen[depth] = -1
        # Behind the last candidate the placement stays unsold; behind that there is nothing more to try.
        if at > end or (met and slates.steps[0] >= SEARCH_STEPS):
            depth -= 1
            continue
        if so_far[depth] + _bound(slates, without, chosen, depth, at, room) <= best_value:
            depth -= 1
            continue
        pointer[depth] = at + 1
        gain = 0.0
        if at < end:
            slates.steps[0] += 1
            if not _fits(slates, without, chosen, depth, order[at]):
                continue
            chosen[depth] = order[at]
            gain = value[order[at]]
        depth += 1
        so_far[depth] = so_far[depth - 1] + gain
        if depth < depths:
            pointer[depth] = order_start[placements[depth]]
    return best_value


@kernel
def _fits(slates, without, chosen, depth, row):
    """May this row win beside what is chosen for the placements before?"""
    apart, advertiser = slates.apart, slates.advertiser
    if advertiser[row] == without or slates.out[row] != 0:
        return False
    ads = 0
    of_advertiser = slates.namesakes[row]
    for at in range(depth):
        other = chosen[at]
        if other >= 0:
            if apart[other, row] != 0:
                return False
            ads += 1
            of_advertiser += advertiser[other] == advertiser[row]
    return of_advertiser < slates.limits[0] and ads < slates.limits[1]


@kernel
def _bound(slates, without, chosen, depth, at_depth, room):
    """What the placements from `depth` on could bring at most: the best of each by itself, as many as may be sold."""
    left = slates.limits[1]
    for at in range(depth):
        left -= chosen[at] >= 0
    count = 0
    for deeper in range(depth, slates.placements.shape[0]):
        place = slates.placements[deeper]
        begin = at_depth if deeper == depth else slates.order_start[place]
        for at in range(begin, slates.order_start[place + 1]):
            row = slates.order[at]
            if _fits(slates, without, chosen, depth, row):
                to = count
                while to > 0 and room[to - 1] < slates.value[row]:
                    room[to] = room[to - 1]
                    to -= 1
                room[to] = slates.value[row]
                count += 1
                break
    total = 0.0
    for at in range(min(count, left)):
        total += room[at]
    return total
