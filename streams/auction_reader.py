"""What does a record of auctions hold, read as fast as it was written? Columns as the bytes that they are.

`streams.schemas.decode` checks everything and makes Python numbers of every value; those who read all auctions of a
busy exchange look at the bytes of the columns that they need.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from common.ids import text_of
from protos import events_pb2, exchange_pb2
from streams.auction_block import COLUMN_GROUPS, OPTIONAL_COLUMNS, OutsideBid

_TYPES: Final = {name: type_ for group in COLUMN_GROUPS for name, _, type_ in group} | {
    name: type_ for name, _, type_, _ in OPTIONAL_COLUMNS
}


class Visit(msgspec.Struct, frozen=True, gc=False):
    """Whose page view it was, as far as the record says, and what its placements are called."""

    session_id: str
    visitor_id: str
    placement_ids: tuple[str, ...]


class AuctionReader:
    """One record; ValueError when its bytes are no message."""

    def __init__(self, payload: bytes) -> None:
        try:
            self._message = events_pb2.AuctionBytes.FromString(payload)
        except DecodeError as error:
            raise ValueError(f"no record of auctions: {error}") from None
        if not self._message.schema_version:
            raise ValueError("a record of auctions without a schema version")
        self.held_at_ms = self._message.held_at_ms

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of AuctionsHeld, read-only."""
        parts = getattr(self._message, name)
        if not parts:
            return np.zeros(0, _TYPES[name])
        return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), _TYPES[name])

    def page_views(self) -> list[bytes]:
        """The page views as they were recorded."""
        return list(self._message.page_view)

    def visits(self) -> list[Visit]:
        """Who viewed each page; parses the page views, which is most of the work of reading a record."""
        return [_visit(page_view) for page_view in self.page_views()]

    def currency(self) -> str:
        """The auctions' own currency."""
        return self._message.currency

    def currencies(self) -> list[str]:
        """The currencies that `bid_currency` indexes."""
        return list(self._message.currencies)

    def bidders(self) -> list[str]:
        """The bidders' names."""
        return list(self._message.bidders)

    def names(self) -> list[str]:
        """The ids of publishers and placements that columns index."""
        return list(self._message.names)

    def outside_bids(self) -> Iterator[OutsideBid]:
        """What only outside bidders know of their bids."""
        for bid in self._message.outside_bids:
            yield OutsideBid(**{name: getattr(bid, name) for name in OutsideBid.__struct_fields__})


def _visit(page_view: bytes) -> Visit:
    """Nobody, when the page view cannot be read."""
    try:
        view = exchange_pb2.PageView.FromString(page_view)
    except DecodeError:
        return Visit("", "", ())
    return Visit(view.session_id, view.visitor.visitor_id, tuple(each.placement_id for each in view.placements))


def outside_bids_of(payload: bytes) -> Iterator[tuple[OutsideBid, str, str]]:
    """Each outside bid of a record with its impression id and its bidder's name."""
    reader = AuctionReader(payload)
    bids = list(reader.outside_bids())
    if not bids:
        return
    places, bidder_of, bidders = reader.column("bid_placement"), reader.column("bid_bidder"), reader.bidders()
    counts = reader.column("placement_count").astype(np.int64)
    ends = np.cumsum(counts)
    high, low = reader.column("auction_id_high"), reader.column("auction_id_low")
    for bid in bids:
        place = int(places[bid.row])
        page = int(np.searchsorted(ends, place, side="right"))
        index = place - int(ends[page] - counts[page])
        auction_id = text_of(int(high[page]) << 64 | int(low[page]))
        yield bid, f"{auction_id}.{index}", bidders[int(bidder_of[bid.row])]
