"""What does a record of auctions hold, read as fast as it was written? Columns without a copy, fields without a parser.

`streams.schemas.decode` checks everything and makes Python numbers of every value; those who read all auctions of a
busy exchange look at the bytes of the columns that they need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from common.ids import text_of
from protos import events_pb2, exchange_pb2
from streams.auction_block import COLUMN_GROUPS, OPTIONAL_COLUMNS, OutsideBid

_COLUMNS: Final = {name: (field, type_) for group in COLUMN_GROUPS for name, field, type_ in group} | {
    name: (field, type_) for name, field, type_, _ in OPTIONAL_COLUMNS
}
_CURRENCY: Final = 5
_PAGE_VIEWS: Final = 16
_BIDDERS: Final = 70
_OUTSIDE_BIDS: Final = 71
_CURRENCIES: Final = 221
_NAMES: Final = 302
_HELD_AT: Final = 2


class Visit(msgspec.Struct, frozen=True, gc=False):
    """Whose page view it was, as far as the record says, and what its placements are called."""

    session_id: str
    visitor_id: str
    placement_ids: tuple[str, ...]


class AuctionReader:
    """One record; ValueError when its bytes are no message."""

    def __init__(self, payload: bytes) -> None:
        self.held_at_ms = 0
        self._parts: dict[int, list[memoryview]] = defaultdict(list)
        data, parts = memoryview(payload), self._parts
        at, end = 0, len(payload)
        # A record has some sixty fields, and nearly all of their tags and lengths have one byte or two.
        last = end - 4
        while at < end:
            if at < last and (byte := payload[at]) < 0x80:
                tag = byte
                at += 1
            elif at < last and (more := payload[at + 1]) < 0x80:
                tag = byte & 0x7F | more << 7
                at += 2
            else:
                tag, at = _varint(payload, at)
            kind, field = tag & 7, tag >> 3
            if kind == 2:
                if at < last and (byte := payload[at]) < 0x80:
                    length = byte
                    at += 1
                elif at < last and (more := payload[at + 1]) < 0x80:
                    length = byte & 0x7F | more << 7
                    at += 2
                else:
                    length, at = _varint(payload, at)
                parts[field].append(data[at : at + length])
                at += length
            elif kind == 1:
                if field == _HELD_AT:
                    self.held_at_ms = int.from_bytes(payload[at : at + 8], "little")
                at += 8
            elif kind == 0:
                _, at = _varint(payload, at)
            elif kind == 5:
                at += 4
            else:
                raise ValueError(f"no protobuf message: wire type {kind} at {at}")
        if at != end:
            raise ValueError("the record is cut off")

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of AuctionsHeld, read-only."""
        field, type_ = _COLUMNS[name]
        parts = self._parts.get(field)
        if not parts:
            return np.zeros(0, type_)
        return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), type_)

    def page_views(self) -> list[bytes]:
        """The page views as they were recorded."""
        return [bytes(part) for part in self._parts.get(_PAGE_VIEWS, ())]

    def visits(self) -> list[Visit]:
        """Who viewed each page; parses the page views, which is most of the work of reading a record."""
        return [_visit(page_view) for page_view in self.page_views()]

    def currency(self) -> str:
        """The auctions' own currency."""
        return "".join(str(part, "utf-8") for part in self._parts.get(_CURRENCY, ())[-1:])

    def currencies(self) -> list[str]:
        """The currencies that `bid_currency` indexes."""
        return [str(part, "utf-8") for part in self._parts.get(_CURRENCIES, ())]

    def bidders(self) -> list[str]:
        """The bidders' names."""
        return [str(part, "utf-8") for part in self._parts.get(_BIDDERS, ())]

    def names(self) -> list[str]:
        """The ids of publishers and placements that columns index."""
        return [str(part, "utf-8") for part in self._parts.get(_NAMES, ())]

    def outside_bids(self) -> Iterator[OutsideBid]:
        """What only outside bidders know of their bids."""
        for part in self._parts.get(_OUTSIDE_BIDS, ()):
            message = events_pb2.OutsideBid.FromString(bytes(part))
            yield OutsideBid(**{name: getattr(message, name) for name in OutsideBid.__struct_fields__})


def _visit(page_view: bytes) -> Visit:
    """Nobody, when the page view cannot be read."""
    try:
        view = exchange_pb2.PageView.FromString(page_view)
    except DecodeError:
        return Visit("", "", ())
    return Visit(view.session_id, view.visitor.visitor_id, tuple(each.placement_id for each in view.placements))


def outside_bids_of(payload: bytes) -> Iterator[tuple[OutsideBid, str, str]]:
    """Each outside bid of a record with its impression id and its bidder's name."""
    if b"\xba\x04" not in payload:
        return  # the tag of an outside bid is nowhere in it
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


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        if at >= len(data):
            raise ValueError("the record is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("no protobuf message: a number without end")
