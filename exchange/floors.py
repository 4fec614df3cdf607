"""What is each placement sold for at least? Floors by rule, learned floors over them, and the page view's own below.

Of the rules that match a placement the most specific one holds; a learned floor of the placement's segment comes before
it, but for the share of sessions that is held out so that the lift can be measured. Neither ever lowers the floor that
the page view asks for. Floors are put into the page view itself, so every bidder sees the floor that it must meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from exchange.currencies import BUILT_IN, RateTable
from exchange.floor_rules import FloorRule, FloorRules
from exchange.learned_floors import LearnedFloors, segments_of
from exchange.request import PageView, Placement

# Decisions that are remembered; a shop has few placements, and few countries and devices see them.
_REMEMBERED = 20_000
NO_RULES = FloorRules(version="none", rules=())


class AppliedFloors(msgspec.Struct):
    """By placement of the batch: the floor in micros per thousand, and which rule set it (index into `names` plus one,
    0: the page view's own).
    """

    floor_micros: NDArray[np.int64]
    rule: NDArray[np.uint32]
    names: list[str]


class _Decision(msgspec.Struct, frozen=True):
    placement: Placement
    name: str


class Floors:
    """Floors in use; `use` swaps them whole, from the event loop's thread."""

    def __init__(self, rules: FloorRules = NO_RULES, learned: LearnedFloors | None = None) -> None:
        self._decided: dict[object, _Decision] = {}
        self._rates, self._own = BUILT_IN, ""
        self.use(rules, learned)

    def use(self, rules: FloorRules, learned: LearnedFloors | None) -> None:
        """From now on these hold."""
        self.rules, self.learned = rules, learned
        self._decided.clear()

    @property
    def in_use(self) -> bool:
        """Is there any floor but the page views' own?"""
        return bool(self.rules.rules) or self.learned is not None

    def apply(
        self, views: Sequence[PageView], auction_numbers: Sequence[int], rates: RateTable = BUILT_IN, own: str = ""
    ) -> tuple[Sequence[PageView], AppliedFloors | None]:
        """The page views with the floors that hold, and what the record says of them; None when nothing is in use.

        Rules and learned floors are in the exchange's `own` currency; a page view in another gets them by `rates`.
        """
        if not self.in_use:
            return views, None
        if rates is not self._rates:
            self._rates = rates
            self._decided.clear()
        self._own = own
        floors: list[int] = []
        rule: list[int] = []
        names: dict[str, int] = {}
        out = []
        for view, number in zip(views, auction_numbers, strict=True):
            held_out = self.learned is not None and self.learned.holds_out(view.session_id, number)
            placements = []
            for placement in view.placements:
                decision = self._decide(view, placement, held_out)
                placements.append(decision.placement)
                floors.append(decision.placement.floor_micros)
                rule.append(names.setdefault(decision.name, len(names) + 1) if decision.name else 0)
            out.append(replace(view, placements=tuple(placements)))
        return out, AppliedFloors(np.array(floors, np.int64), np.array(rule, np.uint32), list(names))

    def _decide(self, view: PageView, placement: Placement, held_out: bool) -> _Decision:
        key = (
            placement, view.publisher_id, view.country, view.device_type, view.categories, view.currency, held_out
        )  # fmt: skip
        decision = self._decided.get(key)
        if decision is None:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            decision = self._decided[key] = self._decision(view, placement, held_out)
        return decision

    def _decision(self, view: PageView, placement: Placement, held_out: bool) -> _Decision:
        chosen = most_specific(self.rules.rules, view, placement)
        floor, name = placement.floor_micros, ""
        if chosen is not None and (by_rule := self._told(chosen.floor_micros, view)) > floor:
            floor, name = by_rule, chosen.rule_id
        if self.learned is not None:
            for segment in segments_of(placement, view.device_type):
                learned = self.learned.floor_of(segment)
                if learned is None:
                    continue
                # Both arms are named, so that the record alone tells what the lift was.
                name = self.learned.name_of(segment, held_out=held_out)
                if not held_out:
                    floor = max(floor, self._told(learned, view))
                break
        raised = floor > placement.floor_micros
        return _Decision(replace(placement, floor_micros=floor, floor_raised=raised) if raised else placement, name)

    def _told(self, micros: int, view: PageView) -> int:
        """Money of ours in the page view's currency, rounded up."""
        if not view.currency or view.currency == self._own:
            return micros
        return self._rates.up(micros, self._own, view.currency)


def most_specific(rules: Sequence[FloorRule], view: PageView, placement: Placement) -> FloorRule | None:
    """The rule that holds: most conditions, then the rank of the conditions, then the highest floor, then the id."""
    matching = [rule for rule in rules if _matches(rule, view, placement)]
    return max(matching, key=_specific, default=None)


def _matches(rule: FloorRule, view: PageView, placement: Placement) -> bool:
    return (
        (not rule.publisher or rule.publisher == view.publisher_id)
        and (not rule.placement or rule.placement == placement.placement_id)
        and (not rule.category or rule.category in view.categories)
        and (not rule.country or rule.country == view.country)
        and (not rule.device or rule.device == view.device_type)
        and (not rule.size or any(f"{width}x{height}" == rule.size for _, width, height in placement.shapes))
        and (not rule.format or any(format_ == rule.format for format_, _, _ in placement.shapes))
    )


def _specific(rule: FloorRule) -> tuple[int, tuple[bool, ...], int, str]:
    conditions = (
        bool(rule.placement), bool(rule.publisher), bool(rule.category), bool(rule.country), bool(rule.device),
        bool(rule.size), bool(rule.format),
    )  # fmt: skip
    return sum(conditions), conditions, rule.floor_micros, rule.rule_id
