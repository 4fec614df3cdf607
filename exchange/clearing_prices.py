"""What does a winner pay? Each price rule in turn.

| rule | the winner pays | best answer of a bidder | source |
|---|---|---|---|
| 1 first price | its bid | below its value | OpenRTB 2.6 §3.2.1 |
| 2 second price plus | what keeps it ahead of the best bid that could have had the placement, and one step | its value, to one step, where it bids for one placement | OpenRTB 2.6 §3.2.1; Vickrey 1961 |
| 3 agreed price | the floor of its deal | – | OpenRTB 2.6 §3.2.12 |
| 501 quality-weighted GSP | what keeps its rank at the sale | below its value | Varian 2007; Edelman, Ostrovsky and Schwarz 2007 |
| 502 VCG | what its presence costs the other advertisers (clearing_vcg.py) | its value | Vickrey 1961, Clarke 1971, Groves 1973 |

Never below the floor and never above the bid. Worth and floors are per thousand impressions in the auction's currency,
prices per unit of the pricing model in the bid's own currency, rounded up to the micro.
"""  # noqa: E501

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Final

import numpy as np

from ranking.kernel_cache import inlined

# The "plus" of second price plus, per thousand impressions: a hundredth of a currency unit.
PRICE_STEP_MICROS: Final = 10_000
# The quality that squashing leaves as it is: one click in a hundred impressions.
REFERENCE_QUALITY: Final = 0.01


@inlined
def impressions_per_unit(pricing, click_probability, conversion_rate, viewable):
    """How much of one unit of the pricing model an impression is expected to bring."""
    if pricing == 1:
        return 0.001
    if pricing == 4:
        return 0.001 * viewable
    if pricing == 2:
        return click_probability
    return click_probability * conversion_rate


@inlined
def squashed(quality, exponent):
    """Quality with its differences made smaller (Lahaie and Pennock 2007); 1.0 leaves it, near 0 only bids count."""
    return REFERENCE_QUALITY * (quality / REFERENCE_QUALITY) ** exponent


@inlined
def to_reserve(pricing, price, share):
    """Whole micros that one impression is expected to cost at this price, rounded up."""
    if pricing == 1:
        return (price + 999) // 1000
    return max(np.int64(1), np.int64(np.ceil(price * share)))


@inlined
def in_own_units(per_mille, pricing, share, rate, bid):
    """A price per thousand impressions as what a bid pays per unit of its pricing model, up to the bid."""
    price = np.ceil(per_mille / rate) if pricing == 1 else np.ceil(per_mille / (1000.0 * share * rate))
    return bid if price >= bid else max(np.int64(price), np.int64(1))


@inlined
def runner_up(placement_of, outcome, score, tier, kept_out, winner):
    """The best score that could have had the placement instead of `winner`, -1.0 without any."""
    best = -1.0
    placement = placement_of[winner]
    # Bids for one placement stand together.
    row = winner
    while row > 0 and placement_of[row - 1] == placement:
        row -= 1
    while row < placement_of.shape[0] and placement_of[row] == placement:
        # Nobody could have had it who stands below a guaranteed deal.
        if row != winner and outcome[row] == -1 and kept_out[row] == 0 and tier[row] >= tier[winner]:
            best = max(best, score[row])
        row += 1
    return best


@inlined
def second_price(ahead_of, own_gain, floor):
    """Second price plus, per thousand impressions: one step above what it was ahead of, the floor at the least."""
    return floor if ahead_of < 0.0 else max(floor, ahead_of - own_gain + PRICE_STEP_MICROS)


@inlined
def keeps_its_rank(ahead_of, own_gain, weight, least, bid):
    """Generalised second price, in own units: the least bid that would still have been sold before the next in rank."""
    if ahead_of < 0.0:
        return least
    needed = np.ceil((ahead_of - own_gain) / weight)
    return bid if needed >= bid else max(least, np.int64(max(needed, 1.0)))
