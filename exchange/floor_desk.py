"""Who sees and sets which floors, and what would come of them? A scope of rules, replaced whole, with a trial before.

A publisher's rules are those that name it; operators see and set all. What a change would have come to is told from
recorded auctions: the two best bids of each placement, under the floors of before and of after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import msgspec
import numpy as np
from msgspec.structs import replace

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput
from exchange.floor_learning import Landscape, revenue
from exchange.floor_log import best_two
from exchange.floor_rules import FloorRule, FloorRules, checked_rules
from exchange.floors import most_specific
from exchange.learned_floors import LearnedFloor, LearnedFloors
from exchange.log_samples import batches, sample_of
from exchange.request import PageView, PriceRule
from streams.ports import EventLog

_DAY_MS: Final = 86_400_000
_DAYS: Final = 7
# A trial looks at so many batches at the most: some hundred milliseconds.
_MOST_BATCHES: Final = 200


class FloorStore(Protocol):
    """Where the rules stand; what is written holds for every process within seconds."""

    def read(self) -> FloorRules:
        """All rules; InvalidInput when somebody broke them."""

    def write(self, rules: FloorRules) -> None:
        """In place of all others. BackendUnavailable."""


class Scope(msgspec.Struct, frozen=True):
    """Whose rules, and of which placement; empty is all."""

    publisher: str = ""
    placement: str = ""

    def holds(self, rule: FloorRule) -> bool:
        """Is this rule replaced when the scope is set?"""
        return (not self.publisher or rule.publisher == self.publisher) and (
            not self.placement or rule.placement == self.placement
        )

    def sees(self, rule: FloorRule) -> bool:
        """Does this rule hold for what is in the scope?"""
        return (not self.publisher or rule.publisher in ("", self.publisher)) and (
            not self.placement or rule.placement in ("", self.placement)
        )


class Effect(msgspec.Struct, frozen=True):
    """What recorded placements earn under the floors of before and of after, by the thousand that were offered."""

    placements: int
    sold_before: int
    sold_after: int
    revenue_before_micros: int
    revenue_after_micros: int


class FloorChange(msgspec.Struct, frozen=True):
    """Rules that came, changed and went, by id; `version` is of all rules afterwards."""

    version: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    effect: Effect


class FloorDesk:
    """Blocks on files and the log: call it in a thread. `offered` tells the placements that a publisher has offered;
    `learned` the learned floors in use; `read` reads a recorded page view, None when it cannot.
    """

    def __init__(
        self,
        *,
        store: FloorStore,
        currency: str,
        clock: Clock,
        log: EventLog,
        read: Callable[[bytes, int, str], PageView | None],
        learned: Callable[[], LearnedFloors | None],
        offered: Callable[[str], frozenset[str]],
    ) -> None:
        self.currency = currency
        self._store = store
        self._clock = clock
        self._log = log
        self._read = read
        self._learned = learned
        self._offered = offered
        # Reading, comparing and writing is one step.
        self._changing = threading.Lock()

    def rules(self, scope: Scope) -> tuple[str, list[FloorRule]]:
        """(the version of all rules, those that hold in the scope)."""
        rules = self._store.read()
        return rules.version, [rule for rule in rules.rules if scope.sees(rule)]

    def learned(self, scope: Scope) -> tuple[LearnedFloors | None, dict[str, LearnedFloor]]:
        """(the learned floors in use, those of the scope's placements by segment)."""
        floors = self._learned()
        if floors is None:
            return None, {}
        own = self._offered(scope.publisher) if scope.publisher else None
        found = {}
        for segment, floor in floors.floors.items():
            placement = segment.rsplit("|", 2)[0]
            if scope.placement not in ("", placement) or (own is not None and placement not in own):
                continue
            found[segment] = floor
        return floors, found

    def set(self, scope: Scope, rules: Sequence[FloorRule], version: str = "", *, dry_run: bool = False) -> FloorChange:
        """Put rules in place of those of the scope. InvalidInput names every rule that cannot be taken, Conflict says
        that the rules are of another version than `version`.
        """
        own = _in_scope(scope, rules)
        with self._changing:
            before = self._store.read()
            if version and version != before.version:
                raise Conflict(f"the floors are of version {before.version}, not {version[:20]}: list them again")
            others = [rule for rule in before.rules if not scope.holds(rule)]
            after = checked_rules([*others, *own], self.currency, first=len(others))
            change = _difference(before, after)
            if after.version != before.version and not dry_run:
                self._store.write(after)
        return replace(change, effect=self._effect(scope, before, after))

    def _effect(self, scope: Scope, before: FloorRules, after: FloorRules) -> Effect:
        first: list[float] = []
        second: list[float] = []
        floors: tuple[list[int], list[int]] = ([], [])
        for view, index, best, next_ in self._recorded(scope):
            placement = view.placements[index]
            first.append(best)
            second.append(next_)
            for rules, told in zip((before, after), floors, strict=True):
                rule = most_specific(rules.rules, view, placement)
                told.append(max(placement.floor_micros, rule.floor_micros if rule is not None else 0))
        landscape = Landscape(np.array(first, np.float64), np.array(second, np.float64))
        was, would_be = (revenue(landscape, np.array(told, np.float64)) for told in floors)
        count = max(len(first), 1)
        return Effect(
            len(first),
            int(np.count_nonzero(was)),
            int(np.count_nonzero(would_be)),
            round(float(was.sum()) / count),
            round(float(would_be.sum()) / count),
        )

    def _recorded(self, scope: Scope) -> Iterator[tuple[PageView, int, float, float]]:
        """Placements that were sold at second price: (page view, index in it, best bid, next bid)."""
        now_ms = self._clock.now_ms()
        sample = sample_of(self._log, now_ms - _DAYS * _DAY_MS, now_ms, _MOST_BATCHES)
        for columns in batches(self._log, sample):
            firsts, seconds = best_two(columns)
            place = 0
            publishers = columns.publisher_name.tolist()
            for page, count in enumerate(columns.placement_count.tolist()):
                publisher = columns.names[publishers[page]] if publishers else ""
                view = self._read(columns.page_view[page], columns.held_at_ms, publisher)
                usable = (
                    view is not None
                    and len(view.placements) == count
                    # Money of other currencies would need the rates of then.
                    and not view.currency
                    and view.price_rule == PriceRule.SECOND_PRICE
                    and scope.publisher in ("", publisher)
                )
                for index in range(count if usable and view is not None else 0):
                    assert view is not None
                    if scope.placement in ("", view.placements[index].placement_id):
                        yield view, index, float(firsts[place + index]), float(seconds[place + index])
                place += count


def _in_scope(scope: Scope, rules: Sequence[FloorRule]) -> list[FloorRule]:
    errors: list[FieldError] = []
    filled = []
    for at, rule in enumerate(rules):
        for name in ("publisher", "placement"):
            wanted, told = getattr(scope, name), getattr(rule, name)
            if wanted and told not in ("", wanted):
                remedy = f"leave it empty, or give {wanted[:40]!r}"
                errors.append(FieldError(f"rules[{at}].{name}", repr(told[:40]), remedy))
        publisher, placement = scope.publisher or rule.publisher, scope.placement or rule.placement
        filled.append(replace(rule, publisher=publisher, placement=placement))
    if errors:
        raise InvalidInput(errors)
    return filled


def _difference(before: FloorRules, after: FloorRules) -> FloorChange:
    was = {(rule.publisher, rule.rule_id): rule for rule in before.rules}
    now = {(rule.publisher, rule.rule_id): rule for rule in after.rules}
    return FloorChange(
        after.version,
        tuple(name[1] for name in now if name not in was),
        tuple(name[1] for name, rule in now.items() if name in was and was[name] != rule),
        tuple(name[1] for name in was if name not in now),
        Effect(0, 0, 0, 0, 0),
    )
