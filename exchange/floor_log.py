"""What did placements earn, and what was bid for them? Landscapes by segment out of recorded auctions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.floor_learning import (
    LEAST_AUCTIONS,
    Landscape,
    Lift,
    best_floor,
    hurts,
    lift_between_arms,
    lift_of,
    revenue,
)
from exchange.learned_floors import HELD_OUT, LEARNED, LearnedFloor, LearnedFloors, segment_of
from exchange.refusals import Refusal
from exchange.request import PageView, PriceRule
from streams.auction_block import AuctionColumns

# Bids that would have bought the placement at a low enough price.
_PRICED = (int(Refusal.WON), int(Refusal.BELOW_FLOOR), int(Refusal.LOST_TO_HIGHER_BID))
# The later part of the log judges what the earlier one taught.
TRAINED_SHARE = 0.7
MOST_PLACEMENTS = 400_000


class Placed(msgspec.Struct):
    """What one segment met, in the order of time: bids, the floor that was in use, what was earned, and the arm."""

    first: list[float]
    second: list[float]
    floor: list[int]
    earned: list[float]
    arm: list[str]

    def landscape(self) -> Landscape:
        """The bids as arrays."""
        return Landscape(np.array(self.first), np.array(self.second))


class Trained(msgspec.Struct, frozen=True):
    """Floors with what they are worth on the later part of the log, and what became of the ones before."""

    floors: LearnedFloors
    lift: Lift
    by_segment: dict[str, Lift]
    measured: dict[str, Lift]
    withdrawn: tuple[str, ...]
    placements: int


def segments(batches: Iterable[AuctionColumns], read: Callable[[bytes, int], PageView | None]) -> dict[str, Placed]:
    """Second-price placements by segment; each also counts for its wider segment. `read` reads a recorded page view;
    tests, which earn nothing, are left out.
    """
    found: dict[str, Placed] = defaultdict(lambda: Placed([], [], [], [], []))
    count = 0
    for columns in batches:
        firsts, seconds = best_two(columns)
        place = 0
        for page, placements in enumerate(columns.placement_count.tolist()):
            view = read(columns.page_view[page], columns.held_at_ms)
            if view is None or view.test or int(columns.price_rule[page]) != PriceRule.SECOND_PRICE:
                place += placements
                continue
            for placement in view.placements[:placements]:
                format_ = min((shape[0] for shape in placement.shapes), default=0)
                arm = ""
                if len(columns.floor_rule):
                    rule = int(columns.floor_rule[place])
                    arm = columns.floor_rules[rule - 1] if 0 < rule <= len(columns.floor_rules) else ""
                winner = int(columns.winner_row_plus_one[place]) - 1
                earned = 0.0
                if winner >= 0 and columns.bid_micros[winner] > 0:
                    share = columns.bid_price_micros[winner] / columns.bid_micros[winner]
                    earned = float(columns.bid_ecpm_micros[winner] * share)
                for device in (view.device_type, None):
                    segment = found[segment_of(placement.placement_id, format_, device)]
                    segment.first.append(float(firsts[place]))
                    segment.second.append(float(seconds[place]))
                    segment.floor.append(placement.floor_micros)
                    segment.earned.append(earned)
                    segment.arm.append(arm)
                place += 1
                count += 1
        if count >= MOST_PLACEMENTS:
            break
    return dict(found)


def best_two(columns: AuctionColumns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best and the next bid of each placement in eCPM, 0 for none."""
    placements = len(columns.winner_row_plus_one)
    first, second = np.zeros(placements, np.int64), np.zeros(placements, np.int64)
    (rows,) = np.nonzero(np.isin(columns.bid_outcome, _PRICED) & (columns.bid_ecpm_micros > 0))
    order = rows[np.lexsort((-columns.bid_ecpm_micros[rows], columns.bid_placement[rows]))]
    place, worth = columns.bid_placement[order].astype(np.int64), columns.bid_ecpm_micros[order]
    begins = np.ones(len(order), bool)
    begins[1:] = place[1:] != place[:-1]
    first[place[begins]] = worth[begins]
    follows = np.zeros(len(order), bool)
    follows[1:] = begins[:-1] & ~begins[1:]
    second[place[follows]] = worth[follows]
    return first, second


def train(found: dict[str, Placed], before: LearnedFloors | None, *, version: str, holdout: float) -> Trained:
    """Floors for every segment with enough auctions, judged on later auctions than those that taught them.

    A floor of `before` whose held-out sessions earned more for sure is withdrawn: its segment has none this time.
    """
    measured = _measured(found, before)
    withdrawn = tuple(sorted(segment for segment, lift in measured.items() if hurts(lift)))
    floors: dict[str, LearnedFloor] = {}
    by_segment: dict[str, Lift] = {}
    earned_before, earned_after = [], []
    for segment, placed in sorted(found.items()):
        count = len(placed.first)
        cut = int(count * TRAINED_SHARE)
        if segment in withdrawn or cut < LEAST_AUCTIONS or count - cut < LEAST_AUCTIONS:
            continue
        landscape = placed.landscape()
        wider = found[segment.rsplit("|", 1)[0] + "|*"].landscape()
        wider_cut = int(len(wider.first) * TRAINED_SHARE)
        in_use = before.floor_of(segment) if before is not None else None
        static = min(placed.floor)
        floor = best_floor(
            landscape.part(slice(cut)), wider.part(slice(wider_cut)),
            static_micros=static, in_use_micros=in_use or static,
        )  # fmt: skip
        later, own = landscape.part(slice(cut, None)), np.array(placed.floor[cut:], np.float64)
        as_it_was, as_learned = revenue(later, own), revenue(later, np.maximum(own, floor))
        lift = lift_of(as_it_was, as_learned)
        if floor <= static or hurts(lift):
            continue
        floors[segment] = LearnedFloor(floor, static, count)
        by_segment[segment] = lift
        if not segment.endswith("|*"):
            earned_before.append(as_it_was)
            earned_after.append(as_learned)
    nothing = [np.zeros(0)]
    total = lift_of(np.concatenate(earned_before or nothing), np.concatenate(earned_after or nothing))
    placements = sum(len(placed.first) for segment, placed in found.items() if segment.endswith("|*"))
    return Trained(LearnedFloors(version, holdout, floors), total, by_segment, measured, withdrawn, placements)


def _measured(found: dict[str, Placed], before: LearnedFloors | None) -> dict[str, Lift]:
    """What sessions with the floors of `before` earned beside those that were held out."""
    lifts: dict[str, Lift] = {}
    if before is None:
        return lifts
    for segment in before.floors:
        placed = found.get(segment)
        if placed is None:
            continue
        earned, arms = np.array(placed.earned), np.array(placed.arm)
        treated = earned[arms == f"{LEARNED}/{before.version}/{segment}"]
        held_out = earned[arms == f"{HELD_OUT}/{before.version}/{segment}"]
        if len(treated) >= LEAST_AUCTIONS and len(held_out) >= LEAST_AUCTIONS:
            lifts[segment] = lift_between_arms(held_out, treated)
    return lifts
