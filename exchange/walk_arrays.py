"""What does the walk read and write? A batch of page views as arrays, scratch used again, and what was found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Finalists of a placement; the ranker scores these and no others.
FINALISTS = 8
# Refused bids of a placement that are recorded one by one; the rest is counted.
REFUSED_RECORDED = 8

# By what a visitor's impressions can be counted, as bits of PageArrays.known_by.
BY_VISITOR = 1
BY_SESSION = 2


class PageArrays(NamedTuple):
    """A batch of page views as the walk reads them; CSR where a page view has many of a thing."""

    term_start: NDArray[np.int32]  # (pages + 1)
    term: NDArray[np.int32]
    term_weight: NDArray[np.float32]
    affinity_start: NDArray[np.int32]  # (pages + 1): products this visitor has shown an affinity to
    affinity_product: NDArray[np.int32]  # row of the product
    affinity_weight: NDArray[np.float32]
    # Impressions that the visitor has had, then (from `seen_split` on) those of the session.
    seen_start: NDArray[np.int32]  # (pages + 1)
    seen_split: NDArray[np.int32]  # (pages,)
    seen_number: NDArray[np.uint32]  # line item
    seen_creative: NDArray[np.uint32]
    seen_campaign: NDArray[np.int32]
    seen_brand: NDArray[np.int32]
    seen_at_ms: NDArray[np.int64]
    known_by: NDArray[np.uint8]  # (pages,): BY_VISITOR, BY_SESSION
    chance: NDArray[np.uint64]  # (pages,): random bits of the auction's id
    hour_of_week: NDArray[np.int32]  # (pages, time zones)
    allow_start: NDArray[np.int32]  # (pages + 1): traits out of lists of what is allowed
    allow: NDArray[np.int32]
    allow_kinds: NDArray[np.uint16]  # (pages,): bit k when traits of kind k are restricted to `allow`
    placement_start: NDArray[np.int32]  # (pages + 1)
    # One entry for each placement.
    placement_term: NDArray[np.int32]  # -1 when no line item targets this placement
    shape_start: NDArray[np.int32]  # (placements + 1)
    shape: NDArray[np.int32]
    block_start: NDArray[np.int32]  # (placements + 1)
    block: NDArray[np.int32]  # traits that are blocked
    private: NDArray[np.uint8]  # 1 when it is sold under deals alone
    deal_start: NDArray[np.int32]  # (placements + 1): deals that some line item knows, best for the publisher first
    # One entry for each of these deals.
    deal_term: NDArray[np.int32]
    deal_row: NDArray[np.int32]  # index into the placement's deals
    deal_floor: NDArray[np.int64]
    deal_guaranteed: NDArray[np.uint8]
    deal_needs: NDArray[np.uint8]  # bit 1: one of the deal's seats, bit 2: one of its advertisers
    deal_trait_start: NDArray[np.int32]  # (deals + 1)
    deal_trait: NDArray[np.int32]  # its seats and its advertisers
    # 1 when the placement before asks for exactly the same: its walk is reused.
    same_as_before: NDArray[np.uint8]


class Scratch(NamedTuple):
    """Stamps that save clearing: an entry counts only when it holds the current stamp."""

    term: NDArray[np.int64]
    weight: NDArray[np.float32]
    block: NDArray[np.int64]
    allow: NDArray[np.int64]
    ad: NDArray[np.int64]
    stamp: NDArray[np.int64]  # one number: the last stamp used


class Finalists(NamedTuple):
    """What the walk found, by placement."""

    kept: NDArray[np.int32]  # (placements,): how many finalists
    ad: NDArray[np.int32]  # (placements, FINALISTS)
    weight: NDArray[np.float32]  # (placements, FINALISTS): summed weight of the matched terms
    deal: NDArray[np.int32]  # (placements, FINALISTS): index into the placement's deals, -1 in the open
    refused_count: NDArray[np.int32]  # (placements,): recorded ones
    refused_ad: NDArray[np.int32]  # (placements, REFUSED_RECORDED)
    refused_code: NDArray[np.int32]  # (placements, REFUSED_RECORDED): index into CODES
    refused_total: NDArray[np.int32]  # (placements, len(CODES)): all of them


def scratch_for(terms: int, ads: int, traits: int) -> Scratch:
    """Fresh scratch for so many terms, standing bids and traits."""
    return Scratch(
        np.zeros(terms, np.int64),
        np.zeros(terms, np.float32),
        np.zeros(traits, np.int64),
        np.zeros(traits, np.int64),
        np.zeros(ads, np.int64),
        np.zeros(1, np.int64),
    )


def room_for(placements: int, codes: int) -> Finalists:
    """Finalists to be filled; only the counts are cleared."""
    return Finalists(
        np.zeros(placements, np.int32),
        np.empty((placements, FINALISTS), np.int32),
        np.empty((placements, FINALISTS), np.float32),
        np.empty((placements, FINALISTS), np.int32),
        np.zeros(placements, np.int32),
        np.empty((placements, REFUSED_RECORDED), np.int32),
        np.empty((placements, REFUSED_RECORDED), np.int32),
        np.zeros((placements, codes), np.int32),
    )
