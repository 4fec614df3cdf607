"""What did a batch of auctions sell? Columns by sold placement; and the little of them that is kept until notices come.

Many batches wait at a time and nearly all leave unheard of: what is kept of one is a few objects, however many ads it
sold, and none of them is looked at when it leaves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

ID_DIGITS: Final = 32
# The first digits of an auction's id are the millisecond in which it was held (RFC 9562 §5.7).
MOMENT_DIGITS: Final = 12
_INDEX_BITS: Final = 20
_NONE: Final[Mapping[int, str]] = MappingProxyType({})


class WonBatch(msgspec.Struct):
    """What a batch of auctions sold. Arrays have one entry for each sold placement; entries of a page view stand
    together, in the order of its placements.

    `page_row` indexes `auction_ids` and `visitor_ids`; `placement_index` counts within the page view.
    `line_item_number` 0 is an outside bid: it has account rows of -1 and no reservation, its bidder is
    `bidders[bidder_index]` and its advertiser stands in `outside_domains` under its entry. Visitor ids are empty
    unless the visitor may be remembered. `price_micros` is per unit of the pricing model.
    """

    held_at_ms: int
    currency: str
    auction_ids: list[str]
    visitor_ids: list[str]
    page_row: NDArray[np.int32]
    placement_index: NDArray[np.int32]
    line_item_number: NDArray[np.uint32]
    campaign_number: NDArray[np.uint32]
    line_item_account_row: NDArray[np.int32]
    campaign_account_row: NDArray[np.int32]
    pricing_model: NDArray[np.uint8]
    price_micros: NDArray[np.int64]
    reserved_micros: NDArray[np.int64]
    bidder_index: NDArray[np.int32]
    bidders: list[str]
    product_ids: list[str]
    outside_domains: dict[int, str] = msgspec.field(default_factory=dict)
    # Entries that are not in `currency`: prices and reservations are in the currency of the bid.
    currencies: dict[int, str] = msgspec.field(default_factory=dict)
    # By page view, as exchange.session_impressions names them; empty where no session is known.
    session_keys: list[str] = msgspec.field(default_factory=list)
    # By sold placement, and empty where it is not known.
    creative_number: NDArray[np.uint32] = msgspec.field(default_factory=lambda: np.zeros(0, np.uint32))
    placement_ids: list[str] = msgspec.field(default_factory=list)
    # By page view, and empty where no publisher is known.
    publisher_ids: list[str] = msgspec.field(default_factory=list)
    # Pages that were a test: their entries have rows of -1 and reserve nothing.
    test_pages: frozenset[int] = frozenset()
    # Where outside bidders are told of billing, under their entry, with all macros replaced but the impression's time.
    billing_urls: dict[int, str] = msgspec.field(default_factory=dict)


class SoldAd(msgspec.Struct, frozen=True):
    """One entry of a batch, which stood on this page; the other fields are `_COLUMNS`."""

    page: int
    line_item_number: int
    campaign_number: int
    line_item_row: int
    campaign_row: int
    reserved_micros: int
    pricing_model: int
    price_micros: int
    bidder: int
    creative_number: int


_COLUMNS: Final = (
    "line_item_number", "campaign_number", "line_item_account_row", "campaign_account_row", "reserved_micros",
    "pricing_model", "price_micros", "bidder_index", "creative_number",
)  # fmt: skip
_ACCOUNTS: Final = slice(3, 6)


class KeptBatch(msgspec.Struct):
    """What is kept of a WonBatch: `columns` is int64 [10, entries], where an ad stood (its page and its placement's
    index in one number) and then `_COLUMNS`; `ids` are all auction ids in one text; `taken` became holds of their own.
    """

    held_at_ms: int
    currency: str
    ids: str
    # What the ids begin with: one text, unless a record of before is of several moments.
    moments: tuple[str, ...]
    columns: NDArray[np.int64]
    bidders: Sequence[str]
    # By page view; empty where none is known.
    visitor_ids: Sequence[str]
    session_keys: Sequence[str]
    publisher_ids: Sequence[str]
    # By entry.
    product_ids: Sequence[str]
    placement_ids: Sequence[str]
    outside_domains: Mapping[int, str]
    currencies: Mapping[int, str]
    billing_urls: Mapping[int, str]
    test_pages: frozenset[int]
    taken: set[int]

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    @property
    def accounts(self) -> NDArray[np.int64]:
        """int64 [3, entries]: rows of the line item and of its campaign (-1 for outside bids), reserved micros."""
        return self.columns[_ACCOUNTS]

    def entry_of(self, auction_id: str, placement_index: int) -> int | None:
        """The entry of an ad; None where the batch did not sell it."""
        ids, places = self.ids, self.columns[0]
        at = ids.find(auction_id)
        # The end of one id and the beginning of the next are no id.
        while at > 0 and at % ID_DIGITS:
            at = ids.find(auction_id, at + 1)
        if at < 0:
            return None
        place = at // ID_DIGITS << _INDEX_BITS | placement_index
        entry = bisect_left(places, place)
        return entry if entry < len(places) and places[entry] == place else None

    def sold(self, entry: int) -> SoldAd:
        """What stands in one entry."""
        place, *numbers = self.columns[:, entry].tolist()
        return SoldAd(place >> _INDEX_BITS, *numbers)


def kept_of(batch: WonBatch) -> KeptBatch:
    """What is kept of a batch until its notices come or its time is over."""
    columns = np.zeros((1 + len(_COLUMNS), len(batch.page_row)), np.int64)
    np.left_shift(batch.page_row, _INDEX_BITS, out=columns[0], dtype=np.int64)
    columns[0] |= batch.placement_index
    for row, name in enumerate(_COLUMNS, 1):
        column = getattr(batch, name)
        if len(column):
            columns[row] = column
    # In the order of the fields: by their names they are read eight times as long.
    return KeptBatch(
        batch.held_at_ms, batch.currency, "".join(batch.auction_ids),
        tuple({auction_id[:MOMENT_DIGITS] for auction_id in batch.auction_ids}), columns, batch.bidders,
        batch.visitor_ids, batch.session_keys, batch.publisher_ids, batch.product_ids, batch.placement_ids,
        batch.outside_domains or _NONE, batch.currencies or _NONE, batch.billing_urls or _NONE, batch.test_pages, set(),
    )  # fmt: skip
