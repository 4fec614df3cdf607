"""How does an auction go on over an inventory that fits no memory? What page views want is found, kept, and compiled.

The line items that were found lately are the inventory of this process: they are followed like any other, so that a
change of one of them is live as soon as ever, and they are what auctions are decided by. A batch that wants something
for the first time waits for its line items, but no longer than it may; what comes later serves the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final

from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.inventory import Snapshot
from exchange.inventory_follower import InventoryFollower
from exchange.ports import LineItemFinder, LineItemRecord, LineItemSource
from exchange.request import PageView
from exchange.visitor import Visitor
from exchange.wanted import Wanted, wanted_by

# What was asked so lately is not asked again: what is found is kept up to date by following changes, and something new
# is found within this time.
ASK_AGAIN_MS: Final = 400
# Questions that are remembered.
_MOST_QUESTIONS: Final = 50_000
# Numbers of line items that visitors have seen, likewise.
_MOST_NUMBERS: Final = 1_000_000

_log = logging.getLogger(__name__)


class FoundLineItems:
    """LineItemSource of those line items that were found: nothing at first. Which are kept is `kept`'s to say."""

    def __init__(self, source: LineItemSource) -> None:
        self._source = source
        self.kept: OrderedDict[str, None] = OrderedDict()

    def sequence(self) -> int:
        """As the source's."""
        return self._source.sequence()

    def active(self) -> list[LineItemRecord]:
        """None: they are found one by one."""
        return []

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        """As the source's, of those that are kept."""
        newest, running, stopped = self._source.changed_since(sequence)
        kept = self.kept
        gone = [one for one in stopped if one in kept]
        for line_item_id in gone:
            # When it runs again it is found again.
            kept.pop(line_item_id, None)
        return newest, [one for one in running if one.line_item_id in kept], gone


class DirectInventory:
    """Finds line items for batches of page views. Used on the event loop's thread."""

    def __init__(
        self,
        finder: LineItemFinder,
        found: FoundLineItems,
        follower: InventoryFollower,
        clock: Clock,
        *,
        wait_s: float,
        most_line_items: int,
    ) -> None:
        self._finder = finder
        self._found = found
        self._follower = follower
        self._clock = clock
        self._wait_s = wait_s
        self._most = most_line_items
        # When each question was last answered, and who is on the way to an answer.
        self._asked_at_ms: OrderedDict[Wanted, int] = OrderedDict()
        self._numbers_asked: OrderedDict[int, None] = OrderedDict()
        self._under_way: dict[Wanted, asyncio.Task[bool]] = {}
        # Page views by how they were decided, for metrics: with what was known, after asking, without an answer in
        # time, without an answer at all.
        self.decided = {"known": 0, "asked": 0, "late": 0, "unavailable": 0}
        self._failing = False

    async def snapshot_for(self, views: Sequence[PageView], visitors: Sequence[Visitor]) -> Snapshot:
        """The inventory with all that these page views can be shown, as far as it was found in time."""
        now_ms = self._clock.now_ms()
        wanted = wanted_by(views, visitors)
        fresh = [one for one in wanted if now_ms - self._asked_at_ms.get(one, -ASK_AGAIN_MS) >= ASK_AGAIN_MS]
        unasked = [one for one in fresh if one not in self._under_way]
        strangers = self._strangers(visitors)
        tasks = {self._under_way[one] for one in fresh if one in self._under_way}
        if unasked or strangers:
            task = asyncio.create_task(self._ask(unasked, strangers, now_ms))
            for one in unasked:
                self._under_way[one] = task
            tasks.add(task)
        how = "known"
        if tasks:
            done, late = await asyncio.wait(tasks, timeout=self._wait_s)
            how = "late" if late else "asked" if all(task.result() for task in done) else "unavailable"
        self.decided[how] += len(views)
        return self._follower.snapshot

    def _strangers(self, visitors: Sequence[Visitor]) -> list[int]:
        """Numbers of line items that these visitors have seen and that nobody asked for yet: caps by campaign and by
        advertiser count them, so it must be known whose they are.
        """
        asked = self._numbers_asked
        numbers = {n for one in visitors for seen in (one.seen_line_items, one.session_line_items) for n in seen}
        strangers = sorted(numbers - asked.keys())
        for number in strangers:
            asked[number] = None
        while len(asked) > _MOST_NUMBERS:
            asked.popitem(last=False)
        return strangers

    async def _ask(self, wanted: Sequence[Wanted], strangers: Sequence[int], now_ms: int) -> bool:
        """Find and take in; False when that cannot be done now."""
        try:
            answers, seen = await asyncio.gather(self._finder.find(wanted), self._finder.numbered(strangers))
            await self._keep(list(dict.fromkeys((*(one for answer in answers for one in answer), *seen))))
        except BackendUnavailable as error:
            for number in strangers:
                self._numbers_asked.pop(number, None)
            if not self._failing:
                _log.warning("line items cannot be looked for, those found before serve on: %s", error)
            self._failing = True
            return False
        finally:
            for one in wanted:
                self._under_way.pop(one, None)
        self._failing = False
        for one in wanted:
            self._asked_at_ms[one] = now_ms
            self._asked_at_ms.move_to_end(one)
        while len(self._asked_at_ms) > _MOST_QUESTIONS:
            self._asked_at_ms.popitem(last=False)
        return True

    async def _keep(self, ids: Sequence[str]) -> None:
        """Take in those that are new; those that were not wanted for longest are let go of."""
        kept = self._found.kept
        unknown = [one for one in ids if one not in kept]
        for one in ids:
            if one in kept:
                kept.move_to_end(one)
        if not unknown:
            return
        # They are followed from before they are read: a change in between comes once more, and never not at all.
        kept.update(dict.fromkeys(unknown))
        try:
            records = await self._finder.records(unknown)
        except BaseException:
            for one in unknown:
                kept.pop(one, None)
            raise
        running = {record.line_item_id for record in records}
        for one in unknown:
            if one not in running:
                kept.pop(one, None)
        await self._follower.take_in(partial(self._chosen, records, len(ids)))

    def _chosen(self, records: Sequence[LineItemRecord], wanted: int) -> tuple[list[LineItemRecord], list[str]]:
        kept, rows = self._found.kept, self._follower.snapshot.item_rows
        # What was followed meanwhile is newer than what was read: it is there already, or kept no more.
        put = [one for one in records if one.line_item_id in kept and one.line_item_id not in rows]
        gone = []
        while len(kept) > max(self._most, wanted):
            oldest, _ = kept.popitem(last=False)
            gone.append(oldest)
        return [one for one in put if one.line_item_id in kept], gone
