"""Does this account take part in this auction? One comparison in the walk, the same again in a replay.

Each paced account has a threshold of 32 bits: its chance of taking part. The draw is a hash of the auction's id and the
account, so the placements of one page view share it, and a replay of the same auctions draws the same. A ceiling on
what the account has committed bounds a burst between two steps of the controller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ranking.kernel_cache import inlined

# Takes part in every auction, and is not counted.
ALWAYS = 0xFFFFFFFF
_CAMPAIGN = 1 << 31


class Paces(NamedTuple):
    """Arrays by row of the budget book; rows beyond them are not paced."""

    threshold: NDArray[np.uint32]
    ceiling: NDArray[np.int64]  # committed micros from which on nothing more is offered
    leased: NDArray[np.int64]  # committed is leased less available
    met: NDArray[np.int64]  # counted here: auctions in which nothing but pacing could keep the account out
    passed: NDArray[np.int64]  # counted here: those of them in which it took part
    draw: NDArray[np.uint64]  # (page views,): low half of the auction's id
    # 1 while the figures of what was spent are too old: an account without money is then refused for that.
    spend_unknown: int


NOBODY = Paces(
    np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64),
    np.zeros(0, np.uint64), 0,
)  # fmt: skip


def threshold_of(share: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Thresholds for shares of auctions; 1 and above is ALWAYS less one, so that it is still counted."""
    return np.minimum(np.clip(share, 0.0, 1.0) * float(1 << 32), float(ALWAYS - 1)).astype(np.uint32)


def takes_part(draw: int, account: int, threshold: int) -> bool:
    """Does the account with this number take part in the auction whose id has this low half? As the kernel decides."""
    return bool(_drawn(np.uint64(draw), np.uint64(account)) < np.uint64(threshold))


@inlined
def _drawn(draw, account):  # type: ignore[no-untyped-def]
    """32 bits of SplitMix64's finaliser (Steele et al. 2014)."""
    mixed = draw ^ (account * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)


@inlined
def count_met(paces, row, campaign_row):  # type: ignore[no-untyped-def]
    """An auction in which only money was missing: it belongs to the account's traffic all the same."""
    rows = paces.threshold.shape[0]
    if row < rows and paces.threshold[row] != np.uint32(ALWAYS):
        paces.met[row] += 1
    if campaign_row < rows and paces.threshold[campaign_row] != np.uint32(ALWAYS):
        paces.met[campaign_row] += 1


@inlined
def held_back(paces, page, available, row, number, campaign_row, campaign_number):  # type: ignore[no-untyped-def]
    """Is the line item, or its campaign, held back in this auction? Both are counted."""
    rows = paces.threshold.shape[0]
    own = row < rows and paces.threshold[row] != np.uint32(ALWAYS)
    campaign = campaign_row < rows and paces.threshold[campaign_row] != np.uint32(ALWAYS)
    if not (own or campaign):
        return False
    held = False
    if own:
        paces.met[row] += 1
        held = paces.leased[row] - available[row] >= paces.ceiling[row] or _drawn(
            paces.draw[page], np.uint64(number)
        ) >= np.uint64(paces.threshold[row])
    if campaign:
        paces.met[campaign_row] += 1
        held = (
            held
            or paces.leased[campaign_row] - available[campaign_row] >= paces.ceiling[campaign_row]
            or _drawn(paces.draw[page], np.uint64(campaign_number) + np.uint64(_CAMPAIGN))
            >= np.uint64(paces.threshold[campaign_row])
        )
    if not held:
        if own:
            paces.passed[row] += 1
        if campaign:
            paces.passed[campaign_row] += 1
    return held
