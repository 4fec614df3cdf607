"""A snapshot is what it was when it was made, and a change costs nobody else anything."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import SteppedClock
from exchange.inventory import InventoryCompiler
from exchange.inventory_follower import InventoryFollower
from exchange.ports import LineItemRecord
from exchange.request import PricingModel
from tests.builders import FlatRanker, Purse, a_creative, a_line_item, a_placement
from tests.examples import examples


def a_compiler(chance: float = 0.01) -> InventoryCompiler:
    rows: dict[int, int] = {}
    return InventoryCompiler(ranker=FlatRanker(chance), account_row=lambda account: rows.setdefault(account, len(rows)))


def test_standing_bids_are_worth_what_a_thousand_impressions_bring() -> None:
    compiler = a_compiler(chance=0.01)
    compiler.put(
        [
            a_line_item(1, bid_micros=3_000_000),
            a_line_item(2, bid_micros=500_000, pricing_model=int(PricingModel.CPC)),
            a_line_item(3, bid_micros=20_000_000, pricing_model=int(PricingModel.CPA)),
        ]
    )

    worth = compiler.compile(1, 0).book.ad_worth.tolist()

    assert worth == [3_000_000, 5_000_000, 4_000_000]


def test_a_snapshot_does_not_change_when_others_are_made() -> None:
    compiler = a_compiler()
    compiler.put([a_line_item(1)])
    first = compiler.compile(1, 0)
    copy = [np.array(array) for array in first.book]

    compiler.put([a_line_item(2, targeting={"keyword": ("new-word",)}, time_zone="Asia/Kolkata")])
    compiler.remove(["item-1"])
    second = compiler.compile(2, 0)

    assert all(np.array(array).tolist() == kept.tolist() for array, kept in zip(first.book, copy, strict=True))
    assert first.zones == ("UTC",)
    assert "new-word" not in first.vocabulary.terms["keyword"]
    assert [item.line_item_id for item in second.items] == ["item-2"]


def test_placements_ask_in_the_words_of_their_snapshot_alone() -> None:
    compiler = a_compiler()
    compiler.put([a_line_item(1)])
    first = compiler.compile(1, 0)
    compiler.put([a_line_item(2, targeting={"placement": ("top",)})])
    second = compiler.compile(2, 0)
    page = (a_placement("top"), a_placement("side"))

    assert first.asks.of(page).terms == (-1, -1)
    assert second.asks.of(page).terms == (second.vocabulary.terms["placement"]["top"], -1)


def test_an_empty_inventory_compiles() -> None:
    snapshot = a_compiler().compile(0, 0)

    assert snapshot.items == []
    assert len(snapshot.book.ad_item) == 0


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.integers(1, 9)), max_size=20))
def test_what_is_compiled_depends_on_the_line_items_alone(steps: list[tuple[int, bool, int]]) -> None:
    one = a_compiler()
    standing: dict[int, LineItemRecord] = {}
    for number, is_put, bid in steps:
        if is_put:
            standing[number] = a_line_item(number, bid_micros=bid * 100_000, creatives=(a_creative(number),))
            one.put([standing[number]])
        else:
            standing.pop(number, None)
            one.remove([f"item-{number}"])

    compiled = one.compile(1, 0)

    assert [item.number for item in compiled.items] == sorted(standing)
    assert compiled.book.item_bid.tolist() == [standing[number].bid_micros for number in sorted(standing)]


class Source:
    """Line items that a test changes."""

    def __init__(self, items: list[LineItemRecord]) -> None:
        self.items = items
        self.changes: list[tuple[list[LineItemRecord], list[str]]] = []

    def sequence(self) -> int:
        return len(self.changes)

    def active(self) -> list[LineItemRecord]:
        return self.items

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        put = [record for records, _ in self.changes[sequence:] for record in records]
        gone = [item for _, items in self.changes[sequence:] for item in items]
        return len(self.changes), put, gone


async def test_the_follower_swaps_in_what_changed_after_money_is_ready() -> None:
    source = Source([a_line_item(1)])
    funded: list[str] = []
    seen: list[int] = []

    async def fund(records: object) -> None:
        funded.extend(record.line_item_id for record in records)  # type: ignore[attr-defined]
        seen.append(len(follower.snapshot.items))

    follower = InventoryFollower(source, a_compiler(), SteppedClock(), before_swap=fund)
    follower.load()

    nothing = await follower.catch_up()
    source.changes.append(([a_line_item(2)], []))
    changed = await follower.catch_up()
    source.changes.append(([], ["item-1"]))
    await follower.catch_up()

    assert (nothing, changed) == (False, True)
    assert funded == ["item-2"]
    assert seen[0] == 1
    assert [item.line_item_id for item in follower.snapshot.items] == ["item-2"]
    assert follower.snapshot.sequence == 2


async def test_what_cannot_pay_leaves_the_runs_and_comes_back() -> None:
    source, clock = Source([a_line_item(1), a_line_item(2, ends_at_ms=5_000_000_000_000)]), SteppedClock()
    purse = Purse()
    compiler = InventoryCompiler(ranker=FlatRanker(), account_row=purse.row_of)
    follower = InventoryFollower(source, compiler, clock, available=lambda: purse.available)
    first = follower.load()

    def running() -> list[int]:
        book = follower.snapshot.book
        return book.item_number[book.ad_item[book.postings]].tolist()  # type: ignore[no-any-return]

    assert follower.leave_out_exhausted() == 0
    purse.available[purse.rows[1]] = 0
    assert (follower.leave_out_exhausted(), running()) == (1, [2])
    # A change of the inventory does not bring it back, nor is anything else of the snapshot another.
    source.changes.append(([a_line_item(3)], []))
    await follower.catch_up()
    assert (running(), len(follower.snapshot.items)) == ([2, 3], 3)
    purse.available[purse.rows[1]] = 10**12
    assert (follower.leave_out_exhausted(), running()) == (0, [1, 2, 3])
    clock.step(5_000_000_000_000)
    assert (follower.leave_out_exhausted(), running()) == (1, [1, 3])
    assert first.book.postings.tolist() == [0, 1]


async def test_stock_that_changes_while_a_snapshot_is_made_is_right_in_it() -> None:
    stock = {"product-1": True}
    follower = InventoryFollower(
        Source([a_line_item(1)]), a_compiler(), SteppedClock(), in_stock=lambda product: stock[product]
    )
    follower.load()

    stock["product-1"] = False
    follower.stock_changed(["product-1", "unknown"])
    assert follower.snapshot.book.product_in_stock.tolist() == [0]

    stock["product-1"] = True
    follower.products_changed()
    await follower.catch_up()
    assert follower.snapshot.book.product_in_stock.tolist() == [1]
