"""What is there to recommend? Items with what is known of them before anybody chose one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


class Item(msgspec.Struct, frozen=True):
    """A product, a film, a video. `price_micros` 0 and `image_hash` (64 bits) 0 are unknown."""

    item_id: str
    text: str = ""
    category: str = ""
    price_micros: int = 0
    image_hash: int = 0


@dataclass(frozen=True, slots=True)
class Items:
    """All items; an item is its row from here on."""

    all: tuple[Item, ...]
    row_of: dict[str, int]

    def __len__(self) -> int:
        return len(self.all)


def items_of(all_items: Sequence[Item]) -> Items:
    """Items by row; each id once."""
    row_of = {item.item_id: row for row, item in enumerate(all_items)}
    assert len(row_of) == len(all_items), "an item is given twice"
    return Items(tuple(all_items), row_of)
