"""What does a process hold of an inventory that it looks for? With a finder in memory, which can be late or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from common.errors import BackendUnavailable
from exchange.direct_inventory import DirectInventory, FoundLineItems
from exchange.inventory import Snapshot
from exchange.inventory_follower import InventoryFollower
from exchange.ports import LineItemRecord
from exchange.request import Deal, FlexSize, PageView
from exchange.visitor import Visitor
from exchange.wanted import Wanted, wanted_by
from tests.builders import Market, a_line_item, a_page_view, a_placement


class Everything:
    """LineItemFinder and LineItemSource over a list: finds what a page view's keywords want."""

    def __init__(self, items: Sequence[LineItemRecord]) -> None:
        self.items = {item.line_item_id: item for item in items}
        self.newest = 1
        self.changes: tuple[list[LineItemRecord], list[str]] = ([], [])
        self.gone = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked: list[Wanted] = []
        self.read: list[str] = []

    async def find(self, wanted: Sequence[Wanted]) -> list[tuple[str, ...]]:
        self.asked += wanted
        await self.answers.wait()
        if self.gone:
            raise BackendUnavailable("gone")
        words = [set(dict(one.words)["keyword"]) for one in wanted]
        return [
            tuple(one.line_item_id for one in self.items.values() if set(one.targeting.get("keyword", ())) <= said)
            for said in words
        ]

    async def numbered(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(item.line_item_id for item in self.items.values() if item.number in numbers)

    async def records(self, line_item_ids: Sequence[str]) -> list[LineItemRecord]:
        self.read += line_item_ids
        return [self.items[one] for one in line_item_ids]

    def sequence(self) -> int:
        return self.newest

    def active(self) -> list[LineItemRecord]:
        return list(self.items.values())

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        return (self.newest, *self.changes) if self.newest > sequence else (sequence, [], [])


class DirectMarket(Market):
    def __init__(self, everything: Everything, *, wait_s: float = 5.0, most_line_items: int = 100) -> None:
        super().__init__(find=True)
        found = FoundLineItems(everything)
        self.follower = InventoryFollower(found, self.compiler, self.clock)
        self.snapshot = self.follower.load()
        self.direct = DirectInventory(
            everything, found, self.follower, self.clock, wait_s=wait_s, most_line_items=most_line_items
        )

    async def find(self, views: Sequence[PageView], visitors: Sequence[Visitor]) -> Snapshot:
        self.snapshot = await self.direct.snapshot_for(views, visitors)
        return self.snapshot

    def in_memory(self) -> list[str]:
        return [item.line_item_id for item in self.follower.snapshot.items]


def for_word(number: int) -> LineItemRecord:
    return a_line_item(number, targeting={"keyword": (f"word-{number}",)})


async def test_only_what_is_wanted_is_held_and_read_once() -> None:
    everything = Everything([for_word(1), for_word(2), a_line_item(3)])
    market = DirectMarket(everything)
    assert market.in_memory() == []

    first = await market.ask_one(keywords=("word-1",))
    market.clock.step(1_000)
    await market.ask_one(keywords=("word-1",))

    assert first.placements[0].ad is not None
    assert market.in_memory() == ["item-1", "item-3"]
    assert everything.read == ["item-1", "item-3"]
    assert len(everything.asked) == 2


async def test_what_is_late_serves_the_next() -> None:
    everything = Everything([for_word(1)])
    market = DirectMarket(everything, wait_s=0.0)
    everything.answers.clear()

    first = await market.ask_one(keywords=("word-1",))
    everything.answers.set()
    while not market.in_memory():
        await asyncio.sleep(0.001)
    second = await market.ask_one(keywords=("word-1",))

    assert first.placements[0].ad is None
    assert second.placements[0].ad is not None
    assert market.direct.decided["late"] == 1


async def test_two_that_want_the_same_at_once_ask_once() -> None:
    everything = Everything([for_word(1)])
    market = DirectMarket(everything)
    everything.answers.clear()
    view = a_page_view(keywords=("word-1",))

    both = [asyncio.create_task(market.ask(view)) for _ in range(2)]
    await asyncio.sleep(0)
    everything.answers.set()
    answers = await asyncio.gather(*both)

    assert len(everything.asked) == 1
    assert all(answer.placements[0].ad is not None for (answer,) in answers)


async def test_without_an_answer_what_was_found_serves_on_and_is_asked_for_again() -> None:
    everything = Everything([for_word(1), for_word(2)])
    market = DirectMarket(everything)
    await market.ask_one(keywords=("word-1",))
    everything.gone = True
    market.clock.step(1_000)

    known = await market.ask_one(keywords=("word-1",))
    unknown = await market.ask_one(keywords=("word-2",))
    everything.gone = False
    again = await market.ask_one(keywords=("word-2",))

    assert (known.placements[0].ad is None, unknown.placements[0].ad is None) == (False, True)
    assert again.placements[0].ad is not None
    assert market.direct.decided == {"known": 0, "asked": 2, "late": 0, "unavailable": 2}


async def test_what_was_followed_meanwhile_is_newer_than_what_was_read() -> None:
    old, new = a_line_item(1, bid_micros=1_000_000), a_line_item(1, bid_micros=5_000_000, revision=2)

    class ChangedWhileRead(Everything):
        market: DirectMarket

        async def records(self, line_item_ids: Sequence[str]) -> list[LineItemRecord]:
            read = await super().records(line_item_ids)
            self.newest, self.changes = self.newest + 1, self.changed_to
            await self.market.follower.catch_up()
            return read

        changed_to: tuple[list[LineItemRecord], list[str]] = ([new], [])

    for changed_to, held in (([new], []), [new]), (([], ["item-1"]), []):
        everything = ChangedWhileRead([old])
        everything.changed_to = changed_to
        market = everything.market = DirectMarket(everything)
        await market.ask_one()
        assert market.follower.snapshot.items == held


async def test_what_was_not_wanted_for_longest_is_let_go_of() -> None:
    everything = Everything([for_word(number) for number in range(1, 8)])
    market = DirectMarket(everything, most_line_items=3)
    for number in (1, 2, 3, 1, 4, 5):
        await market.ask_one(keywords=(f"word-{number}",))
        market.clock.step(1_000)

    assert sorted(market.in_memory()) == ["item-1", "item-4", "item-5"]


def test_placements_that_ask_alike_are_one_question() -> None:
    view = a_page_view(
        keywords=("b", "a"),
        placements=(a_placement("top"), a_placement("side", position=2), a_placement("foot", secure=True)),
    )

    alike, secure = wanted_by([view, view], [Visitor(segments=("s=1",)), Visitor(segments=("s=1",))])

    assert dict(alike.words)["placement"] == ("side", "top")
    assert dict(alike.words)["keyword"] == ("a", "b")
    assert dict(alike.words)["segment"] == ("s=1",)
    assert (dict(secure.words)["placement"], secure.secure) == (("foot",), True)


def test_deals_are_a_question_of_their_own_and_a_private_auction_asks_for_nothing_else() -> None:
    offered = a_placement(deals=(Deal("d2"), Deal("d1")), flex_sizes=(FlexSize(6, 5, 300), FlexSize(1, 1, 100)))
    private = a_placement(deals=(Deal("d1"),), private_auction=True)

    in_the_open, under_deals = wanted_by([a_page_view(placements=(offered,))], [Visitor()])
    (only,) = wanted_by([a_page_view(placements=(private,))], [Visitor()])

    assert (in_the_open.in_the_open, in_the_open.deal_ids, in_the_open.flexible_from_width) == (True, (), 100)
    assert (under_deals.in_the_open, under_deals.deal_ids) == (False, ("d1", "d2"))
    assert (only.in_the_open, only.deal_ids) == (False, ("d1",))


def test_the_dearest_products_of_a_visitor_are_looked_for() -> None:
    affinities = {f"p{number:03}": float(number) for number in range(300)}

    (wanted,) = wanted_by([a_page_view()], [Visitor(affinities=affinities)])

    seen = dict(wanted.words)["seen_product"]
    assert (len(seen), seen[0], seen[-1]) == (200, "p100", "p299")
