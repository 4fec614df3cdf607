"""Does one standing bid meet one rule? What the walk asks of a bid, each as a compiled function over plain arrays."""

from __future__ import annotations

import numpy as np

from exchange.placement_asks import ADVERTISERS, SEATS
from exchange.traits import PASSES_UNSAID
from ranking.kernel_cache import kernel

# `deal_of` when the placement offers none of a line item's deals, or none whose terms let it in.
NO_DEAL, KEPT_OUT = -1, -2
_UNSAID = sum(1 << kind for kind in PASSES_UNSAID)

# The functions of the walk take arrays one by one: a tuple of them that is handed on costs a count of each array's
# references, for every standing bid that is looked at.


@kernel
def run_of(table_key, table_run, shape, term):  # type: ignore[no-untyped-def]
    """The run of a shape and a term; -1 when there is none."""
    key = np.int64(shape) << 32 | np.int64(term)
    mask = table_key.shape[0] - 1
    slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask
    while table_key[slot] != -1:
        if table_key[slot] == key:
            return table_run[slot]
        slot = (slot + 1) & mask
    return np.int32(-1)


@kernel
def match_weight(first, last, clause_term, terms, met, weights, stamp):  # type: ignore[no-untyped-def]
    """Summed weight of matched terms, or -1 when a clause has no match."""
    weight = np.float32(0.0)
    for clause in range(first, last):
        hit = False
        for at in range(clause_term[clause], clause_term[clause + 1]):
            term = terms[at]
            if met[term] == stamp:
                hit = True
                weight += weights[term]
        if not hit:
            return np.float32(-1.0)
    return weight


@kernel
def deal_of(  # type: ignore[no-untyped-def]
    first, last, deal_term, deal_floor, deal_needs, trait_start, traits, first_own, last_own, own_deals, seat, domain,
    worth
):  # fmt: skip
    """The deal that a bid stands under, as an index into the batch's deals: the first whose floor it is worth, else the
    last; NO_DEAL or KEPT_OUT when there is none.
    """
    found = NO_DEAL
    for entry in range(first, last):
        held = False
        for at in range(first_own, last_own):
            if own_deals[at] == deal_term[entry]:
                held = True
        if not held:
            continue
        met = 0
        for at in range(trait_start[entry], trait_start[entry + 1]):
            if traits[at] == seat:
                met |= SEATS
            if traits[at] == domain:
                met |= ADVERTISERS
        if deal_needs[entry] & ~met:
            if found == NO_DEAL:
                found = KEPT_OUT
            continue
        found = entry
        if worth >= deal_floor[entry]:
            break
    return found


@kernel
def blocked_kind(first, last, traits, kinds, blocked, own):  # type: ignore[no-untyped-def]
    """The kind of the first trait that is blocked; -1 when none is."""
    for at in range(first, last):
        if blocked[traits[at]] == own:
            return np.int64(kinds[traits[at]])
    return np.int64(-1)


@kernel
def missing_kind(first, last, traits, kinds, allowed, stamp, asked):  # type: ignore[no-untyped-def]
    """The first kind that has a list of what is allowed and none of these traits in it; -1 when there is none."""
    said = 0
    passed = 0
    for at in range(first, last):
        kind = kinds[traits[at]]
        said |= 1 << kind
        if allowed[traits[at]] == stamp:
            passed |= 1 << kind
    missing = asked & ~passed & (said | ~_UNSAID)
    kind = 0
    while missing:
        if missing & 1:
            return kind
        missing >>= 1
        kind += 1
    return -1


@kernel
def falls_to_share(number, chance, share):  # type: ignore[no-untyped-def]
    """Is this auction outside the share that exchange.frequency gives a line item which nobody can be counted for?"""
    bits = chance ^ (np.uint64(number) * np.uint64(0x9E3779B97F4A7C15))
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (bits ^ (bits >> np.uint64(33))) >> np.uint64(32) >= share


@kernel
def times_seen(first, last, seen, at_ms, what, since_ms):  # type: ignore[no-untyped-def]
    """How often `what` was seen after `since_ms`."""
    count = 0
    for at in range(first, last):
        if seen[at] == what and at_ms[at] > since_ms:
            count += 1
    return count
